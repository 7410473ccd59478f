"""A Java release after a Node.js release."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from fleet_units import environment, exposure, is_amazon_linux_2, main_process


@pytest.mark.parametrize("port", [3000, 3001])
def test_the_java_release_serves_with_its_values(host: Any, port: int) -> None:
    found = json.loads(host.check_output(f"curl -s http://127.0.0.1:{port}/version"))
    assert found["version"] == "1.2.0"
    assert "second-password-7Jq" in environment(host, found["pid"]).values()


def test_the_heap_follows_from_the_memory_of_the_unit(host: Any) -> None:
    found = host.check_output(f"tr '\\0' ' ' < /proc/{main_process(host, 'app@3000')}/cmdline")
    assert "-XX:MaxRAM=256m" in found
    flags = host.check_output(
        "java -XX:MaxRAM=256m -XX:MaxRAMPercentage=60 -XX:+PrintFlagsFinal -version 2>/dev/null | grep ' MaxHeapSize '"
    )
    assert 140 < int(flags.split("=")[1].split()[0]) / 1048576 < 160


def test_the_sandbox_leaves_little_open(host: Any) -> None:
    if not is_amazon_linux_2(host):
        assert exposure(host, "app@3000.service") <= 2.0


def test_a_request_is_finished_within_the_deadline_and_not_waited_for_after_it(host: Any) -> None:
    script = (
        "(curl -s -o /dev/null -w '%{http_code} ' 'http://127.0.0.1:3000/slow?ms=1500' & "
        "curl -s -o /dev/null -w '%{http_code} ' 'http://127.0.0.1:3000/slow?ms=20000' & "
        "sleep 0.5; systemctl restart app@3000; wait)"
    )
    start = time.monotonic()
    answers = host.run(script).stdout.split()
    assert sorted(answers) == ["000", "200"]
    assert time.monotonic() - start < 15
