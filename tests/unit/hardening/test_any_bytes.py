"""Whatever bytes a host's names and files have, its report and the fleet's are written and can be read."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.audit import SET_ID
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening import report
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.hardening.machine import Machine
from tests.support.pythons import host_library, interpreter

NAMES = [
    b"caf\xe9 menu",
    b"\x1b]0;title\x07",
    b"=cmd()",
    b"\t=1+1",
    b"\xed\xb3\xa9",
    b"a\nb",
    b"\xef\xbf\xbf",
    b" ",
    b"\xe2\x80\xae",
    b"%s %d",
]
MOUNTS = "/dev/xvda1 / ext4 rw 0 0\n"
WALK = {"id": "walk", "type": "file_walk", "state": {"check": "world_writable"}}
BANNER = {"id": "banner", "type": "file", "state": {"path": "/etc/issue.net", "content": "Authorised users only\n"}}
LINE = {"id": "line", "type": "lines", "state": {"path": "/etc/motd", "absent": ["hello"]}}
CONTROLS = [WALK, BANNER, LINE]


def host_with(root: Path, name: bytes, banner: bytes) -> Machine:
    """A file that everybody may write, with that name, and a banner of any bytes."""
    machine = Machine(root)
    machine.put("/proc/self/mounts", MOUNTS)
    machine.put("/etc/motd", "")
    (root / "etc/motd").write_bytes(b"hello " + banner)
    (root / "etc/issue.net").write_bytes(banner)
    path = root / "var/spool" / os.fsdecode(name)
    path.parent.mkdir(parents=True)
    path.touch()
    path.chmod(0o666)
    return machine


def reports_of(results: list[dict[str, Any]], folder: Path) -> dict[str, str]:
    """The texts of the host's and the fleet's reports by name, each read as its readers do."""
    controls = [
        Control(item["id"], "Title", 1, "low", "Why.", "file", {}, "files", cis={}, maps={"soc2": ["CC6.1"]})
        for item in CONTROLS
    ]
    facts = report.HostFacts(
        "web-1", datetime.datetime.now(tz=datetime.UTC), audit=True, release="al2", container=False
    )
    report.write_host(folder, report.host_report(facts, controls, [], results, None))
    good = report.HostFacts("web-2", facts.when, audit=True, release="al2", container=False)
    passed = [{**item, "status": "pass", "reason": "", "evidence": []} for item in results]
    report.write_host(folder, report.host_report(good, controls, [], passed, None))
    found = [report.previous(folder, name) for name in ("web-1", "web-2")]
    report.write_fleet(folder, [one for one in found if one is not None])
    texts = {path.name: path.read_bytes().decode("utf-8") for path in folder.iterdir()}
    assert sorted(texts) == sorted(
        f"{n}.{kind}" for n in ("web-1", "web-2", "fleet") for kind in ("json", "xml", "csv", "html")
    )
    for name, text in texts.items():
        assert not any(ord(character) < 0x20 and character not in "\n\t" for character in text), name
    return texts


def readable(texts: dict[str, str], hosts: int) -> None:
    for name in ("web-1", "fleet"):
        json.loads(texts[f"{name}.json"])
        ElementTree.fromstring(texts[f"{name}.xml"])  # noqa: S314 - our own
        rows = list(csv.reader(io.StringIO(texts[f"{name}.csv"])))
        assert len(rows) == 1 + len(CONTROLS) * (hosts if name == "fleet" else 1)
        assert not [cell for row in rows for cell in row if cell.lstrip().startswith(("=", "+", "-", "@"))]


file_names = (
    st.binary(min_size=1, max_size=80)
    .map(lambda b: b.replace(b"/", b"x").replace(b"\0", b"y"))
    .filter(lambda b: b not in (b".", b".."))
)


@settings(max_examples=40)
@given(file_names, st.binary(max_size=300))
@example(b"caf\xe9 menu", b"\x1b[31mWelcome \xe9\n")
def test_any_name_and_any_banner_is_found_fixed_and_reported(name: bytes, banner: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = host_with(Path(folder) / "host", name, banner)
        audit = evaluate(CONTROLS, machine.host("al2"), False, {})
        assert audit[0]["status"] == "fail"
        readable(reports_of(audit, Path(folder) / "reports"), 2)
        enforced = evaluate([WALK, BANNER], machine.host("al2"), True, {})
        assert [item["status"] for item in enforced] == ["changed", "changed"], enforced
        assert (Path(folder) / "host/var/spool" / os.fsdecode(name)).stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_name_is_shown_escaped(tmp_path: Path, name: bytes) -> None:
    machine = host_with(tmp_path / "host", name, b"")
    (walked, *_others) = evaluate(CONTROLS, machine.host("al2"), False, {})
    shown = name.decode("latin-1") if name.isascii() else None
    for line in (*walked["evidence"], walked["reason"]):
        assert line.isprintable()
    if shown and shown.isprintable():
        assert f"/var/spool/{shown}" in walked["reason"]
    if name == b"caf\xe9 menu":
        assert r"/var/spool/caf\xe9 menu: 0666 (desired: none)" in walked["evidence"]


SCRIPT = """
import io, json, sys
sys.path.insert(0, sys.argv[1])
from module_utils._hardening.engine import evaluate
from module_utils._hardening.host import Host
from module_utils._host.system import System
controls = json.load(io.open(sys.argv[3], encoding="utf-8"))
system = System(sys.argv[2])
print(json.dumps([evaluate(controls, Host(system, {}, "al2", False), enforce, {}) for enforce in (False, True)]))
"""


@pytest.mark.parametrize("version", ["2.7", "3.7"])
@pytest.mark.parametrize("name", NAMES)
def test_the_hosts_pythons_find_the_same(tmp_path: Path, name: bytes, version: str) -> None:
    program = interpreter(version)
    if program is None:
        pytest.skip(f"there is no Python {version}")
    banner = b"\x1b[31mWelcome \xe9 \xed\xb3\xa9\n"
    machine = host_with(tmp_path / "host", name, banner)
    expected = evaluate(CONTROLS, machine.host("al2"), False, {})
    (tmp_path / "controls.json").write_text(json.dumps(CONTROLS))
    argv = [program, "-B", "-c", SCRIPT, host_library(tmp_path / "lib"), tmp_path / "host", tmp_path / "controls.json"]
    done = subprocess.run(argv, env={"LC_ALL": "C"}, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    audit, enforced = json.loads(done.stdout)
    assert audit == expected
    assert [item["status"] for item in enforced] == ["changed", "changed", "changed"], enforced
    readable(reports_of(audit, tmp_path / "reports"), 2)


@pytest.mark.parametrize("name", ["a b", "a\tb", "a\nb", "a\u00a0b"])
def test_a_set_id_program_that_no_rule_can_name_fails_by_its_name_and_spoils_no_rules(
    machine: Machine, name: str
) -> None:
    machine.put("/etc/audit/rules.d/x.rules", "")
    machine.put(f"/opt/{name}", "", 0o4755)
    machine.put("/opt/plain", "", 0o4755)
    machine.put("/proc/self/mounts", MOUNTS)
    machine.answers |= {"auditctl -l": (0, ""), "auditctl -s": (0, "enabled 1"), "auditctl -a": (0, "")}
    control = {
        "id": "a",
        "type": "audit_rule",
        "state": {"rules": [f"-a always,exit -F path={SET_ID} -F perm=x -k privileged"]},
    }
    (found,) = evaluate([control], machine.host(), True, {})
    assert found["status"] == "fail"
    assert "no rule can name /opt/a" in found["reason"] and "white space" in found["reason"]
    written = machine.text("/etc/audit/rules.d/50-fleet-hardening.rules")
    assert written == "-a always,exit -F path=/opt/plain -F perm=x -k privileged\n"
