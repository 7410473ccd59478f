"""Packages of an imported image, from its own repositories or a mirror of them, by its own dnf or yum."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.environment import PROXIES
from lab.errors import LabError
from lab.machines.machine import PATH_INSIDE
from lab.run import Completed, run
from lab.settings import OperatingSystem
from lab.standin.cache import remove_tree

WORK = "var/tmp/lab-import"
"""In the root, for the time of the import."""
INSTALL_SECONDS = 1800
ENTER = """
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do : >"$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
ln -s /proc/self/fd "$root/dev/fd"
[ ! -e /etc/resolv.conf ] || mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
exec chroot "$root" "$@"
"""
NEEDED = [
    "ca-certificates", "chrony", "dbus", "findutils", "gzip", "hostname", "iproute", "logrotate", "openssh-clients", "openssh-server",
    "procps-ng", "python3", "shadow-utils", "sudo", "systemd", "tar", "util-linux",
]  # fmt: skip
"""What a machine of the lab is made of. A container image has little of it."""
ALSO: dict[OperatingSystem, list[str]] = {
    "al2": [
        "acl",
        "audit",
        "cronie",
        "kmod",
        "less",
        "rsyslog",
        "systemd-networkd",
        "unzip",
        "vim-minimal",
        "which",
        "yum-utils",
    ],
    "al2023": [
        "acl",
        "audit",
        "dnf-plugins-core",
        "kmod",
        "less",
        "systemd-networkd",
        "systemd-udev",
        "unzip",
        "vim-minimal",
        "which",
    ],
}
"""What the AMI has, as far as the repositories offer it."""
OF_ROLES: dict[OperatingSystem, list[str]] = {
    "al2": ["aide", "libpwquality", "nginx", "yum-plugin-versionlock"],
    "al2023": [
        "aide",
        "audit",
        "cronie",
        "libpwquality",
        "nginx",
        "nodejs20",
        "nodejs22",
        "nodejs24",
        "python3-dnf-plugin-versionlock",
        "rsyslog",
    ],
}
"""What the roles install later. A machine of the lab has no way to the image's own repositories, so it is downloaded now."""
CAUSES = (
    (
        r"no space left|more space needed|disk requirements",
        "the disk is full",
        "Free some disk space, or move the cache (LAB_CACHE).",
    ),
    (
        r"gpg check failed|not signed|public key .* is not|pgp",
        "a package is not signed by a key of the image",
        "Use a mirror that has the packages as Amazon signed them.",
    ),
    (
        r"resolve host|curl error|(failed to|cannot) download|find a valid baseurl|timed out|unreachable|errno 14|not connect",
        "the package repositories can't be reached",
        "Check the network and the proxy, or name a mirror: --repository URL or --repo-file FILE.",
    ),
)


@dataclass(frozen=True)
class Repositories:
    """Where packages come from instead of the image's own repositories; empty for those."""

    urls: tuple[str, ...] = ()
    file: Path | None = None

    def check(self) -> None:
        for url in self.urls:
            if not re.fullmatch(r"(https?|ftp)://\S+", url):
                raise LabError(f"--repository {url!r} is no address", hint="It takes http://… or https://….")
        if self.file is not None and not self.file.is_file():
            raise LabError(
                f"--repo-file {self.file}: there is no such file", hint="It takes a .repo file of dnf or yum."
            )

    def text(self, root: Path | None = None) -> str:
        """The content of a .repo file. Packages must be signed by a key that the image in `root` has."""
        keys = sorted((root / "etc/pki/rpm-gpg").glob("*")) if root else []
        signed = "gpgcheck=1\ngpgkey=" + " ".join(f"file:///etc/pki/rpm-gpg/{key.name}" for key in keys)
        parts = [
            f"[lab-import-{number}]\nname={url}\nbaseurl={url}\nenabled=1\n{signed}\n"
            for number, url in enumerate(self.urls)
        ]
        return "\n".join([*parts, self.file.read_text() if self.file else ""])

    @property
    def own(self) -> bool:
        return not self.urls and self.file is None


def enter(root: Path, argv: Sequence[str], *, timeout: float = 300) -> Completed:
    """Runs a program of a root file system with this machine's network. When it ends or this process dies, nothing of it stays."""
    proxies = {name: value for name, value in os.environ.items() if name.lower() in {*PROXIES, "no_proxy"}}
    env = {"PATH": PATH_INSIDE, "HOME": "/root", "LANG": "C.UTF-8", **proxies}
    own = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--ipc", "--uts"]
    return run([*own, "sh", "-c", ENTER, "sh", root, *argv], timeout=timeout, check=False, env=env)


@contextlib.contextmanager
def package_manager(root: Path, repositories: Repositories) -> Iterator[list[str]]:
    """The arguments that start the image's dnf or yum with these repositories."""
    program = next((name for name in ("dnf", "yum") if (root / "usr/bin" / name).exists()), None)
    if program is None:
        raise LabError("The image has neither dnf nor yum", hint="Import the full image, not the minimal one.")
    for folder in ("proc", "dev", "sys", "tmp", f"{WORK}/repos.d"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.touch()
    words = [program, "-y", "--setopt=tsflags=nodocs"]
    words += ["--setopt=install_weak_deps=0", "--setopt=strict=0"] if program == "dnf" else []
    if not repositories.own:
        (root / WORK / "repos.d/lab-import.repo").write_text(repositories.text(root))
        words.append(f"--setopt=reposdir=/{WORK}/repos.d")
    try:
        yield words
    finally:
        remove_tree(root / WORK)


def install(root: Path, words: Sequence[str], system: OperatingSystem) -> None:
    """Installs what makes a machine of the root. Raises LabError naming what the repositories did not have."""
    done = enter(root, [*words, "install", *NEEDED, *ALSO[system]], timeout=INSTALL_SECONDS)
    missing = [name for name in NEEDED if enter(root, ["rpm", "-q", "--whatprovides", name]).returncode != 0]
    if not missing and done.returncode == 0:
        return
    output = done.stdout + done.stderr
    for pattern, cause, hint in CAUSES:
        if re.search(pattern, output, re.IGNORECASE):
            raise LabError(f"Installing {', '.join(missing) or 'packages'}: {cause}:\n{_tail(output)}", hint=hint)
    raise LabError(
        f"The image's repositories did not give {', '.join(missing) or 'all packages'}:\n{_tail(output)}",
        hint="Name a complete mirror: --repository URL or --repo-file FILE.",
    )


def download(root: Path, words: Sequence[str], system: OperatingSystem, target: Path) -> list[str]:
    """Downloads what the roles install, with what it needs. Returns the names that the repositories did not have."""
    extras = system == "al2" and (root / "usr/bin/amazon-linux-extras").exists()
    if extras:
        enter(root, ["amazon-linux-extras", "enable", "nginx1"])
    folder = root / WORK / "packages"
    folder.mkdir()
    options = ["--downloadonly", f"--downloaddir=/{WORK}/packages"]
    enter(root, [*words, "install", *options, *OF_ROLES[system]], timeout=INSTALL_SECONDS)
    if extras:
        enter(root, ["amazon-linux-extras", "disable", "nginx1"])
    for file in folder.glob("*.rpm"):
        shutil.move(file, target / file.name)
    there = {re.sub(r"-[^-]+-[^-]+$", "", file.name) for file in target.glob("*.rpm")}
    return [name for name in OF_ROLES[system] if name not in there and enter(root, ["rpm", "-q", name]).returncode != 0]


def _tail(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-8:])
