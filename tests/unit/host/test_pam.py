"""PAM's stacks as Linux-PAM reads them, and changes that leave everything else to the letter."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.privilege import with_pam_entry
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import pam
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hardening.machine import Machine

STACK = "/etc/pam.d/system-auth"
NO_NULLOK = {"service": "system-auth", "type": "auth", "module": "pam_unix.so", "without": "nullok"}
USE_UID = {
    "service": "system-auth",
    "type": "auth",
    "module": "pam_wheel.so",
    "arguments": ["use_uid", "group=sugroup"],
}


def lacks(machine: Machine, state: dict[str, Any], text: str) -> list[str]:
    machine.put(STACK, text)
    found = TYPES["pam"].read(machine.host(), state)
    return [desired for _what, desired, _entry in TYPES["pam"].diff(state, found)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auth required pam_wheel.so use_uid group=sugroup\r\n", []),
        ("auth required pam_wheel.so # use_uid group=sugroup\n", ["with use_uid", "with group=sugroup"]),
        ("auth required \\\n  pam_wheel.so \\\n# a comment\n\n\tuse_uid group=sugroup", []),
        (
            "-AUTH\t[success=ok \\\n default=die] /lib64/security/pam_wheel.so use_uid # c \\\nauth x y",
            ["with group=sugroup"],
        ),
        (
            "auth required pam_wheel.so use_uid\nauth required pam_wheel.so use_uid group=sugroup\n",
            ["with group=sugroup"],
        ),
        ("#auth required pam_wheel.so use_uid\naccount required pam_wheel.so\n\ufeffauth required pam_wheel.so\n", []),
    ],
)
def test_an_entry_is_what_linux_pam_takes_for_one(machine: Machine, text: str, expected: list[str]) -> None:
    assert lacks(machine, USE_UID, text) == expected


def test_one_entry_that_lets_in_without_a_password_is_enough(machine: Machine) -> None:
    text = "auth sufficient pam_unix.so\nauth required pam_deny.so\nAuth sufficient pam_unix.so nullok\n"
    assert lacks(machine, NO_NULLOK, text) == ["without nullok"]
    fixed = with_pam_entry(text, NO_NULLOK).splitlines()
    assert fixed[:2] == text.splitlines()[:2]
    assert fixed[2].split() == ["auth", "sufficient", "pam_unix.so"]


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("auth required pam_wheel.so # ours\n", "auth required pam_wheel.so use_uid group=sugroup # ours"),
        ("auth required \\\n pam_wheel.so use_uid \\\n group=wheel\n", "auth required pam_wheel.so use_uid group=sugroup"),
        ("-auth [success=1 default=bad] pam_wheel.so debug", "-auth [success=1 default=bad] pam_wheel.so debug use_uid group=sugroup"),
    ],
)  # fmt: skip
def test_what_is_written_is_read_and_the_comment_stays_one(machine: Machine, text: str, fixed: str) -> None:
    written = with_pam_entry(f"# caf\udce9\nauth required pam_env.so\f\n{text}", USE_UID)
    assert written.split("\n")[:2] == ["# caf\udce9", "auth required pam_env.so\f"]
    assert " ".join(written.split("\n")[2].split()) == fixed
    assert lacks(machine, USE_UID, written.replace("\udce9", "e")) == []


def test_nothing_is_added_within_an_entry_that_goes_on() -> None:
    state = {"type": "auth", "module": "pam_faillock.so", "arguments": "preauth", "add": r"pam_unix\.so"}
    text = "auth required pam_env.so\nauth \\\n sufficient \\\n pam_unix.so\n"
    lines = with_pam_entry(text, state).splitlines()
    assert lines[1].split() == ["auth", "required", "pam_faillock.so", "preauth"]
    assert lines[2:] == text.splitlines()[1:]


PIECES = st.sampled_from(
    ["auth", "-auth", "AUTH", "account", "required", "[default=die]", "[a=b", "pam_unix.so", "pam_wheel.so", "nullok", "use_uid",
     "group=sugroup", "group=a", "#", "\\", "\\\n", "\n", "\r\n", "\t", " ", "\udcff", "\u2028", "\f", "x" * 3000, "@include"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40))
def test_any_text_is_kept_in_order_and_what_is_changed_is_as_desired(pieces: list[str]) -> None:
    text = " ".join(pieces)
    assert "\n".join(line for part in pam.parts(text) for line in part.lines) == text.replace(
        "\r\n", "\n"
    ).removesuffix("\n").removesuffix("\r")
    for state in (NO_NULLOK, USE_UID):
        after = with_pam_entry(text, state)
        assert with_pam_entry(after, state) == after
        meant = [part.entry for part in pam.parts(after) if part.entry and part.entry.module == state["module"]]
        for entry in [entry for entry in meant if entry.kind == "auth"]:
            assert "nullok" not in entry.arguments or state is USE_UID
            assert {"use_uid", "group=sugroup"} <= set(entry.arguments) or state is NO_NULLOK


JUMPS = """\
auth [success=1 default=ignore] pam_unix.so
account required pam_unix.so
auth required pam_deny.so
auth required pam_permit.so
"""
LOCAL = "auth [default=1 ignore=ignore  success=ok] pam_localuser.so # ours\n auth sufficient pam_unix.so\nauth required pam_deny.so\n"
RECORDS = {
    "type": "auth",
    "module": "pam_faillock.so",
    "control": "[default=die]",
    "having": "authfail",
    "add": r"^auth\s.*pam_deny\.so",
}
COUNTS = {**RECORDS, "control": "required", "having": "preauth", "add": r"^auth\s.*pam_unix\.so"}


def targets(text: str) -> list[tuple[str, str]]:
    """(module that jumps, module that it jumps to) within the auth entries, a new one passed over: it is on the way there."""
    entries = [part.entry for part in pam.parts(text) if part.entry and part.entry.kind == "auth"]
    numbers = [(i, int(n)) for i, entry in enumerate(entries) for n in re.findall(r"=(\d+)", entry.control)]
    jumps = [(i, [entry.module for entry in entries[i + n + 1 :]]) for i, n in numbers]
    landings = [next((name for name in names if name != "pam_faillock.so"), "the end") for _i, names in jumps]
    return [(entries[i].module, landing) for (i, _names), landing in zip(jumps, landings, strict=True)]


@pytest.mark.parametrize("text", [JUMPS, LOCAL, JUMPS.replace("=1", "=2"), LOCAL + JUMPS])
@pytest.mark.parametrize("state", [RECORDS, COUNTS])
def test_what_jumped_over_the_place_of_a_new_entry_leads_where_it_led(text: str, state: dict[str, Any]) -> None:
    """Or who has the right password lands on pam_deny."""
    after = with_pam_entry(text, state)
    assert targets(after) == targets(text)
    others = [line for line in text.splitlines() if "=1" not in line and "=2" not in line]
    assert [line for line in after.splitlines() if line in others] == others


def test_a_new_entry_stands_before_the_one_it_is_for_however_that_is_written() -> None:
    text = "auth required pam_env.so\n  -AUTH\t[success=done \\\n default=ignore] /lib64/security/pam_unix.so\nauth required pam_deny.so\n"
    modules = [part.entry.module for part in pam.parts(with_pam_entry(text, COUNTS)) if part.entry]
    assert modules == ["pam_env.so", "pam_faillock.so", "/lib64/security/pam_unix.so", "pam_deny.so"]


STRICT = {
    "type": "auth",
    "module": "a.so",
    "arguments": ["deny=5", "time=900"],
    "at_most": "deny",
    "at_least": ["time"],
}


@pytest.mark.parametrize(
    ("words", "fixed"),
    [
        ("deny=3 time=1800", None),
        ("time=900 deny=5 audit", None),
        ("deny=0 time=900", "time=900 deny=5"),
        ("deny=6 time=60", "deny=5 time=900"),
        ("deny=3 deny=50 time=900", "time=900 deny=5"),
        ("deny= time=x", "deny=5 time=900"),
    ],
)
def test_what_is_stricter_already_stays_so(words: str, fixed: str | None) -> None:
    text = f"auth required a.so {words}\n"
    assert with_pam_entry(text, STRICT).split() == ["auth", "required", "a.so", *(fixed or words).split()]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "auth required pam_unix.so\n",
        "auth sufficient pam_sss.so\n#auth required pam_deny.so\naccount required pam_deny.so\n",
    ],
)
def test_where_nothing_says_where_a_new_entry_belongs_a_person_adds_it(machine: Machine, text: str) -> None:
    """At the end, "[default=die]" would refuse who has the right password."""
    with pytest.raises(HostError, match=r"needs a person: the stack has no entry like .*pam_faillock\.so authfail"):
        with_pam_entry(text, RECORDS)
    machine.put(STACK, text or "\n")
    (result,) = evaluate(
        [{"id": "lockout", "type": "pam", "state": {**RECORDS, "service": "system-auth"}}], machine.host(), True, {}
    )
    assert (result["status"], machine.text(STACK)) == ("fail", text or "\n")
