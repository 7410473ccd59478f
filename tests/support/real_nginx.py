"""nginx itself with what the role renders, in a folder instead of /: asked for its opinion, or run."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.settings import Settings
from lab.standin.build import programs

PLACES = (
    "/etc/nginx/",
    "/run/nginx.pid",
    "/var/log/nginx/",
    "/var/lib/nginx/",
    "/usr/share/nginx/",
    "/usr/share/fleet/",
)
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@functools.cache
def program() -> Path:
    """The machine's own nginx, else the one that the lab's machines get."""
    installed = shutil.which("nginx")
    if installed:
        return Path(installed)
    packages = programs(Settings.load().cache, lambda _progress: None)
    return next(source for path, source in packages.files("nginx") if path == "/usr/sbin/nginx")


class Nginx:
    """One configuration at a time, with its files under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "etc/nginx/nginx.conf"
        for place in PLACES:
            (root / place.rpartition("/")[0].strip("/")).mkdir(parents=True, exist_ok=True)
        (root / "etc/nginx/mime.types").write_text("types { text/html html; text/css css; }\n")
        (root / "usr/share/fleet/unavailable.html").write_text("back soon\n")

    def write(self, text: str) -> None:
        for place in PLACES:
            text = re.sub(rf"(?<![\w/]){re.escape(place)}", f"{self.root}{place}", text)
        text = text.replace("user nginx;", f"user {'root' if os.getuid() == 0 else 'nobody'};")
        folders = "".join(f"    {name}_temp_path {self.root}/var/lib/nginx/{name};\n" for name in TEMPORARY)
        self.file.write_text(text.replace("http {\n", "http {\n" + folders, 1))

    def error(self, text: str) -> str:
        """What `nginx -t` has against a configuration; '' if nothing."""
        self.write(text)
        done = subprocess.run(
            [program(), "-t", "-q", "-c", self.file, "-e", "stderr"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return "" if done.returncode == 0 else done.stderr or "no output"

    @contextmanager
    def running(self, text: str) -> Iterator[None]:
        self.write(text)
        process = subprocess.Popen(
            [program(), "-c", self.file, "-e", "stderr", "-g", "daemon off;"], stderr=subprocess.PIPE
        )
        try:
            pid = self.root / "run/nginx.pid"
            deadline = time.monotonic() + 20
            while not (pid.exists() and pid.read_text().strip()):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"nginx did not start: {process.stderr.read() if process.stderr else ''!r}")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=20)

    def reload(self, text: str) -> None:
        self.write(text)
        os.kill(int((self.root / "run/nginx.pid").read_text()), signal.SIGHUP)
