"""What a host is found to be, and which instances are refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils import host_survey
from ansible_collections.ecommerce.fleet.plugins.module_utils.imds import Imds, ImdsError

ROUTES = """Iface	Destination	Gateway	Flags	RefCnt	Use	Metric	Mask	MTU	Window	IRTT
eth1	00000000	0100000A	0003	0	0	512	00000000	0	0	0
ens5	00000000	0100000A	0003	0	0	100	00000000	0	0	0
ens5	0000000A	00000000	0001	0	0	0	0000FFFF	0	0	0
"""
WANTED: dict[str, Any] = {"instance_types_allowed": [], "min_vcpus": 1, "min_memory_mib": 0, "ena": "report"}
INSTANCE = {"id": "i-1", "type": "t3.medium", "vcpus": 2, "memory_mib": 3800}
NET = {"interface": "ens5", "driver": "ena", "enhanced_networking": "ena"}


def states(wanted: dict[str, Any], instance: dict[str, Any] = INSTANCE, net: dict[str, str] = NET) -> dict[str, str]:
    return {found["check"]: found["state"] for found in host_survey.judge(WANTED | wanted, instance, net)}


def refused(wanted: dict[str, Any], instance: dict[str, Any] = INSTANCE, net: dict[str, str] = NET) -> list[str]:
    findings = host_survey.judge(WANTED | wanted, instance, net)
    return [found["check"] for found in host_survey.refusals(WANTED | wanted, findings)]


@pytest.mark.parametrize(
    ("driver", "kind"), [("ena", "ena"), ("ixgbevf", "sr-iov"), ("vif", "none"), (None, "unknown")]
)
def test_the_primary_interfaces_driver_decides(tmp_path: Path, driver: str | None, kind: str) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text(ROUTES)
    device = tmp_path / "sys/class/net/ens5/device"
    device.mkdir(parents=True)
    if driver:
        (tmp_path / "sys/drivers" / driver).mkdir(parents=True)
        (device / "driver").symlink_to(tmp_path / "sys/drivers" / driver)
    found = host_survey.network(str(tmp_path))
    assert (found["interface"], found["enhanced_networking"]) == ("ens5", kind)


def test_a_host_without_a_default_route_has_no_primary_interface() -> None:
    assert host_survey.primary_interface(ROUTES.splitlines()[0] + "\n") == ""


def test_size_and_swap_are_read_from_the_kernels_files() -> None:
    assert host_survey.memory_mib("MemTotal:        3964520 kB\nMemFree: 1 kB\n") == 3871
    assert host_survey.processors("cpu  1 2\ncpu0 1 2\ncpu1 1 2\nintr 5\n") == 2
    swaps = "Filename Type Size Used Priority\n/swapfile file 2097148 0 -2\n"
    assert host_survey.active_swap(swaps) == [{"path": "/swapfile", "mib": 2048}]
    assert host_survey.declared_swap("# /old none swap x 0 0\n/dev/sdb none swap defaults 0 0\n/ / xfs x 0 0\n") == [
        "/dev/sdb"
    ]


def test_what_is_as_wanted_is_ok() -> None:
    wanted = {"instance_types_allowed": ["t3.*"], "min_vcpus": 2, "min_memory_mib": 3500, "ena": "required"}
    assert set(states(wanted).values()) == {"ok"}
    assert refused(wanted) == []


@pytest.mark.parametrize(
    ("wanted", "check"),
    [
        ({"instance_types_allowed": ["m6i.*", "c7g.large"]}, "instance_type"),
        ({"min_vcpus": 4}, "size"),
        ({"min_memory_mib": 7600}, "size"),
    ],
)
def test_what_is_not_as_wanted_is_refused(wanted: dict[str, Any], check: str) -> None:
    assert refused(wanted) == [check]


@pytest.mark.parametrize(("kind", "state"), [("unknown", "unknown"), ("none", "failed"), ("sr-iov", "failed")])
def test_ena_is_never_passed_unproven_and_refused_only_where_it_is_required(kind: str, state: str) -> None:
    net = {"interface": "host0", "driver": "other", "enhanced_networking": kind}
    assert states({}, net=net)["ena"] == state
    assert refused({}, net=net) == []
    assert refused({"ena": "required"}, net=net) == ["ena"]


def test_an_unknown_type_is_refused_only_where_types_are_limited() -> None:
    unknown = INSTANCE | {"type": None}
    assert states({}, unknown)["instance_type"] == "unknown"
    assert refused({}, unknown) == []
    assert refused({"instance_types_allowed": ["t3.*"]}, unknown) == ["instance_type"]


METADATA = {
    "instance-id": "i-0abc",
    "instance-type": "t3.medium",
    "placement/availability-zone": "us-east-1a",
    "local-ipv4": "10.0.0.7",
    "tags/instance/Name": "Shop Web #1",
}


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("web-1", "web-1"),
        ("web-{instance_id}.{zone}", "web-i-0abc.us-east-1a"),
        ("{tag:Name}", "shop-web-1"),
        ("ip-{private_ip}-{instance_type}", "ip-10-0-0-7-t3-medium"),
    ],
)
def test_a_template_becomes_a_host_name(template: str, name: str) -> None:
    assert host_survey.expand_hostname(template, METADATA.get) == name


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{tag:Team}", "no tag 'Team'"),
        ("{nonsense}", "{instance_id}"),
        ("web_1", "no host name"),
        ("Web", "no host name"),
        ("a" * 64, "no host name"),
        ("a-.b", "no host name"),
    ],
)
def test_what_can_be_no_host_name_is_refused_with_the_reason(template: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        host_survey.expand_hostname(template, METADATA.get)


def test_spellings_of_a_locale_are_one() -> None:
    assert host_survey.same_locale("C.utf8") == host_survey.same_locale("C.UTF-8") != host_survey.same_locale("c.utf8")


def test_metadata_that_nobody_serves_is_an_error_that_says_so() -> None:
    with pytest.raises(ImdsError, match="does not answer"):
        Imds("127.0.0.1", 1).get("instance-id")


def test_the_same_is_found_under_python_2() -> None:
    python2 = shutil.which("python2.7")
    if python2 is None or subprocess.run([python2, "-V"], capture_output=True, timeout=10, check=False).returncode != 0:
        pytest.skip("there is no Python 2.7")
    code = Path(host_survey.__file__).read_text() + (
        "\nimport json\n"
        "print(json.dumps([primary_interface(ROUTES), expand_hostname('web-{instance_id}', META.get),\n"
        "    [f['state'] for f in judge(WANTED, INSTANCE, network('/nowhere'))]]))\n"
    )
    values = f"ROUTES = {ROUTES!r}\nMETA = {METADATA!r}\nWANTED = {WANTED!r}\nINSTANCE = {INSTANCE!r}\n"
    future = "from __future__ import absolute_import, division, print_function\n"
    done = subprocess.run(
        [python2, "-c", future + values + code.replace(future, "")],
        text=True,
        capture_output=True,
        timeout=10,
        check=False,
    )
    assert json.loads(done.stdout or "null") == ["ens5", "web-i-0abc", ["ok", "ok", "unknown"]], done.stderr
