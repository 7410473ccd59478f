"""Every control of the register: broken on the machine, found by the audit, remediated, and left alone by the second run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import OPEN
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control, load
from breaks import MEMORY, recipe, repair
from fleet import EPHEMERAL, HOSTS, harden, instance_id, on_machines

from tests.support.hardening.cases import CASES

REGISTER = load([Path(__file__).parents[3] / "controls"])
SIMULATED = {case.id for case in CASES}
ON_THE_DISK = {"partition": "not_applied_here"}
"""What the audit says of a control that no running host can hold where the image did not bring it."""
NEEDED = ["at", "libuser", "postfix"]
"""Packages that controls are about and the lab's repository does not have; their configuration is written by prepare.yml."""
HOLDS = {"pass", "changed", "not_applied_here"}
UNIT_OF_TMP = r"[Unit]\nBefore=local-fs.target\n[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\nOptions=mode=1777,nosuid,nodev,noexec\n"


def empty_packages(folder: Path) -> Path:
    """Empty RPM packages with the names that must be absent."""
    names = [name for c in REGISTER if c.type == "package" and not is_package(c) for name in _names(c.state["name"])]
    names += NEEDED
    head = "Name: {0}\nVersion: 1\nRelease: 1\nSummary: test\nLicense: MIT\nBuildArch: noarch\n%description\ntest\n%files\n"
    for name in names:
        spec = folder / f"{name}.spec"
        spec.write_text(head.format(name))
        argv = [
            "rpmbuild",
            "-bb",
            "--quiet",
            "--define",
            f"_topdir {folder}",
            "--define",
            f"_rpmdir {folder}",
            str(spec),
        ]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
    shutil.make_archive(str(folder / "broken"), "tar", folder / "noarch")
    return folder / "broken.tar"


def _names(value):
    return value if isinstance(value, list) else [value]


def mount_script() -> str:
    """Makes what controls of mounts are about a file system of its own, described in fstab or, on Amazon Linux 2023, a unit (/tmp)."""
    options: dict[str, set[str]] = {}
    for control in REGISTER:
        if control.type == "mount":
            options.setdefault(control.state["path"], set()).update(_names(control.state["options"]))
    lines = ["set -e", "cp -p /etc/fstab /root/fstab-before"]
    for path in sorted(options):
        desired = ",".join(sorted(options[path]))
        if path in MEMORY:
            fstab = f"tmpfs {path} tmpfs defaults,{desired} 0 0"
        else:
            fstab = f"{path} {path} none bind,{desired} 0 0"
            lines.append(f"mount --bind {path} {path}; mount --make-private {path}")
        lines.append(f"mount -o remount,bind,{desired} {path}")
        lines.append(f"echo '{fstab}' >>/etc/fstab")
    by_unit = f"sed -i '/ \\/tmp /d' /etc/fstab; printf '{UNIT_OF_TMP}' >/usr/lib/systemd/system/tmp.mount"
    lines.append(f"if grep -q 2023 /etc/system-release; then {by_unit}; fi; systemctl daemon-reload")
    return "\n".join(lines) + "\n"


def unmount_script() -> str:
    paths = sorted({c.state["path"] for c in REGISTER if c.type == "mount"} - {*MEMORY}, reverse=True)
    return (
        "cp -p /root/fstab-before /etc/fstab; rm -rf /usr/lib/systemd/system/tmp.mount /etc/systemd/system/tmp.mount.d\n"
        + "".join(f"umount -l {path}\n" for path in paths)
        + "systemctl daemon-reload\n"
    )


def carries_others(control: Control) -> bool:
    """Of a package or file system that must be there. Without it, others do not apply: they are broken and seen before it goes."""
    return control.type == "partition" or is_package(control)


def is_package(control: Control) -> bool:
    return bool(control.type == "package" and control.state["state"] == "present")


def script(name: str, key: str, controls: Sequence[Control]) -> str:
    """Their recipes for a machine as one script; each runs in a shell of its own, so that one's failure is only its own."""
    parts = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]  # one recipe takes sudo's path away
    for control in controls:
        text = text_of(control, name, key)
        if text and not control.test.get("outside"):
            parts.append(
                f"( {text} ) >/dev/null 2>/tmp/{control.id}.err || echo RECIPE FAILED {control.id}: $(cat /tmp/{control.id}.err)"
            )
    return "\n".join(parts) + "\n"


def text_of(control: Control, name: str, key: str) -> str | None:
    if key == "break":
        return recipe(control, name)
    return repair(control) if key == "repair" else control.test.get(key)


def run_scripts(key: str, controls: Sequence[Control] = REGISTER) -> None:
    """On both machines at once."""
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        list(pool.map(lambda name: run_script(name, key, controls), HOSTS))


def run_script(name: str, key: str, controls: Sequence[Control]) -> None:
    """Run the recipes on the machine, and outside of it those that are about what lies there."""
    said = on_machines(name, "script", str(written(f"{key}-{name}", script(name, key, controls))))
    assert "RECIPE FAILED" not in said, said
    for control in controls:
        text = text_of(control, name, key)
        if text and control.test.get("outside"):
            environment = {**os.environ, "INSTANCE_ID": instance_id(name)}
            subprocess.run(["sh", "-c", text], env=environment, check=True, capture_output=True, timeout=60)


def written(name: str, text: str) -> Path:
    path = EPHEMERAL / f"{name}.sh"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The results before, after breaking everything, after enforcing, and of the run after that."""
    carrying = [c for c in REGISTER if carries_others(c)]
    archive = empty_packages(tmp_path_factory.mktemp("rpm"))
    on_machines("all", "file", "path=/root/broken state=directory mode=0700")
    on_machines("all", "unarchive", f"src={archive} dest=/root/broken/")
    needed = " ".join(f"/root/broken/{name}-1-1.noarch.rpm" for name in NEEDED)
    on_machines("all", "command", f"rpm -U --force --nodeps --nosignature {needed}")
    on_machines("all", "script", str(written("mount", mount_script())))
    _done, before = harden("--check")
    try:
        run_scripts("break", [c for c in REGISTER if not carries_others(c)])
        audit, broken = harden("--check", hardening_audit_fails=True)
        run_scripts("break", carrying)
        _done, without = harden("--check")
        for name in HOSTS:
            broken[name].update({c.id: without[name][c.id] for c in carrying})
        run_scripts("repair")
        enforced_run, enforced = harden()
        second_run, second = harden()
    finally:
        run_scripts("cleanup")
        on_machines("all", "script", str(written("unmount", unmount_script())))
    return {
        "before": before,
        "broken": broken,
        "audit": audit,
        "enforced": enforced,
        "second": second,
        "runs": (enforced_run, second_run),
    }


@pytest.mark.parametrize("name", HOSTS)
def test_every_control_is_seen_in_full_on_this_release_or_on_a_machine_of_files(story, name):
    """Broken here and remediated here; else, where this machine can't show it, among the simulated ones."""
    not_here = {
        c.id
        for c in REGISTER
        if name in c.applies.get("os", HOSTS)
        and (
            not recipe(c, name)
            or "not_appli" in story["before"][name][c.id]["status"] + story["second"][name][c.id]["status"]
        )
    }
    assert {c for c in not_here if f"{c}-{name}" not in SIMULATED} == set()


@pytest.mark.parametrize("name", HOSTS)
def test_what_is_tested_by_hand_can_not_be_tested_here(story, name):
    # SELinux's mode is known here too; to see one that is wrong takes a kernel with SELinux.
    by_hand = [c.id for c in REGISTER if "by_hand" in c.test and c.type != "selinux_mode"]
    statuses = {one: story["before"][name][one]["status"] for one in by_hand}
    assert {one: status for one, status in statuses.items() if status != "not_applicable"} == {}


@pytest.mark.parametrize("name", HOSTS)
def test_the_audit_finds_every_broken_control(story, name):
    missed = {
        c.id: (story["broken"][name][c.id]["status"], story["broken"][name][c.id]["evidence"])
        for c in REGISTER
        if recipe(c, name)
        and story["before"][name][c.id]["status"] != "not_applicable"
        and story["broken"][name][c.id]["status"] not in (*OPEN, ON_THE_DISK.get(c.type))
    }
    assert missed == {}


def test_the_audit_fails_and_tells_which_control_drifted_where_and_since_when(story):
    assert story["audit"].returncode != 0
    for name in HOSTS:
        since = story["broken"][name]["ssh-no-root-login"]["since"]
        assert f"ssh-no-root-login, since {since} (was pass on " in story["audit"].stdout
        assert since > story["before"][name]["ssh-no-root-login"]["since"]
        assert f"Non-compliant controls on {name}: " in story["audit"].stdout


@pytest.mark.parametrize("name", HOSTS)
def test_enforcing_remediates_every_control(story, name):
    wrong = {
        k: (v["status"], v["reason"])
        for k, v in story["enforced"][name].items()
        if v["status"] not in {*HOLDS, "not_applicable"}
    }
    assert wrong == {}, story["runs"][0].stdout[-2000:]


@pytest.mark.parametrize("name", HOSTS)
def test_the_second_run_changes_nothing(story, name):
    assert [k for k, v in story["second"][name].items() if v["changed"]] == []
    assert "changed=0" in next(line for line in story["runs"][1].stdout.splitlines() if line.startswith(f"{name} "))


@pytest.mark.parametrize("name", HOSTS)
def test_nothing_is_worse_than_before(story, name):
    before = story["before"][name]
    assert [k for k, v in story["second"][name].items() if v["status"] in OPEN] == []
    gone = [
        k
        for k, v in story["second"][name].items()
        if v["status"] == "not_applicable" and before[k]["status"] != "not_applicable"
    ]
    assert gone == []
