"""sudoers read by its grammar, held against the real visudo and cvtsudoers: nothing but what was asked for changes, for nobody."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.sudo_rules import (
    Account,
    edited,
    means_others,
    tag_name,
    without_option,
    without_tag,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.sudoers import Entry, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sudo import Person, complaint, defaults, policy, rules

EC2 = Person("ec2-user", 1000, ("ec2-user", "wheel"), (1000, 10))
OTHERS = [Person("bob", 1001, ("bob",), (1001,)), Person("ann", 1002, ("ann", "wheel"), (1002, 10))]
SPARED = [Account(EC2.name, "1000", set(EC2.groups), {"1000", "10"}, True)]

ALIASES = (
    "User_Alias ADMINS = ec2-user, bob : OPS = ann, %wheel\nUser_Alias AUTOMATION = ec2-user : LESS = ALL, !bob, \\\n  !ADMINS\n"
    "Cmnd_Alias SHELLS = /bin/sh, /bin/bash -l\nHost_Alias WEB = web1, 10.0.0.0/8, fe80::1/64\n"
)
GAPS = st.sampled_from([" ", "\t", "  ", " \\\n", " \\\n  "])
SPACES = st.sampled_from(["", " ", " \\\n "])
USERS = st.sampled_from(
    [
        "ec2-user",
        "bob",
        "ann",
        '"bob"',
        "#1000",
        "#1001",
        "%wheel",
        "%#10",
        "ALL",
        "ADMINS",
        "OPS",
        "AUTOMATION",
        "LESS",
    ]
)
TAGS = st.sampled_from(["", "NOPASSWD:", "NOPASSWD :", "PASSWD:", "NOEXEC:NOPASSWD:", "NOPASSWD:NOSETENV:", "SETENV: "])
COMMANDS = st.sampled_from([
    "ALL", "/bin/ls", "/bin/echo NOPASSWD\\:\\, a=b x", "/opt/tools/", "sudoedit /etc/motd", "!/bin/su", "!SHELLS", "/bin/a -x (y) \"q\"",
    "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= /bin/x", "/bin/b \\#1 \\", "^/bin/(c|d)$ ^-e, NOPASSWD: f$", "/bin/e",
])  # fmt: skip
RUNAS = st.sampled_from(["", "(ALL)", "(root : wheel)", "( ALL:ALL )", "(#0,bob)"])
EXTRA = st.sampled_from(["", "CWD=/home/bob ", "TIMEOUT=5m ", "ROLE=r TYPE=t "])
HOSTS = st.sampled_from(["ALL", "WEB", "web1, !web2", "10.0.0.0/8", "fe80::1/64", "+cluster"])
COMMENTS = st.sampled_from(["", " # NOPASSWD: for the build", "#!authenticate, NOPASSWD: \\", "  #"])
SETTINGS = st.sampled_from([
    "!authenticate", "env_reset", "!lecture", "use_pty", 'secure_path = "/sbin:/bin, !authenticate"', "env_keep += \"A \\\n B\"",
    "passwd_tries=3", "editor=/bin/vi\\,x", "!!! authenticate", "authenticate", "!!authenticate", "logfile=/var/log/s",
])  # fmt: skip


@st.composite
def members(draw: st.DrawFn) -> str:
    names = draw(st.lists(USERS, min_size=1, max_size=4))
    marked = [draw(st.sampled_from(["", "", "", "!", "! ", "!!"])) + name for name in names]
    return "".join(name + draw(SPACES) + "," + draw(SPACES) for name in marked[:-1]) + marked[-1]


@st.composite
def rule(draw: st.DrawFn) -> str:
    def commands() -> str:
        part = draw(RUNAS) + draw(SPACES) + draw(EXTRA) + draw(TAGS) + draw(SPACES)
        return part + draw(COMMANDS)

    specs = []
    for _ in range(draw(st.integers(1, 2))):
        listed = ("," + draw(SPACES)).join(commands() for _ in range(draw(st.integers(1, 3))))
        specs.append(draw(HOSTS) + draw(SPACES) + "=" + draw(SPACES) + listed)
    return draw(members()) + draw(GAPS) + " : ".join(specs) + draw(COMMENTS)


@st.composite
def default(draw: st.DrawFn) -> str:
    scope = draw(st.sampled_from(["", ":", ":", "@web1", "!/bin/ls", "!SHELLS"]))
    if scope == ":":
        scope += draw(st.lists(USERS, min_size=1, max_size=3).map(", ".join))
    items = draw(st.lists(SETTINGS, min_size=1, max_size=4))
    return "Defaults" + scope + draw(st.sampled_from([" ", "\t"])) + ("," + draw(SPACES)).join(items) + draw(COMMENTS)


LINES = st.lists(rule() | default() | st.sampled_from(["", "# NOPASSWD: ALL \\", "#-"]), min_size=1, max_size=4)
TEXTS = LINES.map(lambda lines: ALIASES + "\n".join(lines) + "\n")


def aliases(text: str) -> dict[str, list[Any]]:
    return {name: found for entry in parse(text) for name, found in entry.aliases.items()}


def asking(text: str) -> str:
    """The text as the controls leave it: nobody but the spared is NOPASSWD or !authenticate."""
    known = aliases(text)

    def change(content: str, entries: list[Entry]) -> str | None:
        for entry in entries:
            its_own = (entry.kind == "rule" or entry.scope == ":") and not means_others(entry.members, SPARED, known)
            if not its_own and any(tag_name(token.text) == "NOPASSWD" for token in entry.tags):
                return str(without_tag(content, entry, "NOPASSWD", SPARED, known))
            for item in entry.options:
                if not its_own and (item.negated, item.name) == (True, "authenticate"):
                    return str(without_option(content, entry, item, SPARED, known))
        return None

    return str(edited(text, change))


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_what_visudo_accepts_is_read_and_stays_acceptable(text: str) -> None:
    if complaint(text):
        return
    assert [entry.kind for entry in parse(text) if entry.kind == "unreadable"] == []
    after = asking(text)
    assert complaint(after) == ""
    assert asking(after) == after


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_the_others_are_asked_for_a_password_and_nothing_else_changes_for_anybody(text: str) -> None:
    if complaint(text):
        return
    before, after = policy(text), policy(asking(text))
    assert rules(after, EC2) == rules(before, EC2)
    for who in OTHERS:
        asked = [(*rest, True if asks is False else asks, command) for *rest, asks, command in rules(before, who)]
        assert rules(after, who) == asked
        assert defaults(after, who) == [item for item in defaults(before, who) if item[1:] != ("authenticate", OFF)]
    own = [item for item in defaults(before, EC2) if item[0] == ""]
    assert [item for item in defaults(after, EC2) if item[1] != "authenticate"] == [
        item for item in defaults(before, EC2) if item[1] != "authenticate"
    ]
    assert len([item for item in defaults(after, EC2) if item[0] == ""]) <= len(own)


OFF = "(None, False)"


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_comments_and_what_is_not_concerned_stay_to_the_letter(text: str) -> None:
    def comments(content: str) -> list[str]:
        return re.findall(r"#!auth.*|# NOPASSWD.*", content)

    if complaint(text) == "":
        assert comments(asking(text)) == comments(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("bob ALL=(ALL) NOPASSWD: ALL # NOPASSWD: x\n", "bob ALL=(ALL) PASSWD: ALL # NOPASSWD: x\n"),
        ("bob ALL = \\\n  NOPASSWD: ALL\n", "bob ALL = \\\n  PASSWD: ALL\n"),
        ("ec2-user ALL = \\\n  NOPASSWD: ALL\n", "ec2-user ALL = \\\n  NOPASSWD: ALL\n"),
        (
            "ec2-user, bob ALL=(ALL) NOPASSWD: ALL # both\n",
            "ec2-user ALL=(ALL) NOPASSWD: ALL\nbob ALL=(ALL) PASSWD: ALL # both\n",
        ),
        ("%wheel ALL=NOPASSWD: ALL", "ec2-user ALL=NOPASSWD: ALL\n%wheel, !ec2-user ALL=PASSWD: ALL"),
        ("#1000,#1001 ALL=NOPASSWD:ALL\n", "ec2-user ALL=NOPASSWD:ALL\n#1001 ALL=PASSWD:ALL\n"),
        ("+hosts ALL=NOPASSWD: ALL\n", "+hosts ALL=PASSWD: ALL\n"),
        ("User_Alias A = ec2-user\nA ALL=NOPASSWD: ALL\n",) * 2,
        ("Defaults env_reset, !authenticate, use_pty\n", "Defaults env_reset, use_pty\n"),
        ("Defaults !authenticate, \\\n  use_pty # why\n", "Defaults use_pty # why\n"),
        ("Defaults use_pty, \\\n  !authenticate\nbob ALL=ALL\n", "Defaults use_pty\nbob ALL=ALL\n"),
        ("Defaults \\\n  !authenticate\nbob ALL=ALL\n", "bob ALL=ALL\n"),
        ("Defaults !authenticate#includedir /tmp/x\n", " #includedir /tmp/x\n"),
        ("Defaults>root !authenticate, !lecture\n", "Defaults>root !lecture\n"),
        ("Defaults:ec2-user !authenticate\n",) * 2,
        ("Defaults:ec2-user,bob !authenticate, use_pty\n", "Defaults:ec2-user !authenticate\nDefaults:ec2-user,bob use_pty\n"),
        ('Defaults badpass_message="use !authenticate, not NOPASSWD: x"\n',) * 2,
        ("Cmnd_Alias NOPASSWD_ = /bin/x NOPASSWD\\: y\n",) * 2,
        ("bob ALL = NOPASSWD: ALL\r\n", "bob ALL = PASSWD: ALL\r\n"),
    ],
)  # fmt: skip
def test_only_the_offending_part_changes(before: str, after: str) -> None:
    assert asking(before) == after


@pytest.mark.parametrize(
    "text", ["bob ALL NOPASSWD: ALL\n", "bob, ALL = ALL\n", "User_Alias = bob\n", "Defaults use_pty,\n", "x\n"]
)
def test_what_sudo_does_not_read_is_told_apart(text: str) -> None:
    assert complaint(text)
    assert [entry.kind for entry in parse("# first\n" + text)] == ["unreadable"]
