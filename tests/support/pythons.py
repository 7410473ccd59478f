"""Hosts with the Pythons that Amazon Linux runs modules under, booted on the lab's network."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.run import run
from lab.standin import debian
from lab.standin.cache import build_once, digest, remove_tree

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "bullseye"
"""The last Debian that has Python 2.7; its python3 is 3.9."""
MIRRORS = ("http://deb.debian.org/debian", "http://archive.debian.org/debian")
PACKAGES = [
    "dbus",
    "iproute2",
    "kmod",
    "openssh-server",
    "openssl",
    "procps",
    "python2.7",
    "python3",
    "rpm",
    "sudo",
    "systemd",
    "systemd-sysv",
    "xz-utils",
]
USER = "ec2-user"
SETTINGS = f"""
set -e
useradd -m -s /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/90-cloud-init-users
chmod 0440 /etc/sudoers.d/90-cloud-init-users
rm -f /etc/machine-id; touch /etc/machine-id
# Debian's own @include as the entries that Linux-PAM, and so Amazon Linux, knows (pam.conf(5)).
sed -Ei 's/^@include common-(auth|account|session)$/\\1 include common-\\1/' /etc/pam.d/su
"""
IDENTITIES = {
    "2": 'NAME="Amazon Linux"\nVERSION="2"\nID="amzn"\nID_LIKE="centos rhel fedora"\nVERSION_ID="2"\n',
    "2023": 'NAME="Amazon Linux"\nVERSION="2023"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n',
}


@dataclass(frozen=True)
class HostPython:
    """A Python on a host. `why`: where Amazon Linux has it."""

    version: str
    interpreter: str
    amazon_linux: str
    why: str


PYTHONS = {
    "2.7": HostPython("2.7", "/usr/bin/python2.7", "2", "the system's Python of Amazon Linux 2"),
    "3.7": HostPython("3.7", "/opt/python3.7/bin/python3.7", "2", "package python3 of Amazon Linux 2"),
    "3.9": HostPython("3.9", "/usr/bin/python3.9", "2023", "the system's Python of Amazon Linux 2023"),
}


def old_root(cache: Path, progress: Callable[[str], None]) -> Path:
    """The root directory of a system with Python 2.7 and 3.9, for read-only use. About 40 s the first time."""
    key = digest([RELEASE, platform.machine(), *PACKAGES, SETTINGS, *debian.EXCLUDED])

    def make(folder: Path) -> None:
        progress(f"installing a {RELEASE} userland with Python 2.7 (40 seconds)")
        _bootstrap(folder / "root")
        run(["chroot", folder / "root", "bash", "-c", SETTINGS], timeout=60)

    return build_once(cache / "base", "python27", key, make) / "root"


def _bootstrap(root: Path) -> None:
    """From the first mirror that serves the release: it leaves the usual one when its support ends."""
    errors = []
    for mirror in MIRRORS:
        source = f"deb [check-valid-until=no] {mirror} {RELEASE} main"
        try:
            return debian.bootstrap(root, RELEASE, PACKAGES, [source])
        except LabError as error:
            errors.append(str(error))
            if root.exists():
                remove_tree(root)
    raise LabError("\n".join(errors))


def layer(target: Path, python: HostPython, root: Path, public_key: str) -> Path:
    """What lies over a root file system: who the host says it is, and who may log in."""
    identity = target / "usr/lib/os-release"
    identity.parent.mkdir(parents=True)
    identity.write_text(IDENTITIES[python.amazon_linux])
    entry = next(line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith(f"{USER}:"))
    uid, gid = map(int, entry.split(":")[2:4])
    keys = target / f"home/{USER}/.ssh/authorized_keys"
    keys.parent.mkdir(parents=True)
    keys.write_text(public_key)
    # As a hardened host has it: what a module makes must not depend on it. Bash reads this file for commands over SSH too.
    shell = keys.parent.with_name(".bashrc")
    shell.write_text("umask 027\n")
    for path, mode in ((keys, 0o600), (keys.parent, 0o700), (shell, 0o644), (keys.parent.parent, 0o700)):
        path.chmod(mode)
        os.chown(path, uid, gid)
    return target


def find_python37() -> Path | None:
    """The prefix of a Python 3.7 on this machine: on PATH or one of pyenv's. None if there is none; no package source has it any more."""
    program = interpreter("3.7")
    if program is None:
        return None
    prefix = Path(run([program, "-c", "import sys; print(sys.prefix)"], timeout=20).stdout.strip())
    return prefix if (prefix / "lib/python3.7/os.py").exists() else None


def interpreter(version: str) -> Path | None:
    """A Python of that version on this machine: on PATH or one of pyenv's; None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
    found = [
        shutil.which(f"python{version}"),
        *map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))),
    ]
    for program in filter(None, found):
        asked = run([program, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], timeout=20, check=False)
        if asked.returncode == 0 and asked.stdout.strip() == version:
            return Path(program)
    return None


def add_python37(prefix: Path, target: Path) -> None:
    """Copies what a module needs of a Python to where the host's interpreter is; it finds its modules beside itself."""
    place = target / "opt/python3.7"
    (place / "bin").mkdir(parents=True)
    (place / "lib").mkdir()
    shutil.copy(prefix / "bin/python3.7", place / "bin")
    (target / "usr/lib").mkdir(exist_ok=True)
    for library in (prefix / "lib").glob("libpython3.7*.so.*"):  # a build that has one; the loader looks there
        shutil.copy(library, target / "usr/lib")
    for certificates in ("etc/ssl/certs", "etc/pki/tls/certs"):
        # A Python 3.7 that was built with OpenSSL 3 fails on a bundle of certificates; Amazon's was not. So these are out of sight.
        (target / certificates).mkdir(parents=True)
        os.setxattr(target / certificates, "trusted.overlay.opaque", b"y")
    leave = shutil.ignore_patterns("test", "tests", "__pycache__", "site-packages", "idlelib", "config-*", "*.a")
    shutil.copytree(prefix / "lib/python3.7", place / "lib/python3.7", symlinks=True, ignore=leave)


def host_library(folder: Path, packages: tuple[str, ...] = ("_host", "_hardening")) -> Path:
    """These packages of module_utils in the folder, as the package ``module_utils``, for a Python without Ansible."""
    for package in packages:
        shutil.copytree(ROOT / "plugins/module_utils" / package, folder / "module_utils" / package)
    (folder / "module_utils/__init__.py").touch()  # which Python 2.7 wants of every folder
    return folder
