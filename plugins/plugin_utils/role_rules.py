# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every role begins with: the systems that are supported, the rules of the role's variables, the packages that are missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.module_utils._host.accounts import passwd_entries
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import nginx_rules, system_rules
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._agents import cloudwatch, inspector_rules
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._app import values as app_values
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._proxysql import config as proxysql_config

Values = Mapping[str, Any]
"""A role's variables without their prefix, and `os_release`: that of Amazon Linux."""
RULES: dict[str, Callable[[Values], list[str]]] = {
    "app_runtime": app_values.violations,
    "cloudwatch_agent": cloudwatch.violations,
    "inspector": inspector_rules.violations,
    "nginx": nginx_rules.violations,
    "proxysql": proxysql_config.violations,
    "system": system_rules.violations,
}
"""Role → its rules: one sentence for each value that is not allowed. The other roles' argument specs say all there is to say."""
RELEASES = ("2", "2023")
FIRST_BOOT_SECONDS = 900
FIRST_BOOT_CODE = 124
"""What `timeout` ends with."""
ACCOUNTS_FOLLOW = "--"
# cloud-init writes result.json when all of its work at this boot is done. Where it was switched off it never does, and `status` says so.
LOOK = (
    "if [ -d /run/cloud-init ] && [ ! -e /run/cloud-init/result.json ] && command -v cloud-init >/dev/null; then "
    f"timeout {FIRST_BOOT_SECONDS} cloud-init status --wait >/dev/null 2>&1; [ $? -ne {FIRST_BOOT_CODE} ] || exit {FIRST_BOOT_CODE}; fi; "
    r"rpm --query --all --queryformat '%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n'"
    f" && echo {ACCOUNTS_FOLLOW} && getent passwd"
)
"""Amazon Linux 2 installs security updates at its first boot (repo_upgrade in cloud.cfg): what is listed before that is soon wrong, and
the package manager is locked."""


def list_error(code: int, output: str) -> str:
    """Why the packages could not be listed. `code`: of LOOK."""
    if code == FIRST_BOOT_CODE:
        return (
            f"cloud-init is still at work after {FIRST_BOOT_SECONDS} s, and may be installing packages; see `cloud-init status --long` and "
            "/var/log/cloud-init-output.log on the host, then run this again."
        )
    return f"Listing the host's packages and accounts: {output}"


def unsupported(facts: Mapping[str, Any]) -> str | None:
    """Why a host with these facts is refused; None if it is not."""
    if "distribution" not in facts:
        return "nothing is known about its operating system; gather facts first (gather_subset: min)."
    distribution, release = facts["distribution"], facts["distribution_version"]
    if distribution == "Amazon" and release in RELEASES:
        return None
    return f"it runs {distribution} {release}; supported are Amazon Linux {' and '.join(RELEASES)}."


def violations(role: str, values: Values) -> list[str]:
    """One sentence for each value that is not allowed, also for values of another shape than the argument specs say."""
    try:
        return RULES[role](values) if role in RULES else []
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return [f"Its variables can't be read: {error!r}; see the role's argument specs for their shape."]


def looked(listed: str) -> dict[str, dict[str, Any]]:
    """The facts `package_versions`, name → installed versions, each as [epoch:]version-release, and `accounts`, name → home and shell.

    `listed`: what LOOK prints. Ansible copies a host's facts often: with all that package_facts says, that took a tenth of a run.
    """
    packages, _separator, passwd = listed.partition(f"\n{ACCOUNTS_FOLLOW}\n")
    versions: dict[str, list[str]] = {}
    for name, *version in map(str.split, filter(str.strip, packages.splitlines())):
        versions.setdefault(name, []).extend(version)
    accounts = {entry["name"]: {"home": entry["home"], "shell": entry["shell"]} for entry in passwd_entries(passwd)}
    return {"package_versions": versions, "accounts": accounts}


def missing(packages: Sequence[str], version: str, installed: Mapping[str, Sequence[str]]) -> list[str]:
    """What the package manager is to install. `version`: that of all of them; empty accepts any. `installed`: as `looked` gives it."""
    return [
        f"{name}-{version}" if version else name
        for name in packages
        if name not in installed or (version and version not in map(_without_release, installed[name]))
    ]


def _without_release(full_version: str) -> str:
    return full_version.rpartition(":")[2].rpartition("-")[0]


def install_error(role: str, packages: Sequence[str], version: str | None, output: Sequence[str]) -> str:
    """Why packages are not installed, and what to do. `version`: the value of <role>_version; None if the role has no such variable."""
    names = " ".join(packages)
    allowed = (
        f"a version that the host's repository release has (`dnf --showduplicates list {names}`) and that no version lock excludes "
        "(system_package_locks)."
    )
    value = f"{role}_version is {version or 'empty'}; allowed: " if version is not None else "Needed is "
    return f"{names} can't be installed: {' '.join(part for part in output if part)} {value}{allowed}"
