"""Host keys as cloud-init makes them: four types, also those that sshd does not use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce

CONTROLS = Path(__file__).resolve().parents[3] / "controls/ssh.yml"
KINDS = ("rsa", "dsa", "ecdsa", "ed25519")


def state() -> dict[str, Any]:
    """Of the control, but for owner and group, which a test can't give."""
    (control,) = [c for c in yaml.safe_load(CONTROLS.read_text()) if c["id"] == "ssh-private-host-keys"]
    assert control["state"]["group"] == ["root", "ssh_keys"]
    return {key: value for key, value in control["state"].items() if key not in ("owner", "group")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_host_key_of_any_type_is_closed(machine: Machine, kind: str) -> None:
    keys = {each: machine.put(f"/etc/ssh/ssh_host_{each}_key", "secret") for each in KINDS}
    public = machine.put(f"/etc/ssh/ssh_host_{kind}_key.pub", "public")
    for key in keys.values():
        key.chmod(0o640)
    public.chmod(0o644)
    assert differences(machine.host(), "file", state()) == []
    keys[kind].chmod(0o644)
    enforce(machine.host(), "file", state())
    assert {each: key.stat().st_mode & 0o777 for each, key in keys.items()} == dict.fromkeys(KINDS, 0o640)
    assert public.stat().st_mode & 0o777 == 0o644
