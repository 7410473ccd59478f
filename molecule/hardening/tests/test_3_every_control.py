"""Every control of the register: broken on the machine, found by the audit, set right, and left alone by the second run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from breaks import recipe
from fleet import EPHEMERAL, HOSTS, harden, on_machines

from plugins.plugin_utils.hardening.register import load

REGISTER = load([Path(__file__).parents[3] / "controls"])
HOLDS = {"pass", "changed", "not_applied_here"}
NOT_HERE = {
    "file-bootloader": "a container has no boot loader",
    "kernel-ptrace": "the kernel of the build machine may lack Yama",
    "kernel-bpf-hardened": "a container's view of the kernel may lack it",
    "kernel-no-sysrq": "a container's view of the kernel may lack it",
    "kernel-no-kexec": "a container's view of the kernel may lack it",
    "cron-crontab": "made by the system on Amazon Linux 2 only",
    "root-umask": "a control of Amazon Linux 2 only",
    "lockout-attempts": "a control of Amazon Linux 2023 only",
    "lockout-time": "a control of Amazon Linux 2023 only",
    "imds-needs-token": "the metadata service is outside of the host",
}
"""Controls that may not apply on a machine of the lab, and why."""


def empty_packages(folder: Path) -> Path:
    """Empty RPM packages with the names that must be absent."""
    names = [
        name
        for c in REGISTER
        if c.type == "package" and c.state["state"] == "absent"
        for name in _names(c.state["name"])
    ]
    names.append("at")  # two controls are about it, and the repository does not have it
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


def script(name: str, key: str) -> str:
    """All recipes for a machine as one script; each runs in a shell of its own, so that one's failure is only its own."""
    parts = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]  # one recipe takes sudo's path away
    for control in REGISTER:
        text = recipe(control, name) if key == "break" else control.test.get(key)
        if text:
            parts.append(
                f"( {text} ) >/dev/null 2>/tmp/{control.id}.err || echo RECIPE FAILED {control.id}: $(cat /tmp/{control.id}.err)"
            )
    return "\n".join(parts) + "\n"


def run_script(name: str, key: str) -> None:
    path = EPHEMERAL / f"{key}-{name}.sh"
    path.write_text(script(name, key))
    said = on_machines(name, "script", str(path))
    assert "RECIPE FAILED" not in said, said


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The results before, after breaking everything, after enforcing, and of the run after that."""
    archive = empty_packages(tmp_path_factory.mktemp("rpm"))
    on_machines("all", "file", "path=/root/broken state=directory mode=0700")
    on_machines("all", "unarchive", f"src={archive} dest=/root/broken/")
    on_machines("all", "command", "rpm -U --force --nodeps --nosignature /root/broken/at-1-1.noarch.rpm")
    _done, before = harden("--check")
    try:
        for name in HOSTS:
            run_script(name, "break")
        audit, broken = harden("--check", hardening_audit_fails=True)
        for name in HOSTS:
            run_script(name, "repair")
        enforced_run, enforced = harden()
        second_run, second = harden()
    finally:
        for name in HOSTS:
            run_script(name, "cleanup")
    return {
        "before": before,
        "broken": broken,
        "audit": audit,
        "enforced": enforced,
        "second": second,
        "runs": (enforced_run, second_run),
    }


def test_every_control_is_tested_on_one_of_the_machines(story):
    tested = {
        c.id
        for c in REGISTER
        for name in HOSTS
        if recipe(c, name) and story["before"][name][c.id]["status"] != "not_applicable"
    }
    excused = {c.id for c in REGISTER if "skip" in c.test} | set(NOT_HERE)
    assert {c.id for c in REGISTER} - tested - excused == set()


@pytest.mark.parametrize("name", HOSTS)
def test_the_audit_finds_every_broken_control(story, name):
    missed = {
        c.id: (story["broken"][name][c.id]["status"], story["broken"][name][c.id]["evidence"])
        for c in REGISTER
        if recipe(c, name)
        and story["before"][name][c.id]["status"] != "not_applicable"
        and story["broken"][name][c.id]["status"] != "fail"
    }
    assert missed == {}


def test_the_audit_fails_and_tells_which_control_drifted_where_and_since_when(story):
    assert story["audit"].returncode != 0
    for name in HOSTS:
        since = story["broken"][name]["ssh-no-root-login"]["since"]
        assert f"ssh-no-root-login, since {since} (was pass on " in story["audit"].stdout
        assert since > story["before"][name]["ssh-no-root-login"]["since"]
        assert f"of the controls do not hold on {name}" in story["audit"].stdout


@pytest.mark.parametrize("name", HOSTS)
def test_enforcing_sets_every_control_right(story, name):
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
    assert [k for k, v in story["second"][name].items() if v["status"] == "fail"] == []
    gone = [
        k
        for k, v in story["second"][name].items()
        if v["status"] == "not_applicable" and before[k]["status"] != "not_applicable"
    ]
    assert gone == []
