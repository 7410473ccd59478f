"""Our own modules, brought to hosts by ansible-core 2.16 itself and run there under the Pythons of Amazon Linux."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from lab.daemon.web import FileServer
from lab.machines.machine import Machine
from lab.machines.spec import MachineSpec
from lab.network import namespaces
from lab.settings import GATEWAY, Settings
from lab.standin.build import base_image
from tests.support import pythons
from tests.support.host_modules import CALLS, HOST_SIDE
from tests.support.running_lab import ROOT
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab
RUN = Path(__file__).with_name("host_modules_run")
PORT = 8091
SHOP = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(STATUS)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"version": VERSION}).encode())
HTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
"""
NO_PYTHON37 = "there is no Python 3.7 on this machine (on PATH or in pyenv), and no package source has it any more"


def progress(message: str) -> None:
    print(message, file=sys.stderr)


def artifact(folder: Path, version: str, status: int) -> str:
    """A release of a small shop; returns its sha256."""
    text = SHOP.replace("STATUS", str(status)).replace("VERSION", repr(version)).encode()
    file = folder / f"shop-{version}.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        member = tarfile.TarInfo("serve.py")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def runtime(folder: Path) -> str:
    """A runtime as its makers pack it, with a hard link; returns its sha256."""
    text, name = b'#!/bin/sh\nexec /usr/bin/python3 "$@"\n', "python-x"
    file = folder / "runtime.tar.xz"
    with tarfile.open(file, "w:xz") as archive:
        member = tarfile.TarInfo(f"{name}/bin/run-3")
        member.size, member.mode = len(text), 0o755
        archive.addfile(member, io.BytesIO(text))
        link = tarfile.TarInfo(f"{name}/bin/run")
        link.type, link.linkname, link.mode = tarfile.LNKTYPE, member.name, 0o755
        archive.addfile(link)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def artifacts(bare: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Serves a release that gets ready and one that does not; their checksums by version, and that of a runtime."""
    folder = tmp_path_factory.mktemp("artifacts")
    checksums = {
        "1.0.0": artifact(folder, "1.0.0", 200),
        "1.1.0": artifact(folder, "1.1.0", 503),
        "runtime": runtime(folder),
    }
    server = namespaces.call(bare.netns_path, lambda: FileServer(folder, GATEWAY, PORT))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield checksums
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    return file


@pytest.fixture(scope="module")
def hosts(bare: Settings, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Machine]]:
    """A booted machine per Python that can be had, by version."""
    public_key = key.with_suffix(".pub").read_text()
    old = pythons.old_root(bare.cache, progress)
    roots = {"2.7": old, "3.9": old}
    python37 = pythons.find_python37()
    if python37 is not None:
        roots["3.7"] = base_image("al2", bare.cache, progress)
    with ExitStack() as undo:
        machines = {}
        for number, (version, root) in enumerate(sorted(roots.items()), start=71):
            own = tmp_path_factory.mktemp("layer")
            pythons.layer(own, pythons.PYTHONS[version], root, public_key)
            if version == "3.7" and python37 is not None:
                pythons.add_python37(python37, own)
            machines[version] = boot(bare, number, (own, root))
            undo.callback(machines[version].destroy)
        for version, machine in machines.items():
            wait_for(
                f"SSH daemon of the host with Python {version}: {machine.console}", partial(getattr, machine, "booted")
            )
        yield machines


def boot(bare: Settings, number: int, layers: tuple[Path, ...]) -> Machine:
    name = f"ip-10-0-48-{number}.ec2.internal"
    machine = Machine(
        bare, MachineSpec(f"i-{number:017x}", f"10.0.48.{number}", f"0a:00:0a:00:30:{number:02x}", layers, name)
    )
    machine.start()
    return machine


@pytest.fixture(scope="module")
def outcomes(
    bare: Settings,
    key: Path,
    hosts: dict[str, Machine],
    artifacts: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, dict[str, str]]:
    """Python version → module → what went wrong, or nothing. One playbook run over all hosts."""
    folder = tmp_path_factory.mktemp("outcomes")
    inventory = {
        f"python{version}": {
            "ansible_host": machine.spec.address,
            "ansible_user": pythons.USER,
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
            "ansible_python_interpreter": pythons.PYTHONS[version].interpreter,
        }
        for version, machine in hosts.items()
    }
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": inventory}}))
    values = {
        "modules": sorted(HOST_SIDE, key=lambda name: (name == "hardening", name)),
        "calls": str(CALLS),
        "kept": str(folder),
        "checksums": artifacts,
        "artifacts": f"http://{GATEWAY}:{PORT}",
    }
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_STRATEGY": "free",
        "LC_ALL": "C.UTF-8",
    }
    ansible = Path(sys.executable).with_name("ansible-playbook")
    command = [ansible, "-i", folder / "hosts.json", "-e", json.dumps(values), RUN / "all.yml"]
    done = subprocess.run(
        ["nsenter", f"--net={bare.netns_path}", *map(str, command)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    print(done.stdout[-20000:], done.stderr[-4000:])
    return {version: json.loads((folder / f"python{version}.json").read_text()) for version in hosts}


@pytest.mark.parametrize("version", pythons.PYTHONS)
@pytest.mark.parametrize("module", HOST_SIDE)
def test_the_module_runs_under_the_hosts_python(outcomes: dict[str, dict[str, str]], module: str, version: str) -> None:
    if version not in outcomes and version == "3.7":
        pytest.skip(NO_PYTHON37)
    assert outcomes[version][module] == "", outcomes[version][module]


def test_the_interpreter_is_the_one_that_it_says(hosts: dict[str, Machine]) -> None:
    for version, machine in hosts.items():
        shown = machine.exec([pythons.PYTHONS[version].interpreter, "-V"], timeout=20)
        assert f"Python {version}." in shown.stdout + shown.stderr
