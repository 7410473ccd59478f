# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the role system: which values its variables may have, and what its operator should know after a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils.role_values import outside_ranges

RANGES = {
    "journal_max_mib": (16, 65536, "MiB"),
    "journal_keep_days": (1, 3653, "days"),
    "journal_burst_lines": (100, 10_000_000, "lines"),
    "logrotate_keep": (1, 3653, "files"),
    "logrotate_max_mib": (1, 65536, "MiB"),
    "open_files_limit": (1024, 1_048_576, "files"),
    "instance_min_vcpus": (1, 1024, "processors"),
    "instance_min_memory_mib": (0, 33_554_432, "MiB"),
    "swap_mib": (0, 131_072, "MiB"),
}
"""Variable → least, most, unit."""
FORMS = {
    "time_servers": (r"[A-Za-z0-9.:-]+", "an address or a host name"),
    "timezone": (r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", "a name such as UTC or America/Sao_Paulo"),
    "locale": (r"[A-Za-z0-9_.@-]+", "a name such as C.UTF-8"),
    "instance_types_allowed": (r"[a-z0-9.*?-]+", "a pattern such as t3.*"),
    "host_keys_path": (r"((/[A-Za-z0-9_.-]+)+)?", "a path such as /fleet/host-keys, or nothing"),
    "swap_path": (r"(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+", "an absolute path of letters, digits, '-', '_' and '.'"),
}
"""Variable (a text or a list of texts) → regular expression, what it means."""
KERNEL_SETTING = {
    "name": (r"[a-z0-9_]+([.][A-Za-z0-9_-]+)+", "a name as sysctl -a shows it"),
    "value": (r"[^\n\r#]+", "a value in one line"),
    "reason": (r"[^\n\r]+", "a reason in one line"),
    "module": (r"[A-Za-z0-9_-]*", "the name of a kernel module"),
}
ROW_FORMS = {
    "kernel_settings": KERNEL_SETTING,
    "kernel_settings_extra": KERNEL_SETTING,
    "package_locks": {
        "name": (r"[A-Za-z0-9][A-Za-z0-9._+-]*", "the name of a package"),
        "version": (
            r"([0-9]+:)?[A-Za-z0-9._+~^]+-[A-Za-z0-9._+~^]+",
            "[epoch:]version-release such as 1:1.24.0-1.amzn2023.0.4",
        ),
    },
}
"""Variable (a list of dictionaries) → key → regular expression, what it means."""


def violations(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each value that is not allowed. `values`: the role's variables without their prefix."""
    return [
        *outside_ranges("system", RANGES, values),
        *_forms(values),
        *_rows(values),
        *_lists(values),
        *_releasever(values),
    ]


def _forms(values: Mapping[str, Any]) -> Iterator[str]:
    for name, (form, allowed) in FORMS.items():
        texts = [values[name]] if isinstance(values[name], str) else values[name]
        yield from _wrong(f"system_{name}", texts, form, allowed)


def _rows(values: Mapping[str, Any]) -> Iterator[str]:
    for name, keys in ROW_FORMS.items():
        for key, (form, allowed) in keys.items():
            yield from _wrong(
                f"system_{name}", [row[key] for row in values[name] if row.get(key) is not None], form, allowed
            )


def _wrong(variable: str, texts: Sequence[Any], form: str, allowed: str) -> Iterator[str]:
    for text in texts:
        if not re.fullmatch(form, str(text)):
            yield f"{variable} has '{text}'; allowed is {allowed}."


def _lists(values: Mapping[str, Any]) -> Iterator[str]:
    if not values["time_servers"]:
        yield "system_time_servers is empty; at least one server is needed, such as 169.254.169.123."
    names = [lock["name"] for lock in values["package_locks"]]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"system_package_locks names {name} more than once; one version is allowed."


def _releasever(values: Mapping[str, Any]) -> Iterator[str]:
    allowed = r"2023\.[0-9]+\.[0-9]{8}" if values["os_release"] == "2023" else ""
    if values["releasever"] and not re.fullmatch(allowed, values["releasever"]):
        yield (
            f"system_releasever is '{values['releasever']}' on Amazon Linux {values['os_release']}; it takes a release of Amazon Linux "
            "2023 such as 2023.6.20250128, and on Amazon Linux 2 it must be empty."
        )


def full_version(version: str) -> tuple[str, str]:
    """`1:1.24.0-1` → ("1", "1.24.0-1"); a version without an epoch has epoch 0."""
    epoch, colon, rest = version.rpartition(":")
    return (epoch if colon else "0"), rest


def unmet_locks(locks: Sequence[Mapping[str, str]], versions: Mapping[str, Sequence[str]]) -> list[str]:
    """Locks whose package is installed in another version. `versions`: of the installed packages, as role_begin gives them."""
    unmet = []
    for lock in locks:
        wanted = full_version(lock["version"])
        for has in map(full_version, versions.get(lock["name"], [])):
            if has != wanted:
                unmet.append(
                    f"{lock['name']} is locked at {':'.join(wanted)}, but {':'.join(has)} is installed and stays. "
                    "Install the version that is meant."
                )
    return unmet


def swap_is_right(found: Mapping[str, Any], path: str, mib: int) -> bool:
    """Whether the swap file is in use and declared as wanted; 0 MiB: neither. `found`: `swap` of instance_preflight."""
    sizes = [area["mib"] for area in found["active"] if area["path"] == path]
    return sizes == ([mib] if mib else []) and (path in found["declared"]) == (mib > 0)
