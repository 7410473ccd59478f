"""What the scenarios' tests share about systemd units on a machine."""

from __future__ import annotations

import re
from typing import Any


def shown(host: Any, unit: str, *names: str) -> dict[str, str]:
    """Properties as `systemctl show` gives them."""
    lines = host.check_output(f"systemctl show {unit} {' '.join(f'-p {name}' for name in names)}").splitlines()
    return dict(line.split("=", 1) for line in lines)


def main_process(host: Any, unit: str) -> int:
    return int(shown(host, unit, "MainPID")["MainPID"])


def environment(host: Any, pid: int) -> dict[str, str]:
    """Of a process."""
    text = host.check_output(f"cat /proc/{pid}/environ").rstrip("\0")
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)


def exposure(host: Any, unit: str) -> float:
    """The overall exposure that systemd-analyze finds: 0 (sandboxed) to 10."""
    text = host.check_output(f"systemd-analyze security --no-pager {unit}")
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", text)
    assert found, text[-400:]
    return float(found.group(1))


def is_amazon_linux_2(host: Any) -> bool:
    return 'VERSION_ID="2"' in host.file("/etc/os-release").content_string
