#!/bin/sh
# What @version@ would say of the units that an administrator or a role has written: it goes on without what it does not know. Systemd runs
# this each time that it reads its units. Other folders may be named, for a look at them.
[ $# -eq 0 ] || [ "$1" = /run/systemd/generator ] && set -- /etc/systemd/system
said=$(find "$@" -type f \( -name '*.service' -o -name '*.timer' -o -name '*.socket' -o -name '*.path' -o -name '*.mount' -o -name '*.slice' \
  -o -path '*.d/*.conf' \) -exec awk '
    BEGIN {
@known@
    }
    FNR == 1 {section = ""; more = 0}
    {continued = more; more = /\\$/}
    continued || /^[ \t]*([#;]|$)/ {next}
    /^[ \t]*\[/ {section = $0; gsub(/^[ \t]*\[|\][ \t]*$/, "", section); next}
    section ~ /^X-/ || !index($0, "=") {next}
    {
      name = substr($0, 1, index($0, "=") - 1); value = substr($0, index($0, "=") + 1)
      gsub(/[ \t]/, "", name); gsub(/^[ \t]+|[ \t]+$/, "", value)
      if (name ~ /^X-/) next
      if (!(section in known)) printf "[%s:%d] Unknown section '"'%s'"'. Ignoring.\n", FILENAME, FNR, section
      else if (!index(known[section], " " name " ")) printf "[%s:%d] Unknown lvalue '"'%s'"' in section '"'%s'"'\n", FILENAME, FNR, name, section
      else if (name in unread && value ~ unread[name]) printf "[%s:%d] Failed to parse %s=%s, ignoring\n", FILENAME, FNR, name, value
    }' {} +)
[ -n "$said" ] || exit 0
echo "$said"
if [ -S /run/systemd/journal/stdout ]; then echo "$said" | systemd-cat -t systemd -p warning; fi
exit 0
