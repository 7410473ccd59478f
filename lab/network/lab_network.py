"""The lab's network: a namespace with one bridge, no route to the outside, and the addresses that the lab itself answers on."""

from __future__ import annotations

import os
from ipaddress import IPv4Address
from pathlib import Path

from lab.errors import LabError
from lab.network import namespaces
from lab.run import run
from lab.settings import BRIDGE, BRIDGE_MAC, GATEWAY, IMDS_ADDRESS, PREFIX_LENGTH, Settings


class LabNetwork:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._mark = settings.state / "netns"
        """The inode of the namespace that this lab made, so that a foreign one of the same name is left alone."""

    @property
    def exists(self) -> bool:
        """Whether there is a network namespace with the lab's name, whoever made it."""
        return self.settings.netns_path.exists()

    @property
    def ours(self) -> bool:
        try:
            return self._mark.read_text() == self._identity()
        except OSError:
            return False

    def create(self) -> None:
        """Makes the namespace, the bridge and the lab's addresses. A leftover of this lab must be removed first (`remove`)."""
        self.refuse_foreign()
        if self.exists:
            raise LabError(f"Network namespace {self.settings.netns} is still there", hint="Run `lab down` first.")
        run(["ip", "netns", "add", self.settings.netns], timeout=10)
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        self._mark.write_text(self._identity())
        for command in (
            "link set lo up",
            f"link add {BRIDGE} address {BRIDGE_MAC} type bridge forward_delay 0 stp_state 0",
            f"address add {GATEWAY}/{PREFIX_LENGTH} dev {BRIDGE}",
            f"address add {IMDS_ADDRESS}/32 dev {BRIDGE}",
            f"link set {BRIDGE} up",
        ):
            self._ip(*command.split())
        # What machines send to the outside is answered "unreachable" at once; without forwarding it would be dropped in silence.
        namespaces.call(self.settings.netns_path, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))

    def remove(self) -> None:
        """Removes the namespace if this lab made it. Its processes must have been ended (`lab.processes.end`)."""
        self.refuse_foreign()
        if self.exists:
            run(["ip", "netns", "delete", self.settings.netns], timeout=10)
        self._mark.unlink(missing_ok=True)

    def refuse_foreign(self) -> None:
        """Raises LabError when a namespace of the lab's name exists that this lab did not make."""
        if self.exists and not self.ours:
            raise LabError(
                f"Network namespace {self.settings.netns} exists and was not made by this lab "
                f"(no matching record in {self.settings.state})",
                hint=f"Remove it with `ip netns delete {self.settings.netns}` if nobody needs it, "
                "or start a lab of another name: `LAB_NAME=other lab up`.",
            )

    def add_address(self, address: str) -> None:
        """Makes the lab itself answer on one more address (a load balancer's). Adding it twice changes nothing."""
        self._ip("address", "replace", f"{IPv4Address(address)}/32", "dev", BRIDGE)

    def remove_address(self, address: str) -> None:
        """Takes an address back. One that is not there changes nothing."""
        self._ip("address", "delete", f"{IPv4Address(address)}/32", "dev", BRIDGE, check=False)

    def remove_link(self, name: str) -> None:
        """Deletes an interface (a stopped machine's end of the cable). One that is not there changes nothing."""
        self._ip("link", "delete", name, check=False)

    def _ip(self, *arguments: str, check: bool = True) -> None:
        run(["ip", "-netns", self.settings.netns, *arguments], timeout=10, check=check)

    def _identity(self) -> str:
        found = Path(self.settings.netns_path).stat()
        return f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}:{found.st_ino}\n"
