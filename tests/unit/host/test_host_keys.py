"""The host's SSH keys in Parameter Store: what is written when, and how long it is tried."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import host_keys
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.aws_cli import AwsError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.imds import ImdsError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.processes import Completed
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.host_program import files
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pythons import interpreter

NAME = "/fleet/host-keys/i-0123456789abcdef0"
METADATA = {
    "instance-id": "i-0123456789abcdef0",
    "services/partition": "aws",
    "placement/region": "us-east-1",
    "mac": "0a:00:0a:00:20:07",
    "network/interfaces/macs/0a:00:0a:00:20:07/owner-id": "111111111111",
}
ED25519, ECDSA = "ssh-ed25519 AAAAC3Nz", "ecdsa-sha2-nistp256 AAAAE2Vj"


class Store:
    """Parameter Store by the command line."""

    region = "us-east-1"

    def __init__(self, value: str | None = None) -> None:
        self.value = value
        self.failures: list[Exception] = []
        self.writes: list[tuple[str, ...]] = []

    def call(self, service: str, operation: str, *words: str) -> dict[str, Any]:
        if self.failures:
            raise self.failures.pop(0)
        assert (service, words[:2]) == ("ssm", ("--name", NAME))
        if operation == "put-parameter":
            self.writes.append(words)
            self.value = words[words.index("--value") + 1]
            return {"Version": 1}
        if self.value is None:
            raise AwsError("there is no parameter", missing=True)
        return {"Parameter": {"Value": self.value}}


class Sshd:
    """Host keys in a folder, and `sshd -T` that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: list[Path] = []
        self.code = 0

    def key(self, kind: str, line: str | None) -> None:
        path = self.folder / f"ssh_host_{kind}_key"
        self.paths.append(path)
        if line is not None:
            Path(f"{path}.pub").write_text(line)

    def __call__(self, argv: list[str], **_options: Any) -> Completed:
        assert argv == ["sshd", "-T", "-C", "user=root,host=localhost,addr=127.0.0.1"]
        out = "port 22\n" + "".join(f"hostkey {path}\n" for path in self.paths)
        return Completed(argv, self.code, out, "no hostkeys available" if self.code else "")


@pytest.fixture
def sshd(tmp_path: Path) -> Sshd:
    made = Sshd(tmp_path)
    made.key("rsa", None)
    made.key("ecdsa", f"{ECDSA} root@ip-10-0-0-1\n")
    made.key("ed25519", f"{ED25519}\n")
    return made


def publish(store: Store, sshd: Sshd, metadata: dict[str, str] = METADATA) -> str:
    return str(host_keys.publish("/fleet/host-keys", store, metadata, sshd))


def test_a_hosts_keys_are_written_with_a_tag_of_their_instance(sshd: Sshd) -> None:
    store = Store()
    assert publish(store, sshd) == f"{NAME} is written"
    assert store.value == f"{ECDSA}\n{ED25519}"
    assert store.writes[0][2:] == (
        "--type", "String", "--value", store.value,
        "--tags", "Key=InstanceArn,Value=arn:aws:ec2:us-east-1:111111111111:instance/i-0123456789abcdef0",
    )  # fmt: skip


def test_the_same_keys_are_not_written_again(sshd: Sshd) -> None:
    store = Store(f"{ECDSA}\n{ED25519}")
    assert publish(store, sshd) == f"{NAME} has this host's keys"
    assert store.writes == []


def test_other_keys_are_overwritten(sshd: Sshd) -> None:
    store = Store("ssh-rsa AAAA")
    publish(store, sshd)
    assert store.value == f"{ECDSA}\n{ED25519}"
    assert store.writes[0][-1] == "--overwrite"


def test_without_a_key_of_sshd_nothing_is_written(tmp_path: Path) -> None:
    store, none = Store(), Sshd(tmp_path)
    none.key("rsa", None)
    with pytest.raises(HostError, match="no host key yet"):
        publish(store, none)
    none.code = 1
    with pytest.raises(HostError, match="no hostkeys available"):
        publish(store, none)
    assert store.writes == []


@pytest.mark.parametrize("missing", METADATA)
def test_metadata_that_do_not_say_which_instance_it_is_stop_it(sshd: Sshd, missing: str) -> None:
    store = Store()
    with pytest.raises(ImdsError, match="which instance"):
        publish(store, sshd, {name: value for name, value in METADATA.items() if name != missing})
    assert store.writes == []


def test_a_parameter_that_may_not_be_read_is_not_overwritten(sshd: Sshd) -> None:
    store = Store("ssh-rsa AAAA")
    store.failures = [AwsError("may not read")]
    with pytest.raises(AwsError, match="may not read"):
        publish(store, sshd)
    assert store.writes == []


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=80), max_size=4))
def test_whatever_is_in_the_files_a_published_line_is_two_words(tmp_path_factory: Any, texts: list[str]) -> None:
    made = Sshd(tmp_path_factory.mktemp("keys"))
    for number, text in enumerate(texts):
        made.key(str(number), text)
    try:
        lines = host_keys.public_keys(made)
    except HostError:
        return
    assert lines
    assert all(len(line.split()) == 2 and line == " ".join(line.split()) for line in lines)


class Clock:
    """A clock that sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(host_keys, "clock", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_it_tries_again_until_it_works_and_says_each_reason_once(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said, store = Clock(monkeypatch), list[str](), Store()
    store.failures = [AwsError("no role"), AwsError("no role"), AwsError("throttled")]
    host_keys.until_published(lambda: publish(store, sshd), said.append)
    assert said == ["not yet: no role", "not yet: throttled", f"{NAME} is written"]
    assert 3 <= clock.now <= 14


def test_it_gives_up_in_time_with_the_last_reason(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = Clock(monkeypatch), Store()
    store.failures = [AwsError("no role")] * 1000
    with pytest.raises(AwsError, match="no role"):
        host_keys.until_published(lambda: publish(store, sshd), lambda sentence: None)
    assert host_keys.SECONDS - host_keys.LONGEST_PAUSE <= clock.now <= host_keys.SECONDS


@pytest.mark.parametrize("python", [sys.executable, "2.7", "3.7"])
def test_the_program_runs_from_its_files_alone(python: str, tmp_path: Path) -> None:
    found = Path(python) if python == sys.executable else interpreter(python)
    if found is None:
        pytest.skip(f"there is no Python {python}")
    for file in files(str(tmp_path), "_host/host_keys"):
        Path(file["path"]).parent.mkdir(parents=True, exist_ok=True)
        Path(file["path"]).write_text(file["content"])
        for parent in Path(file["path"]).parents:  # Python 2 knows no package without it
            if python == "2.7" and parent != tmp_path and tmp_path in parent.parents:
                (parent / "__init__.py").touch()
    module = "ansible_collections.ecommerce.fleet.plugins.module_utils._host.host_keys"
    script = f"import {module} as m; m.SECONDS = 0; m.until_published.__defaults__ = (0,); raise SystemExit(m.main(['', '/x']))"
    done = subprocess.run(
        [str(found), "-c", script],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(tmp_path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("host keys: they are not published, so nobody can verify this host: ")
    assert "Traceback" not in done.stderr
