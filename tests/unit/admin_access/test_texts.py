"""The files' contents: what a login wrote is kept, what others wrote too."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access import texts
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access.rules import Policy

USED = "HOTP/T30/6\talice\t-\tAABB01\t0\t123456\t2027-01-01T12:00:00L"
OTHER = "# by hand\nHOTP\tzoe - 00ff 7\n"
PAM = "#%PAM-1.0\nauth  required  pam_sepermit.so\nauth        substack      password-auth\naccount     required      pam_nologin.so\n"


def test_a_new_user_gets_an_entry_and_others_keep_theirs() -> None:
    assert texts.users_oath(OTHER, {"alice": "aabb01"}, []) == OTHER + "HOTP/T30/6\talice\t-\taabb01\n"


def test_the_record_of_used_codes_survives_to_the_letter() -> None:
    text = f"{USED}\n{OTHER}"
    assert texts.users_oath(text, {"alice": "aabb01"}, ["bob"]) == text


@pytest.mark.parametrize("old", [USED.replace("AABB01", "ccdd"), USED.replace("HOTP/T30/6", "HOTP")])
def test_another_secret_or_kind_begins_anew(old: str) -> None:
    assert texts.users_oath(f"{old}\n{OTHER}", {"alice": "aabb01"}, []) == "HOTP/T30/6\talice\t-\taabb01\n" + OTHER


def test_who_is_dropped_and_a_second_entry_go() -> None:
    assert texts.users_oath(f"{USED}\n{USED}\n{OTHER}", {"alice": "aabb01"}, ["zoe"]) == f"{USED}\n# by hand\n"


def test_the_merge_is_stable() -> None:
    once = texts.users_oath(OTHER, {"alice": "aabb01", "bob": "cc"}, [])
    assert texts.users_oath(once, {"alice": "aabb01", "bob": "cc"}, []) == once


def test_a_user_in_a_comment_is_left_there() -> None:
    assert texts.users_oath("# HOTP alice - 00\n", {}, ["alice"]) == "# HOTP alice - 00\n"


def test_only_within_match_is_the_dialogue_on() -> None:
    lines = texts.sshd_block(Policy(totp=True, exempt=["ec2-user", "deploy"])).splitlines()
    assert lines[0] == "Match User ec2-user,deploy"
    assert lines[2] == "Match User *,!ec2-user,!deploy"
    assert lines[-1] == "Match all"
    assert [line for line in lines if not line.startswith(("Match", " "))] == []


def test_nothing_is_written_where_nothing_is_desired() -> None:
    assert texts.sshd_block(Policy()) == ""
    assert texts.with_block("Port 22\n", "") == "Port 22\n"


def test_the_block_comes_last_once_and_goes_without_a_trace() -> None:
    block = texts.sshd_block(Policy(totp=True, exempt=["ec2-user"]))
    once = texts.with_block("Port 22\n", block)
    assert once.startswith("Port 22\n# BEGIN") and once.endswith("# END fleet admin access\n")
    assert texts.with_block(once, block) == once
    assert texts.with_block(once, "") == "Port 22\n"
    assert texts.with_block("Port 22", block) == once


def test_the_code_is_asked_for_where_the_password_was() -> None:
    stack = texts.pam_stack(PAM, True) or ""
    rules = [line for line in stack.splitlines() if not line.startswith("#")]
    assert "pam_sepermit" in rules[0] and "pam_oath.so" in rules[1] and "password-auth" in rules[2]
    assert texts.pam_stack(stack, True) == stack
    assert texts.pam_stack(stack, False) == PAM


def test_a_stack_without_a_place_for_the_code_is_not_guessed_at() -> None:
    assert texts.pam_stack("auth required pam_unix.so\n", True) is None


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_our_block_is_replaced_whatever_an_editor_made_of_its_lines(line_end: str) -> None:
    block = texts.sshd_block(Policy(totp=True, exempt=["ec2-user"]))
    once = texts.with_block("Port 22\n", block)
    again = texts.with_block(once.replace("\n", line_end), block)
    assert again.count(texts.BEGIN) == 1
    assert again == once


def test_a_block_that_lost_its_end_takes_no_line_of_others_with_it() -> None:
    broken = f"Port 22\n{texts.BEGIN}\nMatch User a\n    X11Forwarding no\n"
    once = texts.with_block(broken, "Match all\n")
    assert "X11Forwarding no" in texts.with_block(once, "Match all\n")
