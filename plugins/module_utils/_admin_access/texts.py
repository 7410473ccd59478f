# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files' contents: users.oath, sshd's blocks, PAM's block, sudoers, authorized_keys. Pure. Runs under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import re

from .._host.text import lines_of
from .._host.text import without_block as outside_of_block

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, Iterable, List, Optional  # noqa: F401

    from .rules import Admin, Policy  # noqa: F401

HEADER = "# Managed by Ansible (ecommerce.fleet.admin_access): changes are undone by the next run.\n"
BEGIN, END = "# BEGIN fleet admin access", "# END fleet admin access"
USERS_OATH = "/etc/users.oath"
TOKEN_TYPE = "HOTP/T30/6"  # noqa: S105 - the name of a kind: time-based, 30 s, six digits
WITH_CODE = "publickey,keyboard-interactive:pam"
WINDOW = 1
"""Steps of 30 s that a clock may be off, either way."""
PAM_PLACE = re.compile(r"^\s*auth\s+(substack|include)\s+(password-auth|system-auth)\b", re.MULTILINE)


def users_oath(text, desired, dropped):
    # type: (str, Dict[str, str], Iterable[str]) -> str
    """users.oath with the desired secrets (user -> hexadecimal) and without the dropped users' entries.

    pam_oath appends to an entry the code that was used last, and when: that is what refuses a code the second time. An entry whose kind and
    secret are right therefore stays as it is, to the letter. Others' entries and comments stay too.
    """
    lines, seen = [], set()
    for line in lines_of(text):
        fields = line.split()
        user = fields[1] if len(fields) >= 4 and not line.lstrip().startswith("#") else None
        if user is None or (user not in desired and user not in dropped):
            lines.append(line)
        elif user in desired and user not in seen:
            seen.add(user)
            same = fields[0] == TOKEN_TYPE and fields[3].lower() == desired[user]
            lines.append(line if same else _entry(user, desired[user]))
    lines += [_entry(user, desired[user]) for user in sorted(set(desired) - seen)]
    return "".join(line + "\n" for line in lines)


def _entry(user, secret):
    # type: (str, str) -> str
    return "%s\t%s\t-\t%s" % (TOKEN_TYPE, user, secret)


def sshd_block(policy):
    # type: (Policy) -> str
    """The Match blocks, '' for none.

    The settings for everybody stay as they are (dialogue off), so that hardening's controls pass; only within Match is the code asked for.
    The exempt get their key alone by name, so that nobody ever gets in by a code alone. The last line ends the block.
    """
    lines = []  # type: List[str]
    if policy.locked:
        lines += ["Match User " + policy.locked, "    AuthorizedKeysFile none", "    AuthorizedKeysCommand none"]
    if policy.totp:
        if policy.exempt:
            lines += ["Match User " + ",".join(policy.exempt), "    AuthenticationMethods publickey"]
        lines.append("Match User " + ",".join(["*"] + ["!" + name for name in policy.exempt]))
        lines += ["    AuthenticationMethods " + WITH_CODE, "    KbdInteractiveAuthentication yes"]
    return "".join(line + "\n" for line in lines + ["Match all"]) if lines else ""


def with_block(text, block):
    # type: (str, str) -> str
    """sshd_config with our block at its end, where Match belongs; without it if ``block`` is ''."""
    outside = without_block(text)
    if block and outside and not outside.endswith("\n"):
        outside += "\n"
    return outside + ("%s\n%s%s\n" % (BEGIN, block, END) if block else "")


def without_block(text):
    # type: (str) -> str
    return outside_of_block(text, BEGIN, END)[0] if BEGIN in text else text


def pam_stack(text, totp):
    # type: (str, bool) -> Optional[str]
    """/etc/pam.d/sshd that asks for the code and nothing else; None if it has no place for it. Accounts and sessions stay as they are."""
    outside = without_block(text)
    if not totp:
        return outside
    place = PAM_PLACE.search(outside)
    if place is None:
        return None
    # A right code ends the stack: passwords are locked, so the entries below would refuse. Everything else dies here.
    rule = "auth       [success=done new_authtok_reqd=done default=die] pam_oath.so usersfile=%s window=%d digits=6" % (
        USERS_OATH,
        WINDOW,
    )
    return outside[: place.start()] + "%s\n%s\n%s\n" % (BEGIN, rule, END) + outside[place.start() :]


def sudoers(admins):
    # type: (List[Admin]) -> str
    """No password is asked for, since there is none."""
    return HEADER + "".join("%s ALL=(ALL) NOPASSWD: ALL\n" % a.name for a in admins if a.enabled and a.sudo)


def authorized_keys(admin):
    # type: (Admin) -> str
    return HEADER + "".join(key + "\n" for key in admin.keys)


def key_lines(text):
    # type: (str) -> List[str]
    """The keys in an authorized_keys text."""
    return [line.strip() for line in lines_of(text) if line.strip() and not line.lstrip().startswith("#")]
