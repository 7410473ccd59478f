"""A host with the role's default values."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from typing import Any

import boto3
import pytest
from fleet_testing import eventually

METADATA = (
    "curl -s -H \"X-aws-ec2-metadata-token: $(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)\""
    " http://169.254.169.254/latest/meta-data/%s"
)
READ_FACT = (
    'import configparser, json; c = configparser.ConfigParser(); c.read("/etc/ansible/facts.d/fleet.fact"); '
    "print(json.dumps({s: dict(c[s]) for s in c.sections()}))"
)


def test_time_comes_from_the_amazon_time_sync_service_only(host: Any) -> None:
    sources = [
        line.split()[1]
        for line in host.check_output("chronyd -p -f /etc/chrony.conf").splitlines()
        if line.startswith("server ")
    ]
    assert sources == ["169.254.169.123"]
    assert host.service("chronyd").is_enabled


def test_the_time_service_runs_unless_the_host_may_not_set_the_clock(host: Any) -> None:
    may = "cap_sys_time" in host.check_output("capsh --decode=$(awk '/CapBnd/ {print $2}' /proc/1/status)")
    assert host.service("chronyd").is_running == may


def test_nobody_can_ask_this_host_for_the_time(host: Any) -> None:
    assert not host.socket("udp://0.0.0.0:123").is_listening


def test_the_journal_is_on_the_disk_and_limited(host: Any) -> None:
    # What journald itself says that it goes by; systemd 219 has no `systemd-analyze cat-config`.
    limits = re.findall(
        r"^System Journal .* max ([0-9.]+\w),", host.check_output("journalctl -u systemd-journald -o cat"), re.MULTILINE
    )
    assert limits[-1] == "512.0M"
    assert host.check_output("ls /var/log/journal")


def test_log_files_are_rotated_by_a_configuration_that_logrotate_accepts(host: Any) -> None:
    done = host.run("logrotate --debug /etc/logrotate.conf")
    assert done.rc == 0
    assert "error" not in done.stderr


def test_network_settings_are_live(host: Any) -> None:
    assert host.check_output("cat /proc/sys/net/core/somaxconn") == "4096"
    assert host.check_output("cat /proc/sys/net/ipv4/tcp_fin_timeout") == "15"


def test_logins_may_open_many_files(host: Any) -> None:
    if host.run("bash -c 'ulimit -n 65536'").rc != 0:
        pytest.skip("root itself may not open so many files on this machine")
    assert host.check_output("su - ec2-user -c 'ulimit -n'") == "65536"


def test_the_release_says_whether_it_is_still_supported(host: Any) -> None:
    ended = host.check_output(". /etc/os-release; echo $VERSION_ID") == "2"
    fact = host.check_output("cat /etc/ansible/facts.d/fleet.fact")
    assert f"standard_support_ended = {str(ended).lower()}" in fact


def test_the_instance_and_what_is_not_proven_of_it_are_recorded(host: Any) -> None:
    facts = json.loads(host.check_output(f"python3 -c '{READ_FACT}'"))
    assert facts["instance"]["type"] == "t3.medium"
    assert facts["instance"]["network_driver"] == "none"
    assert (facts["instance"]["ena_state"], facts["instance"]["enhanced_networking"]) == ("unknown", "unknown")
    assert int(facts["instance"]["vcpus"]) == int(host.check_output("grep -c ^processor /proc/cpuinfo"))


def test_the_host_keeps_its_name_and_universal_time(host: Any) -> None:
    assert host.check_output("hostname").startswith("ip-10-")
    assert not host.file("/etc/cloud/cloud.cfg.d/60-fleet-hostname.cfg").exists
    assert host.check_output("date +%z") == "+0000"


def test_every_kernel_setting_says_why_and_is_live_or_can_t_be_set_here(host: Any) -> None:
    lines = host.check_output("cat /etc/sysctl.d/60-fleet.conf").splitlines()
    settings = [(line, above) for above, line in pairwise(lines) if " = " in line and line[0] != "#"]
    assert len(settings) >= 18
    assert [line for line, above in settings if not above.startswith("# ")] == []
    for line, _ in settings:
        name, value = line.split(" = ")
        path = f"/proc/sys/{name.replace('.', '/')}"
        live = host.check_output(f"cat {path} 2>/dev/null || true").split()
        writable = host.run(f"sh -c ': >> {path}'").rc == 0
        assert live == value.split() or not writable, name


def test_there_is_no_swap_file(host: Any) -> None:
    assert not host.file("/swapfile").exists


def test_the_ssh_host_keys_are_in_parameter_store(host: Any) -> None:
    ssm = boto3.client("ssm", region_name=os.environ["AWS_REGION"])
    name = "/fleet/host-keys/" + host.check_output(METADATA % "instance-id")

    def published() -> list[str]:
        return [p["Value"] for p in ssm.get_parameters(Names=[name])["Parameters"]]

    assert eventually(lambda: bool(published()), 60), host.check_output("journalctl -u fleet-host-keys -o cat")
    files = host.check_output("sshd -T | sed -n 's/^hostkey //p'").split()
    keys = [host.run(f"cut -d ' ' -f 1,2 {path}.pub").stdout.strip() for path in files]
    assert published()[0].split("\n") == sorted(filter(None, keys))
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    assert [tag["Value"].endswith(f":instance/{name.split('/')[-1]}") for tag in tags] == [True]


def test_a_second_boot_writes_the_same_keys_no_more(host: Any) -> None:
    host.check_output("systemctl restart fleet-host-keys")
    assert eventually(lambda: host.run("systemctl is-active fleet-host-keys").stdout.strip() == "inactive", 60)
    assert "has this host's keys" in host.check_output("journalctl -u fleet-host-keys -o cat | tail -n 4")


def test_the_host_keys_are_published_at_boot_and_nothing_waits_for_it(host: Any) -> None:
    assert host.service("fleet-host-keys").is_enabled
    shown = dict(
        line.split("=", 1) for line in host.check_output("systemctl show -p Type,Before fleet-host-keys").split("\n")
    )
    # A simple service's start is over at once.
    assert shown["Type"] == "simple"
    assert set(shown["Before"].split()) <= {"multi-user.target", "shutdown.target"}
