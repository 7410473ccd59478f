#!/bin/sh
# Runs the hardening engine that the caller has put into FOLDER/program, and prints the size and digest of its answer. Amazon Linux 2 has
# Python 2.7 only. DIGEST is of what was sent: pieces arrive by separate commands. FOLDER and DIGEST are set by the caller.
set -eu
cd "$FOLDER"
python=$(command -v python3 || command -v python2.7 || command -v python)
echo "$DIGEST  program" | sha256sum --check --quiet
base64 -d program | "$python" -c 'import sys, zlib
source, target = (getattr(stream, "buffer", stream) for stream in (sys.stdin, sys.stdout))
target.write(zlib.decompress(source.read()))' >program.zip
"$python" program.zip >answer
echo "$(wc -c <answer) $(sha256sum <answer | cut -d" " -f1)"
