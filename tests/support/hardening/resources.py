"""What every test of a resource type does with it: read, compare, apply, compare again."""

from __future__ import annotations

from typing import Any

from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.host import Host
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES


def differences(host: Host, kind: str, state: dict[str, Any]) -> list[tuple[str, str, str]]:
    return TYPES[kind].diff(state, TYPES[kind].read(host, state))


def enforce(host: Host, kind: str, state: dict[str, Any]) -> None:
    assert differences(host, kind, state), "the test's machine already holds"
    TYPES[kind].apply(host, state, TYPES[kind].read(host, state))
    assert differences(host, kind, state) == []
