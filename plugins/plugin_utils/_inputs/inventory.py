# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run reaches the hosts that it is meant for: the inventory against the hosts' tags and the Auto Scaling group. Pure.

Source: "Amazon EC2 Auto Scaling instance lifecycle" (Amazon EC2 Auto Scaling User Guide).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COMING_OR_GOING = ("Pending", "Terminat", "Detach", "Warmed")
"""How the lifecycle states begin in which a host need not be in the inventory."""


@dataclass(frozen=True)
class Inventory:
    """What Ansible has read. `tags`: host → its EC2 tags, of every host that has some; `web`: hosts of that group; `chosen`: by --limit."""

    tags: Mapping[str, Mapping[str, str]]
    web: frozenset[str]
    chosen: frozenset[str]
    limit: str | None = None


def unread(sources: Iterable[str], read: Sequence[str] | None) -> list[str]:
    """One sentence for each source that is not among those that were read. `read`: None if that is not known."""
    if read is None:
        return []
    return [
        f"The inventory's {source} could not be read; Ansible's warnings at the beginning of the run say why."
        for source in sources
        if source not in read
    ]


def violations(inventory: Inventory, role: str, group: str, members: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence for each host that the run would leave out without a word.

    `role`: the tag Role of web hosts; `group`: name of the Auto Scaling group; `members`: its instances, as DescribeAutoScalingGroups
    has them.
    """
    found = [*_misspelt(inventory, role), *_left_out(inventory, group, members)]
    if not inventory.web:
        found.append(
            "The inventory has no host in group web. A warning at the beginning of the run says so if it could not be read; otherwise "
            f"no running instance has its tags and Role={role}."
        )
    elif inventory.limit and not inventory.web & inventory.chosen:
        found.append(f"--limit {inventory.limit} leaves no host of group web.")
    return found


def _misspelt(inventory: Inventory, role: str) -> Iterator[str]:
    for host, tags in sorted(inventory.tags.items()):
        value = tags.get("Role", "")
        if host not in inventory.web and value.strip().lower() in ("", role.lower()):
            says = f"the tag Role='{value}'" if "Role" in tags else "no tag Role"
            yield f"{host} has {says}, so it is in no group of the inventory; a web host has exactly Role={role}."


def _left_out(inventory: Inventory, group: str, members: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    named = {host for host, tags in inventory.tags.items() if host not in inventory.web}
    for member in members:
        host, lifecycle = member["InstanceId"], member["LifecycleState"]
        if host in inventory.web or lifecycle.startswith(COMING_OR_GOING):
            continue
        where = "in the inventory, but not in its group web" if host in named else "not in the inventory"
        yield (
            f"{host} ({member['AvailabilityZone']}, {lifecycle}) is in Auto Scaling group {group} and {where}; compare its tags with the "
            "filters of the inventory's aws_ec2.yml."
        )
