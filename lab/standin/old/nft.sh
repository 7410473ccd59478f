#!/bin/bash
# @path@ as @version@ knows it: newer options and words are refused, and what is listed is written as it writes it.
refused=(@refused@)
syntax() {
  local place=$1 pattern found
  sed 's/#.*//' >"$copy"
  for pattern in "${refused[@]}"; do
    if found=$(grep -nE -- "$pattern" "$copy"); then
      echo "$place:${found%%:*}:1-1: Error: syntax error: not known to @version@: ${found#*:}" >&2
      exit 1
    fi
  done
}
file_syntax() {
  local included
  syntax "$1" <"$1"
  for included in $(sed -nE 's/^[[:space:]]*include[[:space:]]+"([^"]+)".*/\1/p' "$1"); do
    if [ -e "$included" ]; then file_syntax "$included"; fi
  done
}
copy=$(mktemp) || exit 1
trap 'rm -f "$copy" "$copy.in"' EXIT
words=() file=''
plain() { words+=("$1"); }
@arguments@
if [ "$file" = - ] || [ "$file" = /dev/stdin ]; then
  cat >"$copy.in"
  syntax /dev/stdin <"$copy.in"
  exec <"$copy.in"
elif [ -n "$file" ] && [ -r "$file" ]; then
  file_syntax "$file"
elif [ ${#words[@]} -gt 0 ]; then
  syntax '<cmdline>' <<<"${words[*]}"
fi
case "${words[0]-}" in
  list | export | monitor) ;;
  *) rm -f "$copy" "$copy.in"; exec @real@ "$@" ;;
esac
# Priorities as numbers, and masks of flags as they were written before 1.0.
@real@ --numeric-priority "$@" | awk '
  match($0, /tcp flags [a-z,]+ \/ [a-z,]+/) {
    split(substr($0, RSTART + 10, RLENGTH - 10), part, " / ")
    gsub(/,/, " | ", part[1]); gsub(/,/, " | ", part[2])
    value = index(part[1], "|") ? "(" part[1] ")" : part[1]
    $0 = substr($0, 1, RSTART + 9) "& (" part[2] ") == " value substr($0, RSTART + RLENGTH)
  }
  {print}'
exit "${PIPESTATUS[0]}"
