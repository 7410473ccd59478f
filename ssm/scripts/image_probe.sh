#!/bin/sh
# What a host booted from an image says about itself, one fact a line as key=value; runs as root. /etc/machine-id is made at the first
# boot, so that files older than it came with the image. HEALTH_SECONDS, VERSION_PATH and
# APPLICATION_DIRECTORY are set by the caller.

# The paths that a report of AIDE lists as added, removed or changed. It ends before the details: checksums there are base64, and one that
# begins with a slash looks like a path.
aide_paths() {
  sed -n -e '/^Detailed information /q' -e '/^The attributes of /q' -e 's/^[^/]*: \(\/.*\)$/\1/p'
}

# Paths as facts: what lies in the application's directory is a difference of another kind, since a boot may fetch a release.
aide_differences() {
  awk -v inside="$APPLICATION_DIRECTORY/" '{ print (index($0 "/", inside) == 1 ? "aide_application_difference=" : "aide_difference=") $0 }'
}

# The files that sshd takes keys of a user from, as it says itself: key_files USER UID HOME. %h, %u, %U and %% are those of sshd_config(5).
key_files() {
  settings=$(sshd -T -C "user=$1,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22" 2>/dev/null) || settings='authorizedkeysfile /sshd-T-failed'
  printf '%s\n' "$settings" | sed -n 's/^authorizedkeysfile //p' | tr ' ' '\n' | while read -r pattern; do
    path=$(printf '%s' "$pattern" | sed -e "s|%%|\r|g" -e "s|%h|$3|g" -e "s|%u|$1|g" -e "s|%U|$2|g" -e "s|\r|%|g")
    case "$path" in none) ;; /*) echo "$path" ;; *) echo "$3/$path" ;; esac
  done
}

# What logins have left: of every account wherever its home is, and in homes whose accounts are gone.
logins() {
  for f in /root/.ssh/authorized_keys* /home/*/.ssh/authorized_keys*; do [ ! -s "$f" ] || echo "authorized_keys=$f"; done
  for f in /root/.*_history /home/*/.*_history; do [ ! -s "$f" ] || echo "history=$f"; done
  getent passwd | while IFS=: read -r user _ uid _ _ home _; do
    home=${home%/}
    key_files "$user" "$uid" "$home" | while read -r f; do
      if [ "$f" = /sshd-T-failed ] || [ -s "$f" ]; then echo "authorized_keys=$f"; fi
    done
    for f in "$home"/.ssh/authorized_keys*; do [ ! -s "$f" ] || echo "authorized_keys=$f"; done
    for f in "$home"/.*_history; do [ ! -s "$f" ] || echo "history=$f"; done
  done
}

deadline=$(($(date +%s) + HEALTH_SECONDS))
until code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 http://127.0.0.1/health) && [ "$code" = 200 ]; do
  [ "$(date +%s)" -lt $deadline ] || break
  sleep 1
done
echo "health=$code"
echo "version=$(curl -s --max-time 5 "http://127.0.0.1$VERSION_PATH" | tr -d '\n' | cut -c1-300)"
echo "imds_v1=$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 http://169.254.169.254/latest/meta-data/)"
for f in /etc/ssh/ssh_host_*_key.pub; do [ ! -e "$f" ] || echo "host_key=$(ssh-keygen -lf "$f" | cut -d' ' -f2)"; done
echo "machine_id=$(cat /etc/machine-id)"
logins | sort -u
find /var/log -type f -size +0c ! -newer /etc/machine-id | sed 's/^/old_log=/' | head -n 20
find /tmp /var/tmp -xdev -type f ! -newer /etc/machine-id | sed 's/^/old_tmp=/' | head -n 20
systemctl list-units --state=failed --no-legend --plain | while read -r unit _; do echo "failed_unit=$unit"; done
echo "manifest_image=$(sed -n 's/.*"image_name": "\(.*\)".*/\1/p' /etc/fleet/image-manifest.json | head -n 1)"
echo "manifest_sha256=$(sha256sum /etc/fleet/image-manifest.json | cut -d' ' -f1)"
echo "manifest_aide=$(sed -n '/^  "aide": {/,/^  }/s/.*"sha256": "\(.*\)".*/\1/p' /etc/fleet/image-manifest.json)"
if [ -e /var/lib/aide/aide.db.gz ]; then
  echo "aide_database=$(sha256sum /var/lib/aide/aide.db.gz | cut -d' ' -f1)"
  { grep -v '^[[:space:]]*report_url' /etc/aide.conf; echo report_url=stdout; } | aide --config=- --check >/run/aide-test 2>&1
  echo "aide_code=$?"
  aide_paths </run/aide-test | sort -u | aide_differences >/run/aide-differences
  for kind in aide_difference aide_application_difference; do grep "^$kind=" /run/aide-differences | head -n 20; done
  rm -f /run/aide-test /run/aide-differences
fi
echo probe=done
