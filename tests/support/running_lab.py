"""A lab that runs, reached from the pytest process without entering its namespaces."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from lab import settings as names
from lab.daemon import lifecycle
from lab.network import namespaces
from lab.network.forward import Forwarder
from lab.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class RunningLab:
    settings: Settings
    api: str
    """Its AWS endpoint, forwarded to this process's loopback."""

    def client(
        self,
        service: str,
        region: str = names.DEFAULT_REGION,
        access_key: str = names.ACCESS_KEY,
        secret: str = names.SECRET_KEY,
        token: str | None = None,
    ) -> Any:
        make: Any = boto3.client
        return make(
            service,
            region_name=region,
            endpoint_url=self.api,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(
                retries={"max_attempts": 1}, s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=30
            ),
        )

    def command(
        self, *argv: str, env: dict[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """`lab ARGV…` as a user runs it; returns whatever its exit code."""
        return lab_command(self.settings, argv, env=env, timeout=timeout)

    def http(
        self,
        address: str,
        path: str = "/",
        *,
        port: int = 80,
        method: str = "GET",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], str]:
        """One HTTP request inside the lab's network: status, headers (lower-case names), body."""
        connection = http.client.HTTPConnection(address, port, timeout=10)
        connection.sock = namespaces.connect(self.settings.netns_path, (address, port), timeout=10)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


def lab_command(
    settings: Settings, argv: Sequence[str], *, env: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    own = {"LAB_NAME": settings.name, "LAB_STATE": str(settings.state), "LAB_CACHE": str(settings.cache)}
    return subprocess.run(
        [sys.executable, "-m", "lab", *argv],
        env={**os.environ, **own, **(env or {})},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@contextmanager
def running(settings: Settings) -> Iterator[RunningLab]:
    """A lab from its start to its end."""
    lifecycle.up(settings, lambda message: print(f"lab: {message}", file=sys.stderr))
    forwarder = Forwarder(0, settings.netns_path)
    forwarder.target = (names.GATEWAY, names.API_PORT)
    threading.Thread(target=forwarder.serve_forever, daemon=True).start()
    try:
        yield RunningLab(settings, f"http://127.0.0.1:{forwarder.port}")
    finally:
        forwarder.shutdown()
        forwarder.server_close()
        lifecycle.down(settings, lambda message: None)
