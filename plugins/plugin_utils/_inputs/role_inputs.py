# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the roles that a playbook uses, before a host is contacted: argument specs, rules, exceptions and overrides of controls."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ansible.module_utils.common.yaml import yaml_load

from .. import role_rules
from . import values
from .evaluation import Evaluation, role_part
from .names import COLLECTION
from .playbook import Playbook, RoleUse

RELEASES = {"al2": "2", "al2023": "2023"}
"""The tag OS and fleet_os → the version of Amazon Linux."""
_ARCHIVE = {"url": "s3://not-read-yet/archive", "sha256": "0" * 64}
NOT_READ_YET = {"version": "unknown", "kind": "nodejs", **_ARCHIVE, "runtime": _ARCHIVE}
"""In place of the release that is read from Parameter Store later."""
REGISTER = ("hardening_exceptions", "hardening_overrides", "hardening_register_directories")


@cache
def options(role: str) -> dict[str, dict[str, Any]]:
    """The role's argument specs."""
    text = (COLLECTION / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = yaml_load(text)["argument_specs"]["main"]["options"]
    return found


def role_violations(role: str, given: Mapping[str, Any], release: str) -> list[str]:
    """One sentence for each value that the role does not take: of its argument specs; where those hold, of its rules."""
    found = values.violations(options(role), given)
    if found:
        return found
    own = {name.removeprefix(f"{role}_"): value for name, value in given.items()}
    return role_rules.violations(role, {**own, "os_release": release})


def violations(read: Playbook, loader: Any, variables: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Of every role that the playbook uses. `variables`: of a host, templates; `given`: its values of fleet_*."""
    roles = sorted({use.role for use in read.roles})
    known: dict[str, Any] = {}
    for role in roles:
        known |= role_part(loader, role, "defaults")
    known |= variables
    for role in roles:
        known |= role_part(loader, role, "vars")
    if "fleet_release" not in given:
        known["fleet_release"] = NOT_READ_YET
    system = str((variables.get("tags") or {}).get("OS") or given.get("fleet_os"))
    found: list[str] = []
    for use in read.roles:
        evaluated = Evaluation(loader, {**known, **use.variables})
        if evaluated.is_true(use.when):
            found += [text for text in _of_use(use, evaluated, RELEASES.get(system, "2023")) if text not in found]
    return found


def _of_use(use: RoleUse, evaluated: Evaluation, release: str) -> list[str]:
    chosen = {name: option for name, option in options(use.role).items() if not use.only or name in use.only}
    given, later, found = evaluated.values(chosen)
    if found or later or use.only:
        # Rules join several variables, so they need all of them: role_begin has those.
        unknown = {name for name in chosen if name in evaluated.variables} - set(given)
        found += values.violations({name: option for name, option in chosen.items() if name not in unknown}, given)
    else:
        found = role_violations(use.role, given, release)
    return found + (_of_register(evaluated.values(REGISTER)[0]) if use.role == "hardening" else [])


def _of_register(given: Mapping[str, Any]) -> list[str]:
    """Of exceptions and overrides; the register is read only where there are some."""
    if not any(given.get(name) for name in REGISTER):
        return []
    from .._hardening import task  # noqa: PLC0415 - its import reads the register
    from .._hardening.register import RegisterError  # noqa: PLC0415

    try:
        task.read({name.removeprefix("hardening_"): given.get(name) for name in REGISTER})
    except RegisterError as error:
        return [f"{' '.join(str(error).split())}."]
    return []
