"""ProxySQL with other than its default values: a reader, no TLS, other ports, a short queue."""

from __future__ import annotations

import json
from typing import Any

PORT, WRITER, READER = 7033, 5, 2


def ask(host: Any, statement: str, count: int, port: int = PORT) -> Any:
    """What `count` clients at once got: answers, and messages of errors."""
    return json.loads(host.check_output(f"python3 /usr/local/bin/clients.py {port} {count} '{statement}'"))


def test_reads_go_to_the_reader_and_never_pass_its_own_smaller_pool(host: Any) -> None:
    got = ask(host, "SELECT SLEEP(0.2)", READER + 4)
    assert got == {"answers": ["0"] * (READER + 4), "failed": []}
    assert ask(host, "SELECT @@peak", 1)["answers"] == [str(READER)]


def test_what_is_no_read_goes_to_the_writer(host: Any) -> None:
    assert ask(host, "DO SLEEP(0.5)", WRITER)["failed"] == []
    assert int(ask(host, "SELECT @@peak", 1, port=3307)["answers"][0]) > 1


def test_who_finds_no_connection_in_time_is_told_so(host: Any) -> None:
    got = ask(host, "SELECT SLEEP(1.4)", READER + 1)
    assert got["answers"] == ["0"] * READER
    assert "Max connect timeout reached while reaching hostgroup 20" in got["failed"][0]


def test_only_the_new_ports_are_open(host: Any) -> None:
    listens = {line.split()[3] for line in host.check_output("ss -Hltn").splitlines()}
    assert {"127.0.0.1:7033", "127.0.0.1:7032"} <= listens
    assert {"127.0.0.1:6033", "127.0.0.1:6032"} & listens == set()
