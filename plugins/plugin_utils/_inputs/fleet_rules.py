# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables fleet_*: their specification, and the rules that join several of them.

Sources: "Health checks for Application Load Balancer target groups", "CreateLoadBalancer" and "CreateTargetGroup" (Elastic Load Balancing),
"Tag your Amazon EC2 resources" (Amazon EC2 User Guide).
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from ansible.module_utils.common.yaml import yaml_load

from .names import COLLECTION, suggestion
from .values import violations as value_violations

SPECIFICATION = COLLECTION / "meta/fleet_variables.yml"
Given = Mapping[str, Any]
KEY_LENGTH, VALUE_LENGTH = 128, 256
"""Of a tag, in characters."""


@cache
def specification() -> dict[str, dict[str, Any]]:
    """Variable → its entry."""
    loaded: dict[str, dict[str, Any]] = yaml_load(SPECIFICATION.read_text(encoding="utf-8"))
    return loaded


def violations(used: frozenset[str], given: Given, regions: frozenset[str]) -> list[str]:
    """One sentence for each variable that is missing or wrong.

    `used`: names that the playbook uses; `given`: values by name; `regions`: those that the AWS library knows, empty without one.
    """
    specified = specification()
    missing = [
        name
        for name, option in specified.items()
        if name in used and option.get("required") and given.get(name) is None
    ]
    there = {name: value for name, value in given.items() if name in specified and value is not None}
    wrong = {
        name: sentences
        for name, value in there.items()
        if (sentences := value_violations({name: specified[name]}, {name: value}))
    }
    right = {name: value for name, value in there.items() if name not in wrong}
    return [
        *map(_missing, missing),
        *(text for sentences in wrong.values() for text in sentences),
        *_together(right, regions),
    ]


def _missing(name: str) -> str:
    option = specification()[name]
    example = option.get("example", option.get("choices", ["…"])[0])
    return (
        f"{name} is missing: {option['description'].rstrip('.')}. Set it in the inventory or with -e {name}={example}."
    )


def _together(given: Given, regions: frozenset[str]) -> Iterator[str]:
    """Rules of several variables, and those that the specification has no word for. The types are right."""
    sizes = [
        (name, int(given[name])) for name in ("fleet_min_size", "fleet_desired_size", "fleet_max_size") if name in given
    ]
    for (name, size), (next_name, next_size) in pairwise(sizes):
        if size > next_size:
            yield f"{name} is {size}; allowed: at most {next_name}, which is {next_size}."
    timeout, interval = (given.get(f"fleet_health_check_{name}_seconds") for name in ("timeout", "interval"))
    if timeout is not None and interval is not None and int(timeout) >= int(interval):
        yield (
            f"fleet_health_check_timeout_seconds is {timeout}; allowed: less than fleet_health_check_interval_seconds, which is "
            f"{interval}."
        )
    file, checksum = (f"fleet_release_runtime_{name}" for name in ("file", "sha256"))
    if (file in given) != (checksum in given):
        there, lacking = (file, checksum) if file in given else (checksum, file)
        yield f"{lacking} is missing; {there} needs it."
    release = given.get("fleet_patch_release", "latest")
    if given.get("fleet_os") == "al2" and release != "latest":
        yield f"fleet_patch_release is '{release}'; allowed: latest, Amazon Linux 2 has no others."
    for name in ("fleet_region", "fleet_dr_region"):
        region = str(given.get(name, ""))
        if regions and name in given and region not in regions:
            yield (
                f"{name} is '{region}', which is no AWS region{suggestion(region, regions)}; for one that is newer than the AWS "
                "library here, update boto3 and botocore."
            )
    for network in given.get("fleet_load_balancer_networks", []):
        try:
            ipaddress.ip_network(str(network))
        except ValueError as error:
            yield f"fleet_load_balancer_networks has '{network}'; allowed: networks such as 10.0.0.0/16 ({error})."
    yield from _tags(given.get("fleet_tags", {}))


def _tags(tags: Mapping[Any, Any]) -> Iterator[str]:
    for key, value in tags.items():
        if not isinstance(key, str) or not key or len(key) > KEY_LENGTH or key.lower().startswith("aws:"):
            yield f"fleet_tags has the key '{key}'; allowed: 1 to {KEY_LENGTH} characters that don't begin with aws:."
        elif not isinstance(value, str) or len(value) > VALUE_LENGTH:
            yield f"fleet_tags.{key} is '{value}'; allowed: a text of at most {VALUE_LENGTH} characters (a number in quotes)."
        elif odd := [character for character in key + value if not _in_tags(character)]:
            yield f"fleet_tags.{key} is '{value}' with {odd[0]!r}; allowed in a tag: letters, digits, spaces and _ . : / = + - @."


def _in_tags(character: str) -> bool:
    """What every service takes; Elastic Load Balancing, Auto Scaling and Systems Manager refuse the rest."""
    return character in "_.:/=+-@" or unicodedata.category(character)[0] in "LNZ"
