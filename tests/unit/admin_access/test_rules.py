"""What the administrators' list must be like, and which lists would lock somebody out."""

from __future__ import annotations

import base64
import datetime
import struct
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access.rules import (
    Admin,
    Policy,
    RuleError,
    administrators,
    closed,
    hexadecimal,
    key_problem,
    lockouts,
)

TODAY = datetime.date(2027, 1, 31)
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def public_key(kind: str, *parts: bytes) -> str:
    blob = b"".join(struct.pack(">I", len(part)) + part for part in (kind.encode(), *parts))
    return f"{kind} {base64.b64encode(blob).decode()} somebody"


ED25519 = public_key("ssh-ed25519", b"k" * 32)


def one(**values: Any) -> Admin:
    return administrators([{"name": "alice", "state": "present", **values}], TODAY)[0]


@pytest.mark.parametrize("name", ["root", "ec2-user", "Alice", "alice;id", "-alice", "a" * 33, "", "alice\n"])
def test_a_name_that_is_no_persons_account_is_refused(name: str) -> None:
    with pytest.raises(RuleError, match="not a name for a person's account"):
        administrators([{"name": name}], TODAY)


@pytest.mark.parametrize("name", ["*", "ec2-user,bob", "a b", "x\nMatch all"])
def test_an_exempt_name_that_sshd_would_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(RuleError, match="admin_access_totp_exempt_users"):
        Policy(totp=True, exempt=["ec2-user", name])


def test_the_same_person_twice_is_refused() -> None:
    with pytest.raises(RuleError, match=r"same name .*alice"):
        administrators([{"name": "alice"}, {"name": "alice", "state": "absent"}], TODAY)


def test_two_people_with_one_secret_are_refused_without_showing_it() -> None:
    entries = [{"name": name, "totp_secret": SECRET} for name in ("alice", "bob")]
    with pytest.raises(RuleError, match=r"same totp_secret .*alice, bob") as error:
        administrators(entries, TODAY)
    assert SECRET not in str(error.value) and hexadecimal(SECRET) not in str(error.value)


@pytest.mark.parametrize(
    ("secret", "part"), [("not base32!", "not base32"), ("GEZDGNBVGY3TQOJQ", "80 bits"), ("1" * 32, "not base32")]
)
def test_a_bad_secret_is_refused_without_showing_it(secret: str, part: str) -> None:
    with pytest.raises(RuleError, match=part) as error:
        one(totp_secret=secret)
    assert secret not in str(error.value)


def test_a_secret_may_be_written_as_authenticators_show_it() -> None:
    assert (
        hexadecimal("gezd gnbv gy3t qojq gezd gnbv gy3t qojq") == hexadecimal(SECRET) == b"12345678901234567890".hex()
    )


def test_the_last_day_is_a_day_with_access_and_the_next_is_not() -> None:
    assert one(expires="2027-01-31").closes == (datetime.date(2027, 2, 1) - datetime.date(1970, 1, 1)).days
    assert one(expires="2027-01-31").enabled
    assert not one(expires="2027-01-30").enabled


@pytest.mark.parametrize("expires", ["31.01.2027", "2027-02-30", "soon"])
def test_an_expiry_that_is_no_date_is_refused(expires: str) -> None:
    with pytest.raises(RuleError, match=f"'alice': expires is '{expires}'"):
        one(expires=expires)


@pytest.mark.parametrize(
    "key", [ED25519, f'from="10.0.0.0/8",no-pty {ED25519}', public_key("ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 256)]
)
def test_a_public_key_is_taken(key: str) -> None:
    assert key_problem(key) is None


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", "is a private key"),
        (f"{ED25519}\n{ED25519}", "several lines"),
        (public_key("ssh-dss", b"x" * 20), "no allowed key type"),
        ("ssh-ed25519", "is damaged"),
        (ED25519.replace(" AAAA", " AAAB"), "is damaged"),
        ("ssh-rsa " + ED25519.split()[1], "is damaged"),
        (public_key("ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 128), "1024 bits"),
    ],
)
def test_another_text_is_no_key(key: str, part: str) -> None:
    assert part in str(key_problem(key))
    with pytest.raises(RuleError, match=r"'alice': ssh_keys\[1\]"):
        one(ssh_keys=[ED25519, key])


ALICE = Admin("alice", [ED25519], sudo=True, secret="aa")
TOTP = Policy(totp=True, exempt=["ec2-user"])
CONNECTED = {"ec2-user": [ED25519]}


def test_a_list_that_keeps_everybody_in_is_not_refused() -> None:
    assert lockouts([ALICE], TOTP, CONNECTED) == []
    assert lockouts([ALICE], Policy(locked="ec2-user"), {"alice": [ED25519, "another"]}) == []
    assert lockouts([Admin("bob", [], secret="")], TOTP, {}) == []


@pytest.mark.parametrize(
    ("admins", "policy", "connection", "part"),
    [
        ([ALICE], Policy(totp=True), CONNECTED, "add ec2-user to admin_access_totp_exempt_users"),
        ([ALICE], Policy(locked="ec2-user"), CONNECTED, "connect as an administrator first"),
        ([Admin("bob", [ED25519], sudo=True)], TOTP, {}, "bob has keys and no totp_secret"),
        ([Admin("bob", [ED25519])], Policy(locked="ec2-user"), {}, "nobody in admin_access_users has keys and sudo"),
        ([closed("alice")], Policy(), {"alice": [ED25519]}, "Ansible connects as alice, who needs"),
        ([Admin("alice", [ED25519])], Policy(), {"alice": [ED25519]}, "Ansible connects as alice, who needs"),
        ([ALICE], Policy(), {"alice": ["another"]}, "none of the keys that let alice in today"),
    ],
)
def test_a_list_that_locks_somebody_out_is_refused(
    admins: list[Admin], policy: Policy, connection: dict[str, list[str]], part: str
) -> None:
    assert part in "; ".join(lockouts(admins, policy, connection))
