"""The stand-in of EC2 Instance Connect's scripts, against a metadata service on loopback: which keys sshd gets, and which not."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cloud.instance_connect.signer import Signer
from lab.standin.authority import authority
from tests.support.instance_connect import CALLER, Clock, Pushing, key_pair, program, serving

INSTANCE = "i-0123456789abcdef0"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    return key_pair(tmp_path_factory.mktemp("keys"))[1]


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


@pytest.fixture
def pushing(cache: Path, clock: Clock) -> Iterator[Pushing]:
    with serving(cache, clock) as made:
        yield made


@pytest.fixture
def host(pushing: Pushing, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with program() as command:
        signer = importlib.import_module("instance_connect_standin.signer")
        metadata = importlib.import_module("instance_connect_standin.metadata")
        monkeypatch.setattr(signer.Signer.__init__, "__defaults__", (pushing.bundle,))
        monkeypatch.setattr(command, "Metadata", lambda: metadata.Metadata(pushing.address))
        monkeypatch.setattr(command.pwd, "getpwnam", lambda name: name)
        logged: list[str] = []
        monkeypatch.setattr(command, "log", logged.append)
        command.logged = logged  # type: ignore[attr-defined]
        yield command


def push(pushing: Pushing, key: str, user: str = "ec2-user") -> str:
    return pushing.keys.push("us-east-1", INSTANCE, user, key, CALLER)


def offered(host: Any, capsys: pytest.CaptureFixture[str], user: str = "ec2-user", fingerprint: str = "") -> list[str]:
    host.main([user, fingerprint])
    return capsys.readouterr().out.split("\n")[:-1]


def test_a_pushed_key_is_given_to_sshd_and_the_log_says_who_pushed_it(
    pushing: Pushing, host: Any, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = push(pushing, key)
    assert offered(host, capsys) == [key]
    assert request_id in host.logged[-1]
    assert CALLER in host.logged[-1]


def test_only_the_key_that_was_offered_is_given(
    pushing: Pushing, host: Any, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, other = key_pair(tmp_path, "rsa", 2048)
    push(pushing, key)
    push(pushing, other)
    entries = importlib.import_module("instance_connect_standin.entries")
    assert offered(host, capsys, fingerprint=entries.fingerprint(other)) == [other]
    assert offered(host, capsys) == [key, other]


def test_a_key_is_for_its_user_only(pushing: Pushing, host: Any, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    push(pushing, key, "alice")
    assert offered(host, capsys, "ec2-user") == []
    assert offered(host, capsys, "alice") == [key]


def test_after_a_minute_the_metadata_have_no_key(
    pushing: Pushing, host: Any, key: str, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    push(pushing, key)
    clock.now += 59.5
    assert pushing.keys.of(pushing.instance).active
    clock.now += 0.5
    assert not pushing.keys.of(pushing.instance).active
    assert offered(host, capsys) == []


def test_the_host_refuses_a_key_whose_time_is_over_by_its_own_clock(
    pushing: Pushing, host: Any, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    push(pushing, key)
    now = time.time()
    monkeypatch.setattr(host.time, "time", lambda: now + 61)
    assert offered(host, capsys) == []


@pytest.mark.parametrize(
    "change",
    [(INSTANCE, "i-0123456789abcdef1"), ("user/lab", "user/eve"), ("ssh-ed25519 AAAA", "ssh-ed25519 AAAB")],
)
def test_a_changed_entry_is_refused(
    pushing: Pushing, host: Any, key: str, change: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    push(pushing, key)
    pushed = pushing.keys._pushed[0]
    pushing.keys._pushed[0] = replace(pushed, entry=pushed.entry.replace(*change))
    assert offered(host, capsys) == []


def test_an_entry_of_another_authority_is_refused(
    pushing: Pushing, host: Any, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = Signer(authority(tmp_path), "us-east-1")
    pushing.keys._signer_of = lambda region: stranger
    push(pushing, key)
    assert offered(host, capsys) == []
    assert "does not lead to one that the system trusts" in host.logged[-1]


def test_a_signer_of_another_region_is_refused(
    pushing: Pushing, host: Any, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Signer(pushing.signed_by, "us-west-2")
    pushing.keys._signer_of = lambda region: elsewhere
    push(pushing, key)
    assert offered(host, capsys) == []
    assert "is not managed-ssh-signer.us-east-1.amazonaws.com's" in host.logged[-1]


@pytest.mark.parametrize("answers", [{}, "of another"])
def test_without_an_ocsp_answer_about_the_signer_no_key_is_trusted(
    pushing: Pushing, host: Any, key: str, answers: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    signer = pushing.keys._signer_of("us-east-1")
    good = signer.ocsp()
    others = Signer(pushing.signed_by, "us-east-1").ocsp()
    signer._answers = (signer._clock(), answers or dict(zip(good, [*others.values()][::-1], strict=True)))
    push(pushing, key)
    assert offered(host, capsys) == []
    assert "trusts no key" in host.logged[-1]


def test_a_metadata_service_that_is_off_gives_no_key_and_says_so(
    pushing: Pushing, host: Any, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    push(pushing, key)
    pushing.instance = replace(pushing.instance, enabled=False)
    assert offered(host, capsys) == []
    assert "answers 403" in host.logged[-1]


@given(st.text())
def test_whatever_the_metadata_have_no_entry_is_read_that_has_no_key_and_no_signature(text: str) -> None:
    with program():
        entries = importlib.import_module("instance_connect_standin.entries")
        for entry in entries.read(text):
            assert entry.key.startswith("ssh")
            assert entry.signed.decode().endswith(f"{entry.key}\n")
            assert entry.expires >= 0
