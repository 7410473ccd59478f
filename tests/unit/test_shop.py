"""The sample shop: releases are the same bytes every time, and both servers keep their word."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.runtimes import Runtimes

from tests.support.ports import free_port

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
RUNNERS = {"nodejs": ["node", "server.js"], "python": [sys.executable, "server.py"]}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"shop_{name}", SHOP / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build, node_runtime = load("build"), load("node_runtime")


def test_the_runtime_that_is_packed_is_one_that_the_module_takes_and_that_runs(tmp_path: Path) -> None:
    """Node.js itself, as the demo publishes it for Amazon Linux 2."""
    path, digest = node_runtime.build(tmp_path)
    assert path.with_name(f"{path.name}.sha256").read_text() == f"{digest}  {path.name}\n"
    runtimes = Runtimes(str(tmp_path / "app"))
    with path.open("rb") as stream:
        runtimes.add(digest, stream, str(path), ["bin/node", "--version"])
    said = subprocess.check_output([f"{runtimes.path(digest)}/bin/node", "--version"], text=True).strip()
    assert path.name.startswith(f"node-{said}-linux-")


def test_a_release_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, digest = build.build("nodejs", "1.0.0", tmp_path / "a")
    second, again = build.build("nodejs", "1.0.0", tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    assert digest == again == hashlib.sha256(first.read_bytes()).hexdigest()


def test_another_version_is_another_release(tmp_path: Path) -> None:
    assert build.build("python", "1.0.0", tmp_path)[1] != build.build("python", "1.0.1", tmp_path)[1]


def test_a_bad_version_is_refused_by_name(tmp_path: Path) -> None:
    argv = [sys.executable, str(SHOP / "build.py"), "--kind", "nodejs", "--version", "../x", "--out", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "--version is '../x'" in done.stderr


class Server:
    def __init__(self, kind: str, where: Path) -> None:
        path, _digest = build.build(kind, "3.2.1", where)
        with tarfile.open(path) as tar:
            tar.extractall(where / "release", filter="data")
        self.port = free_port()
        self.process = subprocess.Popen(
            RUNNERS[kind], cwd=where / "release", env={**os.environ, "PORT": str(self.port)}, stdout=subprocess.DEVNULL
        )

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path: str) -> tuple[int, str]:
        connection = self.connect()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def wait(self) -> None:
        deadline = time.monotonic() + 10
        while not self.answers():
            assert time.monotonic() < deadline, "the shop did not start"
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False


@pytest.fixture(params=sorted(RUNNERS))
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if not shutil.which(RUNNERS[request.param][0]):
        pytest.skip(f"{RUNNERS[request.param][0]} is not installed here; the molecule scenario runs it on the machines")
    server = Server(request.param, tmp_path)
    try:
        server.wait()
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def test_it_names_its_version_and_serves_the_page(shop: Server) -> None:
    status, text = shop.get("/version")
    assert status == 200
    assert json.loads(text) == {"version": "3.2.1", "host": socket.gethostname(), "pid": shop.process.pid}
    status, page = shop.get("/")
    assert status == 200
    assert "release <code>3.2.1</code>" in page
    assert page.rstrip().endswith("</html>")


def test_unknown_paths_and_bad_numbers_are_refused(shop: Server) -> None:
    assert shop.get("/nothing")[0] == 404
    status, text = shop.get("/slow?ms=forever")
    assert status == 400
    assert "forever" in text


def test_a_request_that_runs_at_sigterm_is_finished(shop: Server) -> None:
    answers: list[tuple[int, str]] = []
    asking = threading.Thread(target=lambda: answers.append(shop.get("/slow?ms=700")))
    asking.start()
    time.sleep(0.3)
    shop.process.send_signal(signal.SIGTERM)
    asking.join(10)
    assert answers and answers[0][0] == 200
    assert shop.process.wait(10) == 0


def test_an_idle_connection_does_not_hold_up_the_end(shop: Server) -> None:
    connection = shop.connect()
    connection.request("GET", "/health")
    connection.getresponse().read()
    shop.process.send_signal(signal.SIGTERM)
    assert shop.process.wait(5) == 0
    connection.close()


def test_while_draining_it_says_so_and_closes(shop: Server) -> None:
    connection = shop.connect()
    connection.request("GET", "/health")
    connection.getresponse().read()
    shop.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    assert answer.status == 503
    assert answer.getheader("Connection") == "close"
    connection.close()
