"""The collection's playbooks and modules as they are, played on a fleet of which the hosts are this machine and AWS is a file and moto.

What is replaced: ``_aws/client.py``, the client of ``check_inventory``, the role that deploys, and Auto Scaling's own time, which would be
minutes.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import yaml
from moto.server import ThreadedMotoServer

from tests.support.played.aws_client import state

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
CREDENTIALS: dict[str, Any] = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
JOURNAL = "/fleet/ecommerce-web/played/al2023/operation"
RELEASE = "/fleet/ecommerce-web/played/release"
LIFECYCLE = "LIFECYCLE_SECONDS = 120"
ASKED = "make: Any = boto3.client"
"""How the check of the inventory asks for the group."""
PLAYED = "from ..module_utils._aws.client import boto3_client as make"

UNREACHABLE = "{{ 'ssh' if (played_folder ~ '/' ~ inventory_hostname ~ '.unreachable') is exists else 'local' }}"
DEPLOY = """
- name: Fail as app_runtime does when the release never gets ready; the previous one runs on
  ansible.builtin.fail:
    msg: "it was never ready"
  when: (played_folder ~ '/' ~ inventory_hostname ~ '.broken') is exists

- name: Lose the connection from here on
  ansible.builtin.file:
    path: "{{ played_folder }}/{{ inventory_hostname }}.unreachable"
    state: touch
    mode: "0600"
  when: (played_folder ~ '/' ~ inventory_hostname ~ '.loses') is exists

- name: Serve the release
  ansible.builtin.copy:
    content: "{{ fleet_release.version }}"
    dest: "{{ played_folder }}/{{ inventory_hostname }}.version"
    mode: "0600"
"""

VERSION_PATH = "app_runtime_version_path: /version\n"
ANSWERS = 'app_runtime_version_path: ":{{ played_port }}/{{ inventory_hostname }}/version"\n'


def collection(folder: Path) -> Path:
    """A tree of links to this checkout with the replaced files in it; returns what Ansible looks for collections in."""
    fleet = folder / "ansible_collections" / "ecommerce" / "fleet"
    replaced = (
        "plugins/module_utils/_aws/client.py",
        "plugins/module_utils/_fleet/plan.py",
        "roles/app_runtime/tasks/main.yml",
        "plugins/action/check_inventory.py",
        "roles/app_runtime/defaults/main.yml",
    )
    parents = {str(parent) for name in replaced for parent in Path(name).parents}
    for parent in sorted(parents):
        (fleet / parent).mkdir(parents=True, exist_ok=True)
        for item in (ROOT / parent).iterdir():
            name = str(item.relative_to(ROOT))
            if name not in parents and name not in replaced:
                (fleet / name).symlink_to(item)
    (fleet / replaced[0]).write_text((HERE / "aws_client.py").read_text())
    plan = (ROOT / replaced[1]).read_text()
    assert LIFECYCLE in plan
    (fleet / replaced[1]).write_text(plan.replace(LIFECYCLE, "LIFECYCLE_SECONDS = 3"))
    check = (ROOT / replaced[3]).read_text()
    assert ASKED in check
    (fleet / replaced[3]).write_text(check.replace(ASKED, PLAYED))
    (fleet / replaced[2]).write_text(DEPLOY)
    # A default of the role, as on a real host, and no variable of the inventory: a play without the role doesn't have it.
    defaults = (ROOT / replaced[4]).read_text()
    assert VERSION_PATH in defaults
    (fleet / replaced[4]).write_text(defaults.replace(VERSION_PATH, ANSWERS))
    return folder


class Versions(http.server.BaseHTTPRequestHandler):
    """``/i-1/version`` answers what the file ``i-1.version`` has."""

    folder: Path

    def do_GET(self) -> None:
        path = self.folder / f"{self.path.split('/')[1]}.version"
        body = json.dumps({"version": path.read_text()} if path.exists() else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Of", (Versions,), {"folder": folder}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class Played:
    """``hosts``: ids by zone letter. All of them serve release 1.0.0; 1.1.0 is published."""

    def __init__(self, folder: Path, collections: Path, endpoint: str, port: int) -> None:
        self.folder, self.collections, self.endpoint = folder, collections, endpoint
        self.ssm = {
            region: boto3.client("ssm", region_name=region, endpoint_url=endpoint, **CREDENTIALS)
            for region in ("us-east-1", "us-west-2")
        }
        inventory = folder / "inventory"
        (inventory / "group_vars" / "all").mkdir(parents=True)
        (inventory / "group_vars" / "all" / "00-shared.yml").symlink_to(ROOT / "inventory" / "shared.yml")
        (inventory / "group_vars" / "all" / "10-played.yml").write_text(
            yaml.safe_dump(
                {
                    "fleet_environment": "played",
                    "fleet_account_id": "123456789012",
                    "fleet_connection": "ssh",
                    "played_folder": str(folder),
                    "ansible_become": False,
                    "ansible_python_interpreter": sys.executable,
                    "played_port": port,
                }
            )
        )
        (inventory / "group_vars" / "web.yml").write_text(
            yaml.safe_dump(
                {
                    "ansible_connection": UNREACHABLE,
                    "ansible_host": "127.0.0.1",
                    "ansible_port": 1,
                }
            )
        )
        (inventory / "hosts.py").symlink_to(HERE / "inventory.py")
        self._fresh()

    def _fresh(self) -> None:
        record = {
            "hosts": {},
            "min": 1,
            "desired": 0,
            "suspended": [],
            "sick": [],
            "faults": {},
            "then": {},
            "moves": [],
        }
        (self.folder / "state.json").write_text(json.dumps(record))
        for client in self.ssm.values():
            for parameter in client.describe_parameters()["Parameters"]:
                client.delete_parameter(Name=parameter["Name"])
            for document in client.list_documents()["DocumentIdentifiers"]:
                client.delete_document(Name=document["Name"])
            for name, version in ((RELEASE, "1.0.0"), (f"{RELEASE}s/1.1.0", "1.1.0")):
                release = {"version": version, "kind": "nodejs", "url": "s3://played/shop.tar.gz", "sha256": "0" * 64}
                client.put_parameter(Name=name, Type="String", Value=json.dumps(release))

    def launch(self, **zones: str) -> None:
        """Host name, with an underscore for the hyphen → zone letter."""
        with state(self.folder) as record:
            for name, zone in zones.items():
                instance_id = name.replace("_", "-")
                record["hosts"][instance_id] = {"zone": f"us-east-1{zone}", "lifecycle": "InService"}
                record["desired"] += 1
                self.mark(instance_id, "version", "1.0.0")

    def mark(self, instance_id: str, what: str, text: str = "") -> None:
        """``what``: version, broken (never ready), loses (its connection while it is deployed), unreachable."""
        (self.folder / f"{instance_id}.{what}").write_text(text)

    def unmark(self, instance_id: str, what: str) -> None:
        (self.folder / f"{instance_id}.{what}").unlink()

    def set(self, **values: Any) -> None:
        with state(self.folder) as record:
            record.update(values)

    @property
    def state(self) -> dict[str, Any]:
        with state(self.folder) as record:
            return dict(record)

    def lifecycle(self) -> dict[str, str]:
        return {i: h["lifecycle"] for i, h in self.state["hosts"].items()}

    def versions(self) -> dict[str, str]:
        return {i: (self.folder / f"{i}.version").read_text() for i in self.state["hosts"]}

    def parameter(self, name: str, region: str = "us-east-1") -> dict[str, Any] | None:
        found = self.ssm[region].get_parameters(Names=[name])["Parameters"]
        return dict(json.loads(found[0]["Value"])) if found else None

    def command(self, playbook: str, *arguments: str, **variables: object) -> list[str]:
        words = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
        inventory = str(self.folder / "inventory")
        return [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            inventory,
            f"ecommerce.fleet.{playbook}",
            *words,
            *arguments,
        ]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_SSH_RETRIES": "0",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "NO_COLOR": "1",
            "PLAYED_FLEET": str(self.folder),
        }

    def play(self, playbook: str, *arguments: str, **variables: object) -> tuple[int, str]:
        """Exit code, and the output without the line breaks and doubled apostrophes that Ansible puts into long messages."""
        done = subprocess.run(
            self.command(playbook, *arguments, **variables),
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        print(done.stdout, done.stderr)
        return done.returncode, " ".join((done.stdout + done.stderr).replace("''", "'").split())

    def killed(self, after_tasks: int, seconds: float, playbook: str, **variables: object) -> bool:
        """The playbook, killed some seconds after it has begun so many tasks; whether it still ran then."""
        process = subprocess.Popen(
            self.command(playbook, **variables),
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            after_tasks -= line.startswith("TASK [")
            if after_tasks == 0:
                break
        time.sleep(seconds)
        ran = process.poll() is None
        if ran:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        process.stdout.close()
        return ran


@contextmanager
def played(folder: Path, collections: Path) -> Iterator[Played]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    try:
        _host, port = moto.get_host_and_port()
        with serving(folder) as version_port:
            yield Played(folder, collections, f"http://127.0.0.1:{port}", version_port)
    finally:
        moto.stop()
