"""What an image is left with. The connection is the one that the role ran on: it takes away every way to open a new one."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

MANIFEST = "/etc/fleet/image-manifest.json"


@pytest.mark.parametrize(
    "pattern",
    [
        "/etc/ssh/ssh_host_*",
        "/root/.*_history /home/*/.*_history",
        "/root/.ssh/authorized_keys* /home/*/.ssh/authorized_keys*",
        "/srv/deploy/.ssh/authorized_keys /srv/deploy/.bash_history /etc/ssh/keys/deploy",
        "/home/*/.viminfo /tmp/build.log /tmp/.hidden /var/tmp/download",
        "/var/log/*-2026* /var/log/*.1",
        "/var/lib/cloud/*",
        "/var/cache/dnf/* /var/cache/yum/*",
        "/var/lib/systemd/random-seed",
        "/var/spool/mail/root",
    ],
)
def test_nothing_is_left_of(host, pattern):
    assert host.run(f"for f in {pattern}; do [ ! -e $f ] || echo $f; done").stdout == ""


def test_the_machine_id_is_empty_and_there(host):
    assert host.file("/etc/machine-id").exists and host.file("/etc/machine-id").size == 0


def test_logs_are_there_and_empty(host):
    assert host.file("/var/log/build.log").size == 0
    assert host.file("/var/log/build.log").mode == 0o600


def test_the_named_service_is_stopped_and_writes_no_more(host):
    assert not host.service("chatter").is_running
    assert host.file("/var/log/chatter.log").size == 0


def test_what_belongs_to_the_host_stays(host):
    assert host.file("/home/ec2-user/.bashrc").exists and host.file("/opt/kept").exists


def test_the_manifest_lists_every_package(host):
    components = json.loads(host.file(MANIFEST).content_string)["sbom"]["components"]
    installed = host.check_output("rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\\n' | grep -v ^gpg-pubkey")
    assert sorted(f"{c['name']} {c['version']}" for c in components) == sorted(installed.splitlines())


def test_the_manifest_says_what_the_image_was_made_from(host):
    manifest = json.loads(host.file(MANIFEST).content_string)
    assert manifest["inputs"]["git_commit"] == "0" * 40
    assert manifest["os"]["distribution"] == "Amazon"


def test_the_control_node_has_the_same_manifest(host):
    copies = list(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]).glob("*.json"))
    assert host.file(MANIFEST).content_string in [copy.read_text() for copy in copies]


def test_the_manifest_names_the_record_of_the_files(host):
    aide = json.loads(host.file(MANIFEST).content_string)["aide"]
    assert aide["sha256"] == host.file(aide["database"]).sha256sum
    assert aide["version"] in host.run("aide --version 2>&1").stdout


def test_the_record_holds_and_shows_a_changed_program(host):
    assert host.run("aide --config=/etc/aide.conf --check").rc == 0
    host.check_output("cp -p /usr/bin/passwd /root/kept && printf x >>/usr/bin/passwd")
    found = host.run("aide --config=/etc/aide.conf --check")
    host.check_output("cp -p /root/kept /usr/bin/passwd && rm /root/kept")
    assert found.rc & 4 and ": /usr/bin/passwd\n" in found.stdout


def test_the_manifest_holds_what_the_controls_found(host):
    report = (Path(__file__).parents[1] / "files/report.json").read_bytes()
    controls = json.loads(host.file(MANIFEST).content_string)["controls"]
    assert controls["sha256"] == hashlib.sha256(report).hexdigest()
    assert controls["results"] == {"ssh-banner": "excepted", "sudo-path": "pass"}
