"""The stand-in's packages as their folders describe them (`packages/*`, `agents/*`; the format: README.md), and their files."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.standin import old
from lab.standin.debian import Debian

HERE = Path(__file__).parent
SYSTEMS = ("al2", "al2023")
DIST = {"al2": "amzn2.standin", "al2023": "amzn2023.standin"}
LEFT_OUT = [
    "/etc/init.d/*", "/etc/default/*", "/etc/ufw/*", "/etc/apparmor.d/*", "/etc/logcheck/*", "/etc/network/*", "/etc/ppp/*",
    "/etc/dhcp/*", "/usr/share/doc/*", "/usr/share/man/*", "/usr/share/lintian/*", "/usr/share/bug/*", "/usr/share/locale/*",
    "/usr/share/bash-completion/*", "/usr/lib/systemd/*",
]  # fmt: skip
"""What is never taken from a Debian package: documentation, and how Debian starts and configures the program."""


@dataclass(frozen=True, eq=False)
class Package:
    """One RPM. Absent `version` and `release`: the Debian package's version, and `1` with the system's tag."""

    folder: Path
    name: str
    summary: str
    license: str
    version: str = ""
    release: str = ""
    systems: tuple[str, ...] = SYSTEMS
    preinstalled: tuple[str, ...] = ()
    repository: dict[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    debian: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    python_folder: str = ""
    take: tuple[str, ...] = ("/*",)
    leave: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)
    config: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    restart: bool = True
    scriptlets: dict[str, str] = field(default_factory=dict)
    updated_by: dict[str, str] = field(default_factory=dict)

    def released(self, system: str, update: bool = False) -> str:
        """The RPM release on `system`; `update`: of the build that the security update brings."""
        return self.release or f"{2 if update else 1}.{DIST[system]}"

    def in_repository(self, system: str) -> str:
        """The repository that offers it: `core`, or e.g. `extras/nginx1`."""
        return self.repository.get(system, "core")


def load_packages(system: str) -> list[Package]:
    """Every package that the stand-in of `system` has. Raises LabError naming the file for a bad description."""
    files = sorted([*HERE.glob("packages/*/package.toml"), *HERE.glob("agents/*/package.toml")])
    return [package for package in map(load_package, files) if system in package.systems]


def load_package(file: Path) -> Package:
    """Reads one `package.toml`. Raises LabError for a bad one."""
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text())
        package = Package(folder=file.parent, **_frozen(values))
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise LabError(f"reading {file}: {error}", hint="lab/standin/README.md describes the format") from error
    if package.release and "standin" not in package.release:
        raise LabError(
            f"reading {file}: release '{package.release}' does not say standin", hint="append '.standin' to it"
        )
    return package


def _frozen(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def rpm_version(debian_version: str) -> str:
    """The upstream version in a Debian one: `1:3.0.9-1+b2` → `3.0.9`, `18.20.4+dfsg-1~deb12u3` → `18.20.4`."""
    upstream = debian_version.split(":", 1)[-1].rsplit("-", 1)[0]
    return re.split(r"[+~-]", upstream)[0]


def version_of(package: Package, debian: Debian) -> str:
    """The RPM version of a package: its own, else of the first Python distribution or Debian package that it is made of."""
    if package.python and not package.version:
        return metadata.version(package.python[0])
    return package.version or rpm_version(debian.version(package.debian[0]))


def python_versions(package: Package) -> list[str]:
    """`name version` of each Python distribution that it is made of. Raises LabError when one is not installed here."""
    try:
        return [f"{name} {metadata.version(name)}" for name in package.python]
    except metadata.PackageNotFoundError as error:
        raise LabError(f"{package.name} is made of the Python package {error}", hint="run `make setup`") from error


def _python_files(package: Package) -> Iterator[tuple[str, Path]]:
    """(path when installed, where it is now) of the modules of the Python distributions that this machine's lab runs with."""
    for name in package.python:
        for file in metadata.files(name) or []:
            if file.parts[0] != "..":  # scripts lie outside
                yield f"{package.python_folder}/{file}", Path(str(file.locate()))


def stage(package: Package, system: str, debian: Debian, target: Path) -> None:
    """Lays out in `target` what the package installs: chosen files of Debian and Python packages, then the folder's own files over them."""
    for name in debian.matching(package.debian):
        for path, source in debian.files(name):
            if _wanted(package, path):
                placed = package.renamed.get(path, path)
                _put(source, target / placed.lstrip("/"), library=".so" in Path(path).name)
    for path, source in _python_files(package):
        if _wanted(package, path):
            _put(source, target / path.lstrip("/"), own=True)
    for tree in ("root", f"root-{system}"):
        base = package.folder / tree
        for source in _files(base):
            _put(source, target / source.relative_to(base), own=True)
    for directory in package.directories:
        (target / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
    if system == "al2":
        old.age(target)


def _wanted(package: Package, path: str) -> bool:
    return _matches(path, package.take) and not _matches(path, (*package.leave, *LEFT_OUT))


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _files(base: Path) -> Iterator[Path]:
    return (path for path in sorted(base.rglob("*")) if (path.is_symlink() or path.is_file()) and path.suffix != ".pyc")


def _put(source: Path, target: Path, *, own: bool = False, library: bool = False) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
    if target.is_symlink():
        return
    if own:  # git keeps the execute bit only
        target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
    elif library:  # dependencies are read from executable files
        target.chmod(0o755)


def scriptlets(package: Package) -> dict[str, str]:
    """The package's scriptlets (`pre`, `post`, `preun`, `postun`): users, services as systemd's RPM macros do it, then its own lines."""
    parts: dict[str, list[str]] = {"pre": [], "post": [], "preun": [], "postun": []}
    for group in (*package.users, *package.groups):
        parts["pre"].append(f"getent group {group} >/dev/null || groupadd -r {group}")
    for user, home in package.users.items():
        parts["pre"].append(
            f"getent passwd {user} >/dev/null || useradd -r -g {user} -d {home} -s /sbin/nologin {user}"
        )
    units = " ".join(dict.fromkeys((*package.services, *package.start)))
    if units:
        parts["post"].append("systemctl daemon-reload >/dev/null 2>&1 || :")
        parts["post"].append(f"if [ $1 -eq 1 ]; then systemctl preset {units} >/dev/null 2>&1 || :; fi")
        parts["preun"].append(
            f"if [ $1 -eq 0 ]; then systemctl --no-reload disable --now {units} >/dev/null 2>&1 || :; fi"
        )
        parts["postun"].append("systemctl daemon-reload >/dev/null 2>&1 || :")
        if package.restart:
            parts["postun"].append(f"if [ $1 -ge 1 ]; then systemctl try-restart {units} >/dev/null 2>&1 || :; fi")
    for unit in package.start:
        parts["post"].append(f"if [ $1 -eq 1 ]; then systemctl enable --now {unit} >/dev/null 2>&1 || :; fi")
    for name, text in package.scriptlets.items():
        parts[name].append(text.strip())
    return {name: "\n".join(lines) for name, lines in parts.items() if lines}
