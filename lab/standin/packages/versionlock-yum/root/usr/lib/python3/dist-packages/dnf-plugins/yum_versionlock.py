"""yum's version locks under dnf: of a package that /etc/yum/pluginconf.d/versionlock.list names, other versions are not offered."""

import re
from pathlib import Path

import dnf
import hawkey

LIST = Path("/etc/yum/pluginconf.d/versionlock.list")
ENTRY = re.compile(r"(?:(?P<epoch>\d*):)?(?P<name>.+)-(?P<version>[^-]+)-(?P<release>[^-]+)\.(?P<arch>[^.]+)")


def read_locks(text: str) -> list[tuple[str, int, str, str]]:
    """[(name, epoch, version, release)], compared as they are written, as yum does; the architecture is left open."""
    locks = []
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        entry = ENTRY.fullmatch(line)
        if entry is None:
            raise dnf.exceptions.Error(f"{LIST}: '{line}' is not EPOCH:NAME-VERSION-RELEASE.ARCH")
        locks.append((entry["name"], int(entry["epoch"] or 0), entry["version"], entry["release"]))
    return locks


class YumVersionLock(dnf.Plugin):  # type: ignore[misc]
    name = "yum_versionlock"

    def sack(self) -> None:
        locks = read_locks(LIST.read_text())
        if not locks:
            return
        query = self.base.sack.query()
        locked = query.filter(empty=True)
        for name, epoch, version, release in locks:
            locked = locked.union(query.filter(name=name, epoch=epoch, version=version, release=release))
        others = query.filter(name=[lock[0] for lock in locks]).difference(locked)
        self.base.sack.add_excludes(others.filter(reponame__neq=hawkey.SYSTEM_REPO_NAME))
