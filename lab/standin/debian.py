"""The userland that both stand-ins are made of: a Debian root from this machine's own package sources."""

from __future__ import annotations

import fnmatch
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.run import run
from lab.standin.cache import build_once, digest, remove_tree

BASE_PACKAGES = [
    "acl", "bzip2", "ca-certificates", "curl", "dbus", "dnf", "dnf-plugins-core", "e2fsprogs", "file", "findutils", "gpg", "hostname",
    "iproute2", "iputils-ping", "kmod", "less", "libpam-pwquality", "logrotate", "nftables", "openssh-client", "openssh-server",
    "openssl", "procps", "psmisc", "python3", "rpm", "sudo", "systemd", "systemd-sysv", "tar", "tzdata", "udev", "unzip", "vim-tiny",
    "xz-utils", "zstd",
]  # fmt: skip
EXCLUDED = [f"/usr/share/{folder}/*" for folder in ("man", "doc", "info", "locale", "perl/*/pod", "lintian")]
SOURCES = Path("/etc/apt")


def need_tools(*tools: str) -> None:
    """Raises LabError when a program that the build starts is not on this machine."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise LabError(f"building the stand-in: {', '.join(missing)} is not installed", hint="run `make setup`")


def codename() -> str:
    """This machine's Debian or Ubuntu release, e.g. `bookworm`. Raises LabError elsewhere."""
    match = re.search(r"^VERSION_CODENAME=\"?(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    if match is None or not SOURCES.is_dir():
        raise LabError(
            "building the stand-in: this machine has no apt package sources",
            hint="use Debian 12 or newer; see docs/lab.md",
        )
    return match.group(1)


def source_files(release: str) -> list[Path]:
    """The machine's apt source files that serve its own release (others, as of a vendor, stay out of the stand-in)."""
    files = [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]
    files = [file for file in files if file.suffix in {".list", ".sources"} and file.is_file()]
    return [file for file in files if re.search(rf"^(deb\s.*|Suites:.*)\b{release}\b", file.read_text(), re.MULTILINE)]


def debian_root(cache: Path, progress: Callable[[str], None]) -> Path:
    """The shared Debian root, with dpkg's records still in it. Read-only use. About 30 s on two cores the first time."""
    release = codename()

    def make(folder: Path) -> None:
        progress(f"installing a {release} userland from this machine's package sources (half a minute)")
        sources = source_files(release)
        if not sources:
            raise LabError(
                f"building the stand-in: no apt source in {SOURCES} serves {release}",
                hint="add your mirror and run this again",
            )
        bootstrap(folder / "root", release, BASE_PACKAGES, list(map(str, sources)))

    return build_once(cache / "base", "debian", recipe(), make) / "root"


def recipe() -> str:
    """The digest of what the Debian root is made of."""
    return digest([codename(), platform.machine(), *BASE_PACKAGES, *EXCLUDED])


def bootstrap(root: Path, release: str, packages: Sequence[str], sources: Sequence[str]) -> None:
    """Installs `packages` and what they need into `root`, from `sources` (apt's files or lines). Raises LabError with apt's own words."""
    need_tools("mmdebstrap", "apt-config")
    options = root.parent / "apt.conf"
    options.write_text('APT::Install-Recommends "false";\n' + _host_transport())
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", f"--aptopt={options}", *excluded]
    # apt's lists stay: the repository takes further packages from the same sources, at the same state.
    command += ["--skip=cleanup/apt", f"--include={','.join(packages)}", release, str(root), *sources]
    done = run(command, timeout=900, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-12:])
        hint = "check with `apt-get update` that this machine reaches its package sources and that its disk is not full"
        raise LabError(f"installing Debian's packages into {root} failed:\n{tail}", hint=hint)


def _host_transport() -> str:
    """How this machine's apt reaches its sources (proxy, date checks): its Acquire settings."""
    dump = run(["apt-config", "dump", "--format", '%f "%v";%n', "Acquire"], timeout=30).stdout
    setting = re.compile(r'^Acquire::(\w+::[Pp]roxy\S*|Check-Valid-Until|Check-Date|Retries|https?::\S+) "[^"]+";$')
    return "".join(f"{line}\n" for line in dump.splitlines() if setting.match(line))


def package_files(root: Path) -> dict[str, list[str]]:
    """Every installed Debian package of `root` → the absolute paths that it owns (directories too)."""
    info = root / "var/lib/dpkg/info"
    return {
        file.name.removesuffix(".list").split(":")[0]: file.read_text().splitlines()
        for file in sorted(info.glob("*.list"))
    }


def package_versions(root: Path) -> dict[str, str]:
    """Every installed Debian package of `root` → its version."""
    status = (root / "var/lib/dpkg/status").read_text()
    return dict(re.findall(r"^Package: (\S+)\n(?:.*\n)*?Version: (\S+)$", status, re.MULTILINE))


@dataclass(frozen=True)
class Debian:
    """Debian packages to take files from: those installed in `root`, and those unpacked as `unpacked`/<name>-<version>."""

    root: Path
    unpacked: Path

    def matching(self, patterns: Iterable[str]) -> list[str]:
        """The names of the packages that match. Raises LabError for a pattern that none matches."""
        names = sorted({*package_files(self.root), *self._unpacked()})
        found = {pattern: fnmatch.filter(names, pattern) for pattern in patterns}
        for pattern, matches in found.items():
            if not matches:
                hint = "it has another name on this release: see lab/standin/packages"
                raise LabError(f"this machine's package sources gave no Debian package '{pattern}'", hint=hint)
        return list(dict.fromkeys(name for matches in found.values() for name in matches))

    def version(self, name: str) -> str:
        """The Debian version of a package."""
        folder = self._unpacked().get(name)
        return (
            package_versions(self.root)[name]
            if folder is None
            else folder.name.removeprefix(f"{name}_").replace("%3a", ":")
        )

    def files(self, name: str) -> Iterator[tuple[str, Path]]:
        """(path when installed, where it is now) of every file and link of a package; /bin, /lib and /sbin are those of /usr."""
        folder = self._unpacked().get(name)
        if folder is None:
            paths = [(path, self.root / path.lstrip("/")) for path in package_files(self.root)[name]]
        else:
            paths = [(f"/{path.relative_to(folder)}", path) for path in sorted(folder.rglob("*"))]
        for path, source in paths:
            if source.is_symlink() or source.is_file():
                yield re.sub(r"^/(s?bin|lib\w*)/", r"/usr/\1/", path), source

    def _unpacked(self) -> dict[str, Path]:
        return {folder.name.split("_")[0]: folder for folder in sorted(self.unpacked.iterdir())}


def debian_packages(cache: Path, names: Sequence[str], progress: Callable[[str], None]) -> Debian:
    """The shared root, and `names` with what they need beyond it, downloaded from the same sources and unpacked."""
    root = debian_root(cache, progress)

    def make(folder: Path) -> None:
        progress("downloading the programs that the repository offers")
        (folder / "debs/partial").mkdir(parents=True)
        (folder / "unpacked").mkdir()
        options = {
            "Dir::Etc": root / "etc/apt",
            "Dir::State::status": root / "var/lib/dpkg/status",
            "Dir::State::lists": root / "var/lib/apt/lists",
            "Dir::Cache": folder / "apt",
            "Dir::Cache::archives": folder / "debs",
            "Debug::NoLocking": "1",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        run(["apt-get", *words, "install", "-y", "--download-only", "--no-install-recommends", *names], timeout=600)
        for deb in (folder / "debs").glob("*.deb"):
            name, version, _ = deb.name.split("_")
            run(["dpkg-deb", "-x", deb, folder / "unpacked" / f"{name}_{version}"], timeout=120)
        remove_tree(folder / "debs")

    folder = build_once(cache / "base", "programs", digest([recipe(), *names]), make)
    return Debian(root, folder / "unpacked")
