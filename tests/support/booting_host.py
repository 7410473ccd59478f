"""A host launched from an image, for the tests of its boot."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app import boot
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.boot import FAILURES, Boot
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.decision import Decision
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.release_store import Store
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.aws_cli import Aws

PARAMETER = "/fleet/shop/prod/release"
AWS = """#!/bin/sh
echo "$*" >>{folder}/calls
for last; do :; done
case $1 in
  ssm) [ ! -e {folder}/no-answer ] || {{ cat {folder}/no-answer >&2; exit 254; }}; cat {folder}/parameter ;;
  s3api) [ ! -e {folder}/no-object ] || {{ cat {folder}/no-object >&2; exit 254; }}; cp {folder}/bucket/"$6" "$7"; echo '{{}}' ;;
esac
"""
"""Answers as the AWS command line does; fails with what a test put into a file."""
DENIED = "An error occurred (AccessDeniedException) when calling the operation: no\n"


def artifact(**files: str) -> bytes:
    packed = io.BytesIO()
    # Not gzip, whose header has the time: the same files are to have the same checksum.
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


class Host:
    """A host that was launched from an image with release 1.0.0, which the image's own machine deployed. The first boot is to come."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.now = 0.0
        self.said: list[str] = []
        self.commands: list[list[str]] = []
        self.meanwhile: Callable[[], None] = lambda: None
        (folder / "bin").mkdir()
        (folder / "bin/aws").write_text(AWS.format(folder=folder))
        (folder / "bin/aws").chmod(0o755)
        (folder / "bucket").mkdir()
        monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setattr(time, "sleep", self.sleep)
        monkeypatch.setattr(boot, "clock", lambda: self.now)
        monkeypatch.setattr(boot, "LOCK_SECONDS", 0)
        monkeypatch.setattr(boot, "Decision", self.decision)
        self.machine("0" * 32)
        self.desired: dict[str, Any] = {
            "name": "shop", "root": str(folder / "opt"), "lock": str(folder / "lock"), "decided": str(folder / "decided"),
            "learned": str(folder / "learned.json"), "parameter": PARAMETER, "artifact_region": "", "kind": "nodejs", "wait_seconds": 60,
            "unreachable": "serve",
        }  # fmt: skip
        self.store = Store(self.desired["root"])
        data = artifact(server="1.0.0")
        self.store.add("1.0.0", hashlib.sha256(data).hexdigest(), io.BytesIO(data), "s3://artifacts/1.0.0")
        self.store.switch("1.0.0")
        self.store.deployed("1.0.0", "fingerprint", None)
        self.decision().make(("1.0.0", hashlib.sha256(data).hexdigest()))
        self.machine("1" * 32)
        self.reboot()

    def decision(self, decided: str = "", learned: str = "") -> Decision:
        return Decision(
            decided or self.desired["decided"], learned or self.desired["learned"], f"{self.folder}/machine-id"
        )

    def machine(self, name: str) -> None:
        (self.folder / "machine-id").write_text(name + "\n")

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()

    def reboot(self) -> None:
        (self.folder / "decided").unlink()
        self.said.clear()

    def publish(self, version: str, files: dict[str, str] | None = None, /, **changed: Any) -> None:
        """Makes a release the current one."""
        data = artifact(**(files or {"server": version}))
        (self.folder / "bucket" / version).write_bytes(data)
        value = {
            "version": version,
            "kind": "nodejs",
            "url": f"s3://artifacts/{version}",
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        self.put(json.dumps(value | changed))

    def put(self, value: str) -> None:
        (self.folder / "parameter").write_text(json.dumps({"Parameter": {"Name": PARAMETER, "Value": value}}))

    def fail(self, what: str, message: str | None) -> None:
        path = self.folder / what
        path.unlink(missing_ok=True)
        if message is not None:
            path.write_text(message)

    def boot(self) -> str | None:
        """What an instance finds that starts now: the release; None where none may start."""
        try:
            Boot(self.desired, Aws, self.run, self.said.append).decide()
        except FAILURES as error:
            self.said.append(f"failed: {error}")
        if not self.decision().made:
            return None
        return (Path(self.store.link) / "server").read_text()

    def run(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        self.commands.append(argv)
        return 0, "", ""

    def calls(self, service: str) -> list[str]:
        path = self.folder / "calls"
        return [line for line in path.read_text().splitlines() if line.startswith(service)] if path.exists() else []
