"""A host with systemd and an application on it, for the tests of deployments."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app import deployment, units
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.value_store import ValueStore

PORTS = [3000, 3001]


class FailedError(Exception):
    """What AnsibleModule.fail_json ends with here."""


class Host:
    """systemd and an application whose instances read their unit file, and the fetched values if the unit names them, when they start."""

    check_mode = False

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.units = folder, folder / "units"
        self.running: dict[int, str] = {}
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.refuses: set[str] = set()
        self.commands: list[str] = []
        self.params: dict[str, Any] = {}
        self.boot: dict[str, str] | None = None
        self.units.mkdir()
        self.values = folder / "values"
        monkeypatch.setattr(deployment, "UNITS", f"{self.units}/")
        monkeypatch.setattr(units, "wait_ready", self.ready)

    def fail_json(self, **result: Any) -> None:
        raise FailedError(result["msg"])

    def get_bin_path(self, name: str) -> str:
        return name

    def run_command(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        words = [word for word in argv if word not in ("timeout", "systemctl", "--now") and not word.isdigit()]
        self.commands.append(" ".join(words))
        verb, names = words[0], words[1:]
        if verb in self.refuses:
            return 1, "", f"{verb} was refused"
        if verb == "is-enabled":
            return 0, "\n".join("enabled" if name in self.enabled else "disabled" for name in names), ""
        if verb == "list-units":
            return 0, "".join(f"shop@{port}.service loaded active running x\n" for port in self.running), ""
        if verb == "show":
            return 0, f"ActiveState={'active' if names[-1] in self.active else 'inactive'}\n", ""
        for name in names:
            self.change(verb, name)
        return 0, "", ""

    def change(self, verb: str, name: str) -> None:
        if name == "shop-values.service" and verb == "restart":
            store = ValueStore(str(self.values))
            store.stage({"WORD": "x"}, {})
            if store.generation("current") is None:
                store.adopt()
                store.confirm()
        if name.startswith("shop@") and verb in ("restart", "start"):
            assert self.boot is None or Path(self.boot["decided"]).exists(), (
                "systemd would look for the release of the boot"
            )
            self.running[int(name[5:9])] = (self.units / "shop@.service").read_text()
        if name.startswith("shop@") and verb in ("stop", "disable"):
            self.running.pop(int(name[5:9]), None)
        if verb in ("enable", "disable"):
            (self.enabled.add if verb == "enable" else self.enabled.discard)(name)
        if verb in ("restart", "disable"):
            (self.active.add if verb == "restart" else self.active.discard)(name)

    def ready(self, port: int, _health: str, _version: str, version: str, _seconds: int) -> str | None:
        text = (self.folder / "opt/current/server").read_text()
        if "needs values" in self.running[port] and not (self.values / "current/environment").exists():
            return f"{version} has no values"
        return "no answer" if "broken" in text else None

    def deploy(
        self,
        version: str,
        text: str = "good",
        *,
        values: bool = False,
        ports: list[int] | None = None,
        runtime: str | None = None,
        python: bool = False,
    ) -> deployment.Deployment:
        artifact, data = io.BytesIO(), text.encode()
        with tarfile.open(fileobj=artifact, mode="w") as tar:
            member = tarfile.TarInfo("server")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        (self.folder / f"{version}.tar.gz").write_bytes(artifact.getvalue())
        configuration, service = self.folder / "etc/configuration.json", self.units / "shop-values.service"
        traces = [str(self.units / "shop-configuration.timer"), str(service), str(configuration), str(self.values)]
        unit = "needs values" if values else f"on {runtime}" if runtime else "alone"
        self.params = {
            "name": "shop", "root": str(self.folder / "opt"), "version": version, "host": "web-1", "ports": ports or PORTS,
            "source": f"file://{self.folder}/{version}.tar.gz", "signed_url": None,
            "sha256": hashlib.sha256(artifact.getvalue()).hexdigest(),
            "health_path": "/health", "version_path": "/version", "ready_seconds": 1, "pause_seconds": 0, "keep": 3, "log": "",
            "python": python, "runtime": self.runtime(runtime) if runtime else None,
            "unit_files": [self.file(self.units / "shop@.service", unit)],
            "files": [self.file(configuration, "{}"), self.file(service, "fetch"), self.file(Path(traces[0]), "look")] if values else [],
            "directories": [{"path": str(self.folder / "log"), "mode": "0750", "owner": "0", "group": "0"}],
            "absent": [] if values else traces,
            "values": {"directory": str(self.values), "unit": service.name, "timer": "shop-configuration.timer", "sources": "x"}
            if values else None, "boot": self.boot,
        }  # fmt: skip
        deploying = deployment.Deployment(self)
        deploying.carry_out()
        self.settled = deploying.settle()
        return deploying

    def runtime(self, word: str) -> dict[str, Any]:
        """A runtime whose program prints the word; "old" does not run here."""
        program = b"#!/bin/sh\n" + (
            b"echo GLIBC_2.28 not found >&2; exit 1" if word == "old" else b"echo " + word.encode()
        )
        artifact = io.BytesIO()
        with tarfile.open(fileobj=artifact, mode="w") as tar:
            member = tarfile.TarInfo("node-v1/bin/node")
            member.size, member.mode = len(program), 0o755
            tar.addfile(member, io.BytesIO(program))
        (self.folder / f"{word}.tar").write_bytes(artifact.getvalue())
        sha256 = hashlib.sha256(artifact.getvalue()).hexdigest()
        source = f"file://{self.folder}/{word}.tar"
        return {"source": source, "signed_url": None, "sha256": sha256, "proof": ["bin/node", "--version"]}

    def runtimes(self) -> set[str]:
        """The words that the programs of the runtimes on the disk print."""
        found = (self.folder / "opt/runtimes").glob("*/bin/node")
        return {path.read_text().split()[-1] for path in found}

    @staticmethod
    def file(path: Path, content: str) -> dict[str, Any]:
        return {
            "path": str(path),
            "content": content,
            "mode": "0644",
            "owner": "0",
            "group": "0",
            "validate": [],
            "show_diff": True,
        }

    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "opt/releases").iterdir())

    def there(self) -> dict[str, tuple[int, str]]:
        """All files of the host but the releases, with their modes."""
        found = [
            self.folder / "log",
            *self.units.rglob("*"),
            *(self.folder / "etc").rglob("*"),
            *self.values.rglob("*"),
        ]
        return {
            str(path): (stat.S_IMODE(path.stat().st_mode), path.read_text() if path.is_file() else "")
            for path in found if path.exists()
        }  # fmt: skip
