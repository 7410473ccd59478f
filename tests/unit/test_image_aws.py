"""What is read on a host booted from an image: here the report of AIDE, whose checksums must not be taken for files."""

from __future__ import annotations

import subprocess

from ansible_collections.ecommerce.fleet.plugins.module_utils.image_aws import AIDE_PATHS

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
    wanted = ["/usr/bin/a program: with /spaces", "/usr/bin/whoami", "/usr/bin/chage", "/opt"]
    assert paths(HEAD + ENTRIES + DETAILS + DATABASE) == wanted


def test_a_checksum_that_begins_with_a_slash_is_no_file() -> None:
    assert paths(HEAD + DETAILS + DATABASE) == []


def test_a_report_without_differences_names_no_file() -> None:
    assert paths("AIDE found NO differences between database and filesystem. Looks okay!!\n\n" + DATABASE) == []
