# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a host's variables before anything is known of the host: what needs facts or AWS's answers is left for later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible import template
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.parsing.yaml.objects import AnsibleVaultEncryptedUnicode

from .names import COLLECTION, of_playbooks, suggestion

# From ansible-core 2.19 on a text is templated only if that is said.
TRUSTED = {"trusted_as_template": True} if hasattr(template, "trust_as_template") else {}
trusted = getattr(template, "trust_as_template", str)
UNDEFINED = re.compile(r"'(\w+)' is undefined")
LONGEST_REASON = 300
"""Characters."""
LATER = ("ansible_", "__")
"""Facts, and what roles keep to themselves."""


def load_yaml(loader: Any, file: Path) -> Any:
    """A YAML file with its texts as templates. `loader`: Ansible's."""
    return loader.load_from_file(str(file), **TRUSTED)


def role_part(loader: Any, role: str, part: str) -> dict[str, Any]:
    """Variables of a role's `defaults` or `vars`."""
    loaded: dict[str, Any] = {}
    for file in sorted((COLLECTION / "roles" / role / part).rglob("*.yml")):
        loaded |= load_yaml(loader, file)
    return loaded


def decrypted(value: Any) -> Any:
    """A value with plain texts for those that Ansible decrypts only where they are used. Raises AnsibleError without their password."""
    if isinstance(value, dict):
        return {key: decrypted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [decrypted(inner) for inner in value]
    return str(value) if isinstance(value, AnsibleVaultEncryptedUnicode) else value


def reason(error: Exception) -> str:
    """Why a template can't be evaluated, on one line that can be read."""
    text = str(error)
    if "recursive loop" in text:
        return "it refers to itself"
    line = (text.splitlines() or [repr(error)])[0].rstrip(".")
    line = line if isinstance(error, AnsibleError) else f"{type(error).__name__}: {line}"
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]} …"


class Evaluation:
    """Templates over `variables`."""

    def __init__(self, loader: Any, variables: Mapping[str, Any]) -> None:
        self.variables = variables
        self._templar = template.Templar(loader=loader, variables=dict(variables))

    def values(self, names: Iterable[str]) -> tuple[dict[str, Any], set[str], list[str]]:
        """Values by name of the variables that are there; those that can't be known yet; a sentence for each that never can."""
        known: dict[str, Any] = {}
        later: set[str] = set()
        violations: list[str] = []
        for name in names:
            if name not in self.variables:
                continue
            try:
                known[name] = decrypted(self._templar.template(self.variables[name]))
            except AnsibleUndefinedVariable as error:
                undefined = UNDEFINED.search(str(error))
                if undefined is None or self._is_later(undefined[1]):
                    later.add(name)
                else:
                    near = suggestion(undefined[1], self.variables)
                    violations.append(f"{name} can't be evaluated: there is no variable {undefined[1]}{near}.")
            except Exception as error:  # a filter may raise whatever Python has
                violations.append(f"{name} can't be evaluated: {reason(error)}.")
        return known, later, violations

    def _is_later(self, name: str) -> bool:
        return name.startswith(LATER) or name in of_playbooks() or name in self.variables

    def is_true(self, conditions: Iterable[str]) -> bool:
        """Whether all are true; also where one can't be evaluated, so that nothing is left unchecked."""
        try:
            return all(self._templar.template(trusted(f"{{{{ ({text}) | bool }}}}")) for text in conditions)
        except Exception:
            return True
