"""The scripts that a host booted from an image runs, and how AIDE's report is read there: its checksums are no files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.scripts import NAMES, with_values
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.task import COLLECTION

SCRIPTS = COLLECTION / "ssm/scripts"
PROBE = (SCRIPTS / "image_probe.sh").read_text()
LOGINS = PROBE[PROBE.index("# The files that sshd takes keys") : PROBE.index("\ndeadline=")] + "\nlogins | sort -u"
AIDE_PATHS = PROBE[PROBE.index("aide_paths() {") : PROBE.index("\n}\n") + 3] + "aide_paths"

SET_BY_THE_CALLER = {
    "image_probe": {"HEALTH_SECONDS", "VERSION_PATH", "APPLICATION_DIRECTORY"},
    "image_login_key": set(),
    "image_login": {"LOGIN_USER"},
    "image_audit": {"FOLDER", "DIGEST"},
    "power_off_later": {"LIFETIME_SECONDS"},
}

HEAD = """Start timestamp: 2026-11-28 06:48:07 +0000 (AIDE 0.18.3)
AIDE found differences between database and filesystem!!

Summary:
  Total number of entries:\t10652
  Added entries:\t\t1

"""
ENTRIES = """---------------------------------------------------
Added entries:
---------------------------------------------------

f+++++++++++++++++: /usr/bin/a program: with /spaces

---------------------------------------------------
Removed entries:
---------------------------------------------------

f-----------------: /usr/bin/whoami

---------------------------------------------------
Changed entries:
---------------------------------------------------

f   ...    .H..   : /usr/bin/chage
d =.... n.        : /opt

"""
DETAILS = """---------------------------------------------------
Detailed information about changes:
---------------------------------------------------

File: /usr/bin/chage
 SHA512    : /ks/+BpcKog9Q577jq6dFAe/Tunhaout | IYstaT/uG7mKX17I0geha9noU1jZgBbV
             /ksCrMqutwjTC8hOHrH5cesLwOe54Ai= | /kkDFX4g+14/WJi1Ci6Ms3NbCrWlc72U

"""
DATABASE = """---------------------------------------------------
The attributes of the (uncompressed) database(s):
---------------------------------------------------

/var/lib/aide/aide.db.gz
 MD5       : /Rst+KvXZFU9RXPFpgsIuw==
 GOST      : /t4dPRFbV9acp1Eo56KuYQ+1eWDMzOUd
             ptnuBv7UjbA=

End timestamp: 2026-11-28 06:48:10 +0000 (run time: 0m 3s)
"""


def paths(report: str) -> list[str]:
    done = subprocess.run(
        ["sh", "-c", AIDE_PATHS], input=report, capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.splitlines()


def test_the_files_that_differ_are_those_that_aide_lists() -> None:
    expected = ["/usr/bin/a program: with /spaces", "/usr/bin/whoami", "/usr/bin/chage", "/opt"]
    assert paths(HEAD + ENTRIES + DETAILS + DATABASE) == expected


def test_a_checksum_that_begins_with_a_slash_is_no_file() -> None:
    assert paths(HEAD + DETAILS + DATABASE) == []


def test_a_report_without_differences_names_no_file() -> None:
    assert paths("AIDE found NO differences between database and filesystem. Looks okay!!\n\n" + DATABASE) == []


def left_by_logins(tmp_path: Path, sshd: str) -> list[str]:
    """What the probe finds for a user with an odd home, whose sshd is the given script."""
    programs = tmp_path / "bin"
    programs.mkdir()
    home = tmp_path / "srv/de ploy"
    for name in ("getent", "sshd"):
        row = f"printf 'deploy:x:1001:1001:A comment:{home}/:/bin/bash\\nnobody:x:65534:65534::/:/sbin/nologin\\n'"
        (programs / name).write_text(f"#!/bin/sh\n{row if name == 'getent' else sshd}\n")
        (programs / name).chmod(0o755)
    for name in (
        ".ssh/authorized_keys",
        ".ssh/authorized_keys2",
        ".bash_history",
        ".empty_history",
        "../keys/deploy.1001",
        "../keys/other",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("" if "empty" in name else "left\n")
    done = subprocess.run(
        ["sh", "-c", LOGINS],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    # /root and /home are this machine's.
    ours = [line for line in done.stdout.splitlines() if "=/root/" not in line and "=/home/" not in line]
    return [line.replace(str(tmp_path), "") for line in ours]


def test_keys_and_histories_are_seen_wherever_homes_are_and_sshd_looks(tmp_path: Path) -> None:
    sshd = f'case "$3" in user=deploy,*) echo "port 22"; echo "authorizedkeysfile .ssh/authorized_keys {tmp_path}/srv/keys/%u.%U";; esac'
    assert left_by_logins(tmp_path, sshd) == [
        "authorized_keys=/srv/de ploy/.ssh/authorized_keys",
        "authorized_keys=/srv/de ploy/.ssh/authorized_keys2",
        "authorized_keys=/srv/keys/deploy.1001",
        "history=/srv/de ploy/.bash_history",
    ]


def test_an_image_whose_sshd_does_not_say_where_keys_are_is_not_clean(tmp_path: Path) -> None:
    assert "authorized_keys=/sshd-T-failed" in left_by_logins(tmp_path, "exit 255")


def test_differences_in_the_application_directory_are_of_their_own_kind() -> None:
    paths = "/opt/app\n/opt/app/current\n/opt/app/releases/2.0.0/a b\n/opt/application/x\n/usr/opt/app/x\n"
    function = PROBE[PROBE.index("aide_differences() {") : PROBE.index("# The files that sshd takes keys")]
    done = subprocess.run(
        ["sh", "-c", f"APPLICATION_DIRECTORY=/opt/app; {function}aide_differences"], input=paths, capture_output=True, text=True,
        timeout=10, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "aide_application_difference=/opt/app",
        "aide_application_difference=/opt/app/current",
        "aide_application_difference=/opt/app/releases/2.0.0/a b",
        "aide_difference=/opt/application/x",
        "aide_difference=/usr/opt/app/x",
    ]


def test_a_script_gets_its_values_behind_the_line_that_names_its_shell() -> None:
    script = '#!/bin/sh\necho "$FIRST" $SECOND\n'
    filled = with_values(script, FIRST="it's /a", SECOND=5)
    assert filled.startswith("#!/bin/sh\n")
    done = subprocess.run(["sh", "-c", filled], capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout == "it's /a 5\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_script_uses_only_variables_that_it_or_its_caller_sets(name: str) -> None:
    script = (SCRIPTS / f"{name}.sh").read_text()
    used = set(re.findall(r"\$\(?\{?([A-Z][A-Z_]+)", script)) | set(re.findall(r"\+ ([A-Z_]+)\)\)", script))
    assert used == SET_BY_THE_CALLER[name]
    assert all(variable in script.partition("set by the caller")[0] for variable in used)
