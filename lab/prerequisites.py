"""Whether this computer can run a lab at all. Imports nothing that exists on Linux only."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError

PROGRAMS = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "systemd-nspawn": "systemd-container",
    "haproxy": "haproxy",
    "mmdebstrap": "mmdebstrap",
    "rsync": "rsync",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "rpmbuild": "rpm",
    "createrepo_c": "createrepo-c",
    "dnf": "dnf",
    "gpg": "gpg",
}
"""Program → Debian package."""


def require_linux(platform: str = sys.platform) -> None:
    if platform != "linux":
        raise LabError(
            f"The lab needs Linux (network namespaces, systemd-nspawn); this is {platform}",
            hint="Run it in a Linux machine or VM with root.",
        )


def require_root(uid: int | None = None) -> None:
    if (os.geteuid() if uid is None else uid) != 0:
        raise LabError(
            "The lab needs root: it makes network namespaces and boots machines",
            hint="Run the same command with sudo, or as root.",
        )


def require_programs(find: Callable[[str], str | None] = shutil.which) -> None:
    """Every program that a lab starts, at once, with the packages that bring what is missing."""
    missing = [program for program in PROGRAMS if find(program) is None]
    if missing:
        packages = " ".join(sorted({PROGRAMS[program] for program in missing}))
        raise LabError(
            f"Missing programs: {', '.join(missing)}",
            hint=f"Run `make setup`, or: apt-get install --no-install-recommends {packages}",
        )


def require_overlayfs(filesystems: Path = Path("/proc/filesystems"), modules: Path = Path("/lib/modules")) -> None:
    """Machines' root file systems are overlays; the kernel has them built in, loaded or at hand as a module."""
    if "overlay" in filesystems.read_text().split():
        return
    if not any((modules / os.uname().release).glob("kernel/fs/overlayfs/overlay.ko*")):
        raise LabError(
            "This kernel has no overlayfs", hint="Use a kernel with CONFIG_OVERLAY_FS (every distribution's has it)."
        )
