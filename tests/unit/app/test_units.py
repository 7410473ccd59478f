"""The last words of an instance: what it printed since it was started, not what an earlier failure or the process before it left."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app import units
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.units import Instances, Units
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import http_probe


class Host:
    """systemd with one instance that writes to its log when it stops and when it starts."""

    def __init__(self, log: Path) -> None:
        self.log, self.starts, self.stops, self.commands = log, "", "", [""]

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        self.commands.append(" ".join(argv))
        if "journalctl" in argv:
            return (
                0,
                "Failed at step EXEC spawning /usr/bin/nodejs\n"
                if "--since" in self.commands[-1]
                else "of last week\n",
                "",
            )
        with self.log.open("a") as stream:
            stream.write({"start": self.starts, "stop": self.stops}.get(argv[3], ""))
        return 0, "", ""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(units, "wait_ready", lambda *_words: "no answer")
    (tmp_path / "3000.log").write_text("Error: Cannot find module 'of-the-release-before'\n")
    return Host(tmp_path / "3000.log")


def last_words(host: Host) -> str:
    found = Units(host, "shop", f"{host.log.parent}/%s.log")
    assert Instances(found, "/health", "", 1, 0).bring_up(3000, "2.0.0") == "shop@3000.service is not ready: no answer"
    output: str = found.last_output(3000)
    return output


def test_they_are_of_this_start(host: Host) -> None:
    host.stops, host.starts = "bye\n", "listening\n\nError: no DATABASE_HOST\n"
    assert last_words(host) == "listening\nError: no DATABASE_HOST"


def test_an_instance_that_printed_nothing_has_what_systemd_says_of_it(host: Host) -> None:
    host.stops = "bye\n"
    assert last_words(host) == "Failed at step EXEC spawning /usr/bin/nodejs"


def test_of_much_output_they_are_the_end(host: Host) -> None:
    host.starts = "".join(f"line {number}\n" for number in range(100000))
    assert last_words(host).splitlines() == [f"line {number}" for number in range(99985, 100000)]


def test_bytes_that_are_no_text_are_shown_as_such(host: Host) -> None:
    host.log.write_bytes(b"caf\xe9 \x1b\n")
    found = Units(host, "shop", str(host.log))
    found.restart(3000)
    with host.log.open("ab") as stream:
        stream.write(b"menu caf\xe9\n")
    assert found.last_output(3000) == "menu caf\\xe9"


def test_one_with_a_truncated_log_has_what_it_wrote_since(host: Host) -> None:
    found = Units(host, "shop", str(host.log))
    found.restart(3000)
    host.log.write_text("new\n")
    assert found.last_output(3000) == "new"


def test_a_log_that_cannot_be_read_is_named_and_keeps_nobody_from_restoring(host: Host) -> None:
    found = Units(host, "shop", f"{host.log.parent}/%s.log")
    found.restart(3001)
    (host.log.parent / "3001.log").mkdir(exist_ok=True)
    assert "Is a directory" in found.last_output(3001)
    assert found.last_output(3002) == "", "one that was never restarted has printed nothing"


def test_an_instance_that_cannot_be_asked_in_whatever_way_is_not_ready(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_words: object) -> None:
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setattr(units, "wait_ready", fails)
    instances = Instances(Units(host, "shop", f"{host.log.parent}/%s.log"), "/health", "", 1, 0)
    touched, error = instances.restart_in_turn([3000, 3001], "2.0.0")
    assert touched == [3000]
    assert error == "whether shop@3000.service is ready can't be told: nobody thought of it"


@pytest.mark.parametrize("path", ["/pr\u00fcfung", "/\udce9", "/a b", "/a\n"])
def test_a_path_that_no_request_can_have_gets_no_answer(path: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = http_probe.wait("127.0.0.1", server.getsockname()[1], path, lambda *_answer: None, 0)
    assert "no answer" in str(error)
