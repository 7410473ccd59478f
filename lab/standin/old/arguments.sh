# Goes through the arguments. What is not in `options` and `short` is refused; `file` is the value of -f; `plain` takes what is no option.
options=' @options@ ' short=' @short@ ' value=''
for word in "$@"; do
  if [ -n "$value" ]; then
    if [ "$value" = file ]; then file=$word; fi
    value=
    continue
  fi
  case "$word" in
    --*)
      name=${word#--}
      name=${name%%=*}
      case "$options" in
        *" $name= "*) case "$word" in --file=*) file=${word#*=} ;; *=*) ;; *) value=$name ;; esac ;;
        *" $name "*) ;;
        *) echo "@name@: unrecognized option '--$name'" >&2; exit 1 ;;
      esac
      ;;
    -?*)
      letters=${word#-}
      while [ -n "$letters" ]; do
        letter=${letters:0:1}
        letters=${letters:1}
        case "$short" in
          *" $letter: "*)
            if [ "$letter" = f ]; then name='file'; else name='other'; fi
            if [ -z "$letters" ]; then value=$name; elif [ "$name" = file ]; then file=$letters; fi
            break
            ;;
          *" $letter "*) ;;
          *) echo "@name@: invalid option -- '$letter'" >&2; exit 1 ;;
        esac
      done
      ;;
    *) plain "$word" ;;
  esac
done
