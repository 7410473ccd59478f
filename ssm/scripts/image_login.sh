#!/bin/sh
# Logs in over loopback by the key of image_login_key.sh, which was pushed by EC2 Instance Connect meanwhile, as SSH through Session Manager
# does; prints login=ok, or login_error and why not. Nobody's files have the key, so only sshd's AuthorizedKeysCommand can let it in. Runs
# as root; LOGIN_USER is set by the caller.
folder=/run/fleet-image-login
trap 'rm -rf "$folder"' EXIT
for f in /etc/ssh/ssh_host_*_key.pub; do [ ! -e "$f" ] || sed 's/^/127.0.0.1 /' "$f"; done >"$folder/known_hosts"
# A pushed key takes a moment until the metadata have it.
for _ in 1 2 3 4 5; do
  if ssh -F /dev/null -i "$folder/key" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=5 -o StrictHostKeyChecking=yes \
    -o "UserKnownHostsFile=$folder/known_hosts" "$LOGIN_USER@127.0.0.1" true >"$folder/output" 2>&1 </dev/null; then
    echo login=ok
    exit 0
  fi
  sleep 2
done
echo "login_error=$(tail -n 1 "$folder/output" | tr -d '\r' | cut -c1-300)"
echo "login_command=$(sshd -T -C "user=$LOGIN_USER,host=localhost,addr=127.0.0.1" | sed -n 's/^authorizedkeyscommand //p')"
