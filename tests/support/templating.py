"""Ansible's templating as tests use it, on ansible-core 2.16 and on the current one."""

from __future__ import annotations

__all__ = ["TRUSTED", "trust_as_template"]

try:
    from ansible.template import trust_as_template

    TRUSTED = {"trusted_as_template": True}
except ImportError:  # ansible-core 2.16 has no such distinction
    TRUSTED = {}

    def trust_as_template(value: str) -> str:
        return value
