#!/bin/bash
# @path@ as @version@ knows it: newer options and syntax are refused.
refused=(@refused@)
file=/etc/sudoers
plain() { file=$1; }
@arguments@
if [ "$file" = - ]; then exec @real@ "$@"; fi
for each in "$file" $(sed -nE 's|^#includedir[[:space:]]+(/[^[:space:]]+).*|\1/*|p' "$file" 2>/dev/null); do
  case "${each##*/}" in *~ | *.*) if [ "$each" != "$file" ]; then continue; fi ;; esac
  for pattern in "${refused[@]}"; do
    if [ -f "$each" ] && found=$(grep -nE -- "$pattern" "$each" | grep -vE '^[0-9]+:[[:space:]]*#'); then
      echo ">>> $each: syntax error near line ${found%%:*} <<< (not known to @version@)" >&2
      exit 1
    fi
  done
done
exec @real@ "$@"
