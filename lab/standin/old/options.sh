#!/bin/bash
# @path@ as @version@ knows it: newer options, verbs and properties are refused, the rest is for the program itself.
options=' @options@ ' short=' @short@ ' verbs=' @verbs@ ' properties=' @properties@ ' first='@first@'
program=${0##*/}
if [ "$program" != @name@ ]; then exec -a "$0" @real@ "$@"; fi
refuse() { echo "$1" >&2; exit 1; }
property() {
  case "$properties" in '  ' | *" ${1%%=*} "*) ;; *) refuse "Unknown assignment $1." ;; esac
}
verb='' value=''
for word in "$@"; do
  if [ -n "$value" ]; then
    case "$value" in property= | timer-property= | p:) property "$word" ;; esac
    value=
    continue
  fi
  case "$word" in
    --) break ;;
    -[0-9]*) ;; # of journalctl -b
    --*)
      name=${word#--}
      name=${name%%=*}
      case "$options" in
        *" $name= "*)
          case "$word" in
            --property=* | --timer-property=*) property "${word#*=}" ;;
            *=*) ;;
            *) value="$name=" ;;
          esac
          ;;
        *" $name "*) ;;
        *) refuse "$program: unrecognized option '--$name'" ;;
      esac
      ;;
    -?*)
      letters=${word#-}
      while [ -n "$letters" ]; do
        letter=${letters:0:1}
        letters=${letters:1}
        case "$short" in
          *" $letter: "*)
            if [ -z "$letters" ]; then value="$letter:"; elif [ "$letter" = p ]; then property "$letters"; fi
            break
            ;;
          *" $letter "*) if [ "$letter" = n ]; then break; fi ;;
          *) refuse "$program: invalid option -- '$letter'" ;;
        esac
      done
      ;;
    *)
      if [ -z "$verb" ]; then
        verb=$word
        case "$verbs" in '  ' | *" $verb "*) ;; *) refuse "Unknown operation '$verb'." ;; esac
      fi
      if [ "$first" = true ]; then break; fi
      ;;
  esac
done
exec -a "$0" @real@ "$@"
