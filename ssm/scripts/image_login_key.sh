#!/bin/sh
# Makes a key pair on the host, in memory, for one login over loopback (image_login.sh); prints the public half. Runs as root.
set -eu
umask 077
folder=/run/fleet-image-login
rm -rf "$folder"
mkdir "$folder"
ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/key"
cat "$folder/key.pub"
