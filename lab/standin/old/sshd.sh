#!/bin/bash
# @path@ as @version@ knows it: newer options, keywords and algorithms are refused, and -T says what it would say.
file=/etc/ssh/sshd_config short=' @short@ ' given=() value='' shows=no connection=''
for word in "$@"; do
  if [ -z "$value" ]; then
    case "$word" in
      -?*) ;;
      *) continue ;;
    esac
    letters=${word#-}
    while [ -n "$letters" ]; do
      letter=${letters:0:1}
      letters=${letters:1}
      case "$short" in
        *" $letter: "*) value=$letter; break ;;
        *" $letter "*) if [ "$letter" = T ]; then shows=yes; fi ;;
        *) echo "sshd: invalid option -- '$letter'" >&2; exit 1 ;;
      esac
    done
    if [ -z "$value" ] || [ -z "$letters" ]; then continue; fi
    word=$letters
  fi
  case "$value" in
    f) file=$word ;;
    o) given+=("$word") ;;
    C) connection="$connection,$word" ;;
  esac
  value=
done
case "$connection" in
  '') ;;
  *,user=*,host=*,addr=* | *,user=*,addr=*,host=* | *,host=*,user=*,addr=* | *,host=*,addr=*,user=* | *,addr=*,user=*,host=* | *,addr=*,host=*,user=*) ;;
  *) echo 'user, host and addr are all required when testing Match configs' >&2; exit 255 ;;
esac
bad() {
  awk -v place="$1" -v known=' @keywords@ ' -v lists=' @algorithms@ ' -v newer='@newer_algorithms@' '
    {line = $0; sub(/^[ \t]+/, "", line)}
    line == "" || line ~ /^#/ {next}
    {
      name = line; sub(/[ \t=].*/, "", name); rest = substr(line, length(name) + 1); gsub(/^[ \t=]+|[ \t"]+$/, "", rest)
      key = tolower(name)
      if (!index(known, " " key " ")) {printf "%s: line %d: Bad configuration option: %s\n", place, NR, name; count++}
      else if (index(lists, " " key " ") && (rest ~ /^"?[-^]/ || rest ~ newer))
        {printf "%s line %d: Bad SSH2 %s '"'%s'"'.\n", place, NR, name, rest; count++}
    }
    END {if (count) {printf "%s: terminating, %d bad configuration options\n", place, count; exit 1}}'
}
if [ -r "$file" ]; then bad "$file" <"$file" >&2 || exit 255; fi
if [ ${#given[@]} -gt 0 ]; then printf '%s\n' "${given[@]}" | bad 'command-line' >&2 || exit 255; fi
if [ "$shows" = no ]; then exec @real@ "$@"; fi
# It has the older names of three keywords, and none that came later.
@real@ "$@" | awk -v known=' @keywords@ ' '
  {sub(/^pubkeyacceptedalgorithms /, "pubkeyacceptedkeytypes "); sub(/^hostbasedacceptedalgorithms /, "hostbasedacceptedkeytypes ")}
  $1 == "kbdinteractiveauthentication" {print "challengeresponseauthentication " $2}
  index(known, " " $1 " ")'
exit "${PIPESTATUS[0]}"
