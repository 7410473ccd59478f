"""The lab's own /etc/hosts: the names of load balancers and instances for everything that runs inside (`lab run`)."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

HEAD = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


class HostsFile:
    """Written in place, never replaced: it lies bound over /etc/hosts in the mount namespaces of running commands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._change = threading.Lock()
        self._groups: dict[str, dict[str, str]] = {}

    def set(self, group: str, names: Mapping[str, str]) -> None:
        """Makes `names` (name → IPv4 address) the whole of one group, such as `load-balancers`; other groups stay."""
        with self._change:
            if self._groups.get(group) == names:
                return
            self._groups[group] = {name: str(IPv4Address(address)) for name, address in names.items()}
            self._write()

    def _write(self) -> None:
        lines = [f"{address} {name}\n" for group in self._groups.values() for name, address in sorted(group.items())]
        content = (HEAD + "".join(lines)).encode()
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(fd, content, 0)
            os.ftruncate(fd, len(content))
        finally:
            os.close(fd)


def address_of(path: Path, name: str) -> str | None:
    """Looks a name up in a hosts file."""
    for line in path.read_text().splitlines():
        address, *found = line.partition("#")[0].split() or [""]
        if name in found:
            return address
    return None
