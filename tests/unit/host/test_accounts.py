"""Accounts as the C library reads them: what it takes for an entry is one, whatever it looks like."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import accounts

from tests.support.hardening.machine import Machine

ANNA = "anna:x:1001:1001:Anna:/home/anna:/bin/bash\n"


@pytest.mark.parametrize(
    ("line", "uid", "gid", "shell"),
    [
        ("toor:x:0:0", "0", "0", ""),
        ("toor:x:00:0:::/bin/bash", "0", "0", "/bin/bash"),
        ("toor:x:+0: 0:::/bin/sh\r", "0", "0", "/bin/sh"),
        ("\ttoor:x:7:8:a comment\u2028of\fs\u0085orts:/:/bin/b:c", "7", "8", "/bin/b:c"),
        ("t\udce9\udcff:x:7:08", "7", "8", ""),
    ],
)
def test_a_line_that_the_system_takes_for_an_account_is_one(line: str, uid: str, gid: str, shell: str) -> None:
    found = accounts.passwd_entries(f"{line}\n{ANNA}")
    assert [entry["name"] for entry in found] == [line.strip().split(":")[0], "anna"]
    assert (found[0]["uid"], found[0]["gid"], found[0]["shell"]) == (uid, gid, shell)


OTHERS = [
    "+",
    "+::::::",
    "+bob:x:0:0:::",
    "-bob:x:0:0:::",
    "+@net:x:1000:1000:::",
    "#bob:x:1:1:::",
    "bob",
    "bob:x",
    "bob:x:\u00b2:1:::",
    "bob:x:-1:1:::",
    ":x:1:1:::",
    "b\0b:x:1:1:::",
    "",
]


@pytest.mark.parametrize("line", OTHERS)
def test_a_line_that_it_passes_over_is_none(line: str) -> None:
    assert [entry["name"] for entry in accounts.passwd_entries(f"{line}\n{ANNA}")] == ["anna"]


def test_a_group_without_members_at_the_end_of_a_short_line_is_one() -> None:
    found = accounts.group_entries("wheel:x:010\nroot:x:0:\n#old:x:5:a\n")
    assert [(group["name"], group["gid"], group["members"]) for group in found] == [
        ("wheel", "10", ""),
        ("root", "0", ""),
    ]


def test_short_lines_of_shadow_count(machine: Machine) -> None:
    machine.put("/etc/shadow", "bob::18000:0:99999\nno:\nanna:!!:18000:0:99999:7:::\n")
    assert [(row[0], row[1], len(row)) for row in accounts.shadow(machine.host())] == [
        ("bob", "", 9),
        ("anna", "!!", 9),
    ]


@pytest.mark.parametrize("line", ["+::::::::", "+bob::::::::", "-bob::::::::", " +@net::1:::::"])
def test_nobody_has_an_empty_password_by_a_line_of_nis(machine: Machine, line: str) -> None:
    machine.put("/etc/shadow", f"anna:!!:18000:0:99999:7:::\n{line}\n")
    assert [row[0] for row in accounts.shadow(machine.host())] == ["anna"]
    assert accounts.group_entries(f"{line}\n+grp:x:0:\n") == []
