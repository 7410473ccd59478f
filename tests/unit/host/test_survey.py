"""What a host is found to be, and which instances are refused."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import survey

from tests.support.pythons import host_library, interpreter

ROUTES = """Iface	Destination	Gateway	Flags	RefCnt	Use	Metric	Mask	MTU	Window	IRTT
eth1	00000000	0100000A	0003	0	0	512	00000000	0	0	0
ens5	00000000	0100000A	0003	0	0	100	00000000	0	0	0
ens5	0000000A	00000000	0001	0	0	0	0000FFFF	0	0	0
"""
REQUIRED: dict[str, Any] = {"instance_types_allowed": [], "min_vcpus": 1, "min_memory_mib": 0, "ena": "report"}
INSTANCE = {"id": "i-1", "type": "t3.medium", "vcpus": 2, "memory_mib": 3800}
NET = {"interface": "ens5", "driver": "ena", "enhanced_networking": "ena"}


def states(required: dict[str, Any], instance: dict[str, Any] = INSTANCE, net: dict[str, str] = NET) -> dict[str, str]:
    return {found["check"]: found["state"] for found in survey.check(REQUIRED | required, instance, net)}


def refused(required: dict[str, Any], instance: dict[str, Any] = INSTANCE, net: dict[str, str] = NET) -> list[str]:
    checks = survey.check(REQUIRED | required, instance, net)
    return [found["check"] for found in survey.refusals(REQUIRED | required, checks)]


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
    found = survey.network(str(tmp_path))
    assert (found["interface"], found["enhanced_networking"]) == ("ens5", kind)


def test_a_host_without_a_default_route_has_no_primary_interface() -> None:
    assert survey.primary_interface(ROUTES.splitlines()[0] + "\n") == ""


def test_size_and_swap_are_read_from_the_kernels_files() -> None:
    assert survey.memory_mib("MemTotal:        3964520 kB\nMemFree: 1 kB\n") == 3871
    assert survey.processors("cpu  1 2\ncpu0 1 2\ncpu1 1 2\nintr 5\n") == 2
    swaps = "Filename Type Size Used Priority\n/swapfile file 2097148 0 -2\n"
    assert survey.active_swap(swaps) == [{"path": "/swapfile", "mib": 2048}]
    assert survey.declared_swap("# /old none swap x 0 0\n/dev/sdb none swap defaults 0 0\n/ / xfs x 0 0\n") == [
        "/dev/sdb"
    ]


def test_what_is_as_required_is_ok() -> None:
    required = {"instance_types_allowed": ["t3.*"], "min_vcpus": 2, "min_memory_mib": 3500, "ena": "required"}
    assert set(states(required).values()) == {"ok"}
    assert refused(required) == []


@pytest.mark.parametrize(
    ("required", "check"),
    [
        ({"instance_types_allowed": ["m6i.*", "c7g.large"]}, "instance_type"),
        ({"min_vcpus": 4}, "size"),
        ({"min_memory_mib": 7600}, "size"),
    ],
)
def test_what_is_not_as_required_is_refused(required: dict[str, Any], check: str) -> None:
    assert refused(required) == [check]


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
    assert survey.expand_hostname(template, METADATA.get) == name


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{tag:Team}", "no tag 'Team'"),
        ("{nonsense}", "{instance_id}"),
        ("web_1", "no host name"),
        ("Web", "no host name"),
        ("a" * 64, "no host name"),
        ("a-.b", "no host name"),
    ],
)
def test_what_can_be_no_host_name_is_refused_with_the_reason(template: str, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        survey.expand_hostname(template, METADATA.get)


def test_spellings_of_a_locale_are_one() -> None:
    assert survey.same_locale("C.utf8") == survey.same_locale("C.UTF-8") != survey.same_locale("c.utf8")


def test_the_same_is_found_under_python_2(tmp_path: Path) -> None:
    python2 = interpreter("2.7")
    if python2 is None:
        pytest.skip("there is no Python 2.7")
    code = (
        "import json, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from module_utils._host.survey import *\n"
        "print(json.dumps([primary_interface(ROUTES), expand_hostname('web-{instance_id}', META.get),\n"
        "    [f['state'] for f in check(REQUIRED, INSTANCE, network('/nowhere'))]]))\n"
    )
    values = f"ROUTES = {ROUTES!r}\nMETA = {METADATA!r}\nREQUIRED = {REQUIRED!r}\nINSTANCE = {INSTANCE!r}\n"
    argv = [python2, "-B", "-c", values + code, host_library(tmp_path, ("_host",))]
    done = subprocess.run(argv, text=True, capture_output=True, timeout=10, check=False)
    assert json.loads(done.stdout or "null") == ["ens5", "web-i-0abc", ["ok", "ok", "unknown"]], done.stderr
