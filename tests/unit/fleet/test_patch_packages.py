"""The patch script and the package manager: locks, dead repositories, one release, output of any size, transactions that nobody cuts."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.patch_host import BOOTED, DNF, Ended, Patched

OUTPUT_BYTES = 24_000
AL2023 = 'NAME="Amazon Linux"\nVERSION_ID="2023"\n'


@pytest.fixture
def host(tmp_path: Path) -> Patched:
    return Patched(tmp_path)


def dnf_calls(calls: list[str]) -> list[str]:
    return [call for call in calls if call.startswith(("dnf ", "yum "))]


def test_what_hundreds_of_updates_print_is_in_the_log_and_the_report_is_whole(host: Patched) -> None:
    host.program("dnf", DNF + '\nfor i in {1..3000}; do echo "Upgrading : package-$i"; done')
    host.updates = [(f"package-with-a-long-name-{number}", BOOTED + 1) for number in range(900)]
    ended = host.patch()
    assert len(ended.out) < OUTPUT_BYTES
    assert ended.report["updated_count"] == 900
    assert 50 < len(ended.report["updated"]) < 900
    assert "package-2999" in Path(ended.report["log"]).read_text()


def test_a_scan_counts_all_that_is_missing_and_lists_what_has_room(host: Patched) -> None:
    lines = [
        f"ALAS2023-2026-{number:04} Important/Sec.  package-{number}-1.2.3-4.amzn2023.x86_64" for number in range(800)
    ]
    host.put("advisories", "\n".join(["Last metadata expiration check: now", *lines]) + "\n")
    ended = host.patch(Operation="Scan")
    assert len(ended.out) < OUTPUT_BYTES
    assert (ended.report["pending"], ended.report["updated"]) == (800, [])
    assert ended.report["missing"][0] == "ALAS2023-2026-0000 Important/Sec. package-0-1.2.3-4.amzn2023.x86_64"
    assert not [call for call in ended.calls if "upgrade" in call]


def test_what_another_publisher_calls_a_security_update_is_missing_as_well(host: Patched) -> None:
    host.put(
        "advisories",
        "Loaded plugins: extras_suggestions\n"
        "ALAS2-2026-1234 important/Sec. glibc-2.26-64.amzn2.x86_64\n"
        "FEDORA-EPEL-2026-aa11bb22cc Unknown/Sec.  nginx-1:1.24.0-1.el7.x86_64\n"
        "NODESOURCE-2026-7           security       nodejs-2:20.1.0-1nodesource.x86_64\n"
        "updateinfo list done\n",
    )
    report = host.patch(Operation="Scan").report
    assert report["pending"] == 3
    assert [line.split()[0] for line in report["missing"]] == [
        "ALAS2-2026-1234",
        "FEDORA-EPEL-2026-aa11bb22cc",
        "NODESOURCE-2026-7",
    ]


def test_names_that_json_would_read_otherwise_are_reported_as_they_are(host: Patched) -> None:
    host.runs(60, r"systemd-cryptsetup@dev\x2dsda.service")
    assert host.patch().report["restarted"] == [r"systemd-cryptsetup@dev\x2dsda.service"]


@pytest.mark.parametrize(
    "folder",
    [
        "etc/yum.repos.d/a.repo",
        "etc/yum/repos.d/a.repo",
        "etc/distro.repos.d/a.repo",
        "etc/yum.conf",
        "etc/dnf/dnf.conf",
    ],
)
def test_no_repository_may_be_skipped_whatever_its_file_says(host: Patched, folder: str) -> None:
    host.put(folder, "[main]\nskip_if_unavailable=True\n[amzn2extra-docker]\nskip_if_unavailable=1\n  [own-1]\n")
    calls = dnf_calls(host.patch().calls)
    assert len(calls) == 3
    for call in calls:
        assert "--setopt=amzn2extra-docker.skip_if_unavailable=0 --setopt=own-1.skip_if_unavailable=0" in call
        assert "main.skip" not in call


@pytest.mark.parametrize("operation", ["Scan", "Install"])
@pytest.mark.parametrize("step", ["clean", "upgrade", "updateinfo"])
def test_a_package_manager_that_fails_is_an_error_with_its_last_words(host: Patched, step: str, operation: str) -> None:
    failing = (
        f'if [[ " $* " == *" {step} "* ]]; then echo "Failed to download metadata for repo \'own\'" >&2; exit 1; fi'
    )
    host.program("dnf", failing + "\n" + DNF)
    ended = host.patch(Operation=operation)
    if (operation, step) == ("Scan", "upgrade"):
        assert ended.code == 0
        return
    assert ended.code == 1
    assert "Failed to download metadata for repo 'own'" in ended.err
    assert f"{step}" in ended.err.splitlines()[-1]
    assert "exit code 1" in ended.err.splitlines()[-1]


def test_without_dnf_it_is_yum(host: Patched) -> None:
    (host.root / "bin/dnf").unlink()
    host.program("yum", DNF)
    host.updates = [("nginx", BOOTED + 1)]
    ended = host.patch()
    assert ended.report["updated"] == ["nginx-1-1.x86_64"]
    assert {call.split()[0] for call in dnf_calls(ended.calls)} == {"yum"}


# One release for all hosts ----------------------------------------------------------------------------------------------------------------


def test_the_latest_release_is_asked_for_once_and_its_name_is_used_and_reported(host: Patched) -> None:
    host.put("etc/os-release", AL2023)
    host.updates = [("glibc", BOOTED + 1)]
    first = host.patch()
    host.boot("two")
    host.put("proc/stat", f"btime {BOOTED + 200}\n")
    second = host.patch()
    assert second.report["release"] == "2023.9.20260105"
    calls = dnf_calls(first.calls + second.calls)
    assert len([call for call in calls if "--releasever=latest" in call]) == 1
    assert len([call for call in calls if "--releasever=2023.9.20260105" in call]) == 3


def test_a_named_release_is_taken_and_none_is_the_hosts_own(host: Patched) -> None:
    host.put("etc/os-release", AL2023)
    ended = host.patch(Release="2023.8.20250707")
    assert ended.report["release"] == "2023.8.20250707"
    assert "--releasever=2023.8.20250707" in dnf_calls(ended.calls)[-1]
    ended = host.patch(Release="", command="c-2")
    assert not [call for call in ended.calls if "releasever" in call]


def test_repositories_that_do_not_name_their_release_are_an_error(host: Patched) -> None:
    host.put("etc/os-release", AL2023)
    host.program("dnf", "")
    ended = host.patch()
    assert ended.code == 1
    assert "do not say which release is the latest" in ended.err


def test_amazon_linux_2_has_no_releases(host: Patched) -> None:
    ended = host.patch(Release="2023.8.20250707")
    assert (ended.code, ended.report["release"]) == (0, "")
    assert not [call for call in ended.calls if "releasever" in call]


# Locks ------------------------------------------------------------------------------------------------------------------------------------


def impatient(host: Patched) -> Ended:
    """A patch that waits a second at most, and not for cloud-init, which a busy machine may not even start in that."""
    (host.root / "bin/cloud-init").unlink()
    return host.patch(WaitSeconds="1")


def holds(host: Patched, pid: int, path: str) -> Path:
    host.put(f"proc/{pid}/cmdline", "/usr/bin/python2\0/usr/bin/yum\0upgrade\0")
    return host.put(path, f"{pid}\n")


LOCKS = [
    "run/yum.pid",
    "var/lib/dnf/rpmdb_lock.pid",
    "var/cache/dnf/metadata_lock.pid",
    "var/cache/dnf/download_lock.pid",
]


@pytest.mark.parametrize("path", LOCKS)
def test_a_lock_that_stays_is_an_error_that_names_its_holder(host: Patched, path: str) -> None:
    holds(host, 4711, path)
    ended = impatient(host)
    assert ended.code == 1
    assert "still locked after 1 s, by process 4711 (/usr/bin/python2 /usr/bin/yum upgrade" in ended.err
    assert dnf_calls(ended.calls) == []


def test_the_lock_of_rpm_itself_is_found_by_its_file(host: Patched) -> None:
    inode = (host.root / "var/lib/rpm/.rpm.lock").stat().st_ino
    host.put("proc/815/cmdline", "rpm\0-Uvh\n\0x.rpm\0")
    host.put(
        "proc/locks",
        f"1: POSIX  ADVISORY  READ 9 08:01:{inode} 0 EOF\n2: POSIX  ADVISORY  WRITE 815 08:01:{inode} 0 EOF\n",
    )
    assert "by process 815 (rpm -Uvh  x.rpm" in impatient(host).err


def test_the_kernel_shows_a_real_lock_as_the_script_reads_it(host: Patched) -> None:
    lock = host.root / "var/lib/rpm/.rpm.lock"
    with lock.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        host.put("proc/locks", Path("/proc/locks").read_text())
        assert f"by process {os.getpid()} (" in impatient(host).err


def test_a_lock_that_is_released_is_waited_for_and_one_of_a_dead_process_is_none(host: Patched) -> None:
    lock = holds(host, 4711, "run/yum.pid")
    host.put("var/lib/dnf/rpmdb_lock.pid", "99999")
    log = host.root / "var/log/fleet-patch/c-1.log"
    waiting = host.start()
    while "waiting for process 4711" not in (log.read_text() if log.exists() else ""):
        assert waiting.poll() is None
        time.sleep(0.05)
    lock.unlink()
    assert host.ended(waiting).code == 0


@pytest.mark.parametrize(
    "refusal", ["exit 200", 'echo "can\'t create transaction lock on /var/lib/rpm/.rpm.lock" >&2; exit 1']
)
def test_somebody_who_was_faster_is_waited_for(host: Patched, refusal: str) -> None:
    host.program("dnf", f'if [ ! -e "$root/tried" ]; then touch "$root/tried"; {refusal}; fi\n{DNF}')
    assert host.patch().code == 0


def test_a_lock_that_nobody_holds_and_that_stays_ends_too(host: Patched) -> None:
    host.program("dnf", "exit 200")
    ended = impatient(host)
    assert ended.code == 1
    assert "exit code 200" in ended.err


def test_the_first_boots_own_updates_are_waited_for(host: Patched) -> None:
    assert host.patch().calls[0] == "cloud-init status --wait"
    host.program("cloud-init", "exit 1")
    ended = host.patch(command="c-2")
    assert ended.code == 0
    assert "cloud-init did not end well" in Path(ended.report["log"]).read_text()


def test_a_first_boot_that_does_not_end_is_an_error_before_anything_is_updated(host: Patched) -> None:
    host.program("cloud-init", "sleep 30")
    ended = host.patch(WaitSeconds="1")
    assert ended.code == 1
    assert "cloud-init is still running after 1 s" in ended.err
    assert dnf_calls(ended.calls) == []


# Ends in the middle -----------------------------------------------------------------------------------------------------------------------


@contextmanager
def in_transaction(host: Patched, command: str) -> Iterator[subprocess.Popen[str]]:
    """The script while its package manager is installing, until the file `go` is there."""
    hold = 'if [[ " $* " == *" upgrade "* ]]; then touch "$root/began"; while [ ! -e "$root/go" ]; do sleep 0.05; done; fi\n'
    host.program("dnf", hold + DNF + '\ntouch "$root/done"')
    process = host.start(command=command)
    end = time.monotonic() + 60
    while not (host.root / "began").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    (host.root / "done").unlink()
    try:
        yield process
    finally:
        host.put("go", "")
        process.communicate(timeout=60)


def test_a_command_that_is_killed_leaves_its_transaction_whole_and_the_next_one_waits_for_it(host: Patched) -> None:
    host.updates = [("nginx", BOOTED + 1)]
    with in_transaction(host, "c-1") as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        refused = host.patch(command="c-2", WaitSeconds="1")
        assert refused.code == 1
        assert "another patch command (c-1) still runs on this host after 1 s" in refused.err
    ended = host.patch(command="c-3")
    assert (host.root / "done").exists()
    assert (ended.code, ended.report["updated"]) == (0, [])


def test_a_command_that_begins_again_in_the_same_boot_reports_all_that_it_updated(host: Patched) -> None:
    host.updates = [("nginx", BOOTED + 1)]
    with in_transaction(host, "c-1") as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
    ended = host.patch(command="c-1")
    assert "nginx-1-1.x86_64" in ended.report["updated"]


def test_nothing_of_a_command_that_has_ended_is_left_but_its_log(host: Patched) -> None:
    ended = host.patch()
    assert [path.name for path in (host.root / "var/lib/fleet-patch").iterdir()] == ["lock"]
    assert json.loads(json.dumps(ended.report))["log"].endswith("/c-1.log")


@pytest.mark.parametrize("answer", ["printf 503", "printf 301", "exit 7"])
def test_a_host_that_does_not_answer_200_fails_with_what_it_answered(host: Patched, answer: str) -> None:
    host.program("curl", answer)
    ended = host.patch(HealthUrl="http://127.0.0.1/health")
    assert ended.code == 1
    assert "http://127.0.0.1/health did not answer 200 within 1 s" in ended.err
