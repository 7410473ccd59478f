"""A Python release with one instance after a Node.js release with two."""

from __future__ import annotations

import json
from typing import Any


def test_the_python_release_serves(host: Any) -> None:
    found = json.loads(host.check_output("curl -s http://127.0.0.1:3000/version"))
    assert found["version"] == "1.2.0"
    assert "server.py" in host.check_output(f"tr '\\0' ' ' < /proc/{found['pid']}/cmdline")
    assert 'GREETING=say "hi"' in host.check_output(f"tr '\\0' '\\n' < /proc/{found['pid']}/environ").splitlines()


def test_the_instance_that_is_not_wanted_any_more_is_gone(host: Any) -> None:
    assert not host.socket("tcp://127.0.0.1:3001").is_listening
    assert not host.service("app@3001").is_enabled


def test_old_releases_were_removed_but_not_the_one_before(host: Any) -> None:
    assert set(host.check_output("ls -A /opt/app/releases").split()) >= {"1.1.0", "1.2.0"}
    assert len(host.check_output("ls -A /opt/app/releases").split()) <= 3
