# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the administrators' list must be like, and what it asks for. Pure. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import base64
import binascii
import datetime
import re
import struct

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional  # noqa: F401

NAME = re.compile(r"^[a-z_][a-z0-9_-]{0,31}\Z")
RESERVED = ("root", "ec2-user", "ssm-user", "nobody", "sshd", "all")
KEY_TYPES = (
    "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-rsa",
)  # fmt: skip
SMALLEST_RSA_BITS = 2048
SMALLEST_SECRET_BYTES = 16
"""RFC 4226, requirement R6: 128 bits at least."""
CLOSED_DAY = 1
"""The day in 1970 on which a disabled account expired. (0 means 'never' to some programs.)"""


class RuleError(Exception):
    """What is wrong with the input, where, and what is allowed."""


class Admin(object):
    """One administrator as desired. ``secret``: hexadecimal, '' for none. ``closes``: the first day (since 1970) without
    access, or None.
    """

    enabled = True

    def __init__(self, name, keys=(), sudo=False, secret="", closes=None):
        # type: (str, Any, bool, str, Optional[int]) -> None
        self.name, self.keys, self.sudo, self.secret, self.closes = name, list(keys), sudo, secret, closes


def closed(name):
    # type: (str) -> Admin
    """One who has no access any more."""
    admin = Admin(name)
    admin.enabled = False
    return admin


class Policy(object):
    """``totp``: whether a code is required; ``exempt``: of whom it isn't. ``locked``: the image's own user if its keys count no more.

    Raises RuleError for an exempt name that is none: it would be read by sshd.
    """

    def __init__(self, totp=False, exempt=(), locked=None):
        # type: (bool, Any, Optional[str]) -> None
        for name in exempt:
            if not NAME.match(name):
                raise RuleError(
                    "admin_access_totp_exempt_users: '%s' is no user's name; allowed are up to 32 of a-z, 0-9, _ and -"
                    % name
                )
        self.totp, self.exempt, self.locked = totp, list(exempt), locked


def administrators(entries, today):
    # type: (List[Dict[str, Any]], datetime.date) -> List[Admin]
    """The list as desired on that day; who has expired is disabled. Raises RuleError; it never quotes a secret."""
    admins = [_administrator(entry, today) for entry in entries]
    for kind, values in (("name", [a.name for a in admins]), ("totp_secret", [a.secret for a in admins if a.secret])):
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            who = ", ".join(sorted({a.name for a in admins if a.name in repeated or a.secret in repeated}))
            raise RuleError(
                "admin_access_users: the same %s is given more than once (%s); each person has one of their own"
                % (kind, who)
            )
    return admins


def _administrator(entry, today):
    # type: (Dict[str, Any], datetime.date) -> Admin
    name = entry["name"]
    where = "admin_access_users, '%s'" % name
    if not NAME.match(name) or name in RESERVED:
        raise RuleError(
            "%s: not a name for a person's account; allowed are up to 32 of a-z, 0-9, _ and -, a letter first, and none of %s"
            % (where, ", ".join(RESERVED))
        )
    if entry.get("state") == "absent":
        return closed(name)
    keys = [key.strip() for key in entry.get("ssh_keys") or []]
    for number, key in enumerate(keys):
        problem = key_problem(key)
        if problem:
            raise RuleError("%s: ssh_keys[%d] %s" % (where, number, problem))
    secret = entry.get("totp_secret") or ""
    try:
        secret = hexadecimal(secret) if secret else ""
        closes = closing_day(entry["expires"]) if entry.get("expires") else None
    except ValueError as error:
        raise RuleError("%s: %s" % (where, error))
    if closes is not None and closes <= days(today):
        return closed(name)
    return Admin(name, keys, bool(entry.get("sudo")), secret, closes)


def days(date):
    # type: (datetime.date) -> int
    """Days since 1970-01-01, as shadow(5) counts."""
    return (date - datetime.date(1970, 1, 1)).days


def closing_day(expires):
    # type: (str) -> int
    """The day after the last one with access. Raises ValueError."""
    try:
        return days(datetime.datetime.strptime(expires, "%Y-%m-%d").date()) + 1
    except ValueError:
        raise ValueError("expires is '%s'; give the last day with access, as 2027-01-31" % expires)


def hexadecimal(secret):
    # type: (str) -> str
    """A base32 secret as users.oath has it. Raises ValueError without quoting it."""
    packed = re.sub(r"[\s=-]", "", secret).upper()
    try:
        raw = base64.b32decode(packed + "=" * (-len(packed) % 8))
    except (TypeError, ValueError, binascii.Error):
        raise ValueError("totp_secret is not base32 (A-Z and 2-7); `head -c 20 /dev/urandom | base32` makes one")
    if len(raw) < SMALLEST_SECRET_BYTES:
        raise ValueError("totp_secret has %d bits; at least %d are needed" % (len(raw) * 8, SMALLEST_SECRET_BYTES * 8))
    return binascii.hexlify(raw).decode("ascii")


def key_problem(line):
    # type: (str) -> Optional[str]
    """Why the text is not one public key for authorized_keys; None if it is. A private key is not quoted."""
    if "PRIVATE KEY" in line:
        return (
            "is a private key. Give the public one (the .pub file), and replace the pair: it has left its owner's hands"
        )
    if len(line.splitlines()) > 1:
        return "has several lines; each key is an entry of its own"
    words = line.split()
    kind = next((word for word in words if word in KEY_TYPES), None)
    if kind is None:
        return "('%s...') has no allowed key type; allowed: %s" % (line[:24], ", ".join(KEY_TYPES))
    blob = words[words.index(kind) + 1 :][:1]
    try:
        parts = _parts(base64.b64decode(blob[0].encode("ascii")) if blob else b"")
    except (TypeError, ValueError, struct.error, binascii.Error):
        parts = []
    if len(parts) < 2 or parts[0] != kind.encode("ascii"):
        return "('%s...') is damaged: what follows %s is no such key" % (line[:24], kind)
    bits = 8 * len(parts[2].lstrip(b"\0")) if kind == "ssh-rsa" and len(parts) > 2 else SMALLEST_RSA_BITS
    if bits < SMALLEST_RSA_BITS:
        return "is an RSA key of %d bits; at least %d are needed, better an ssh-ed25519 key" % (bits, SMALLEST_RSA_BITS)
    return None


def _parts(blob):
    # type: (bytes) -> List[bytes]
    """The length-prefixed strings of an SSH public key. Raises struct.error or ValueError for one that is cut off."""
    result, at = [], 0
    while at < len(blob):
        size = struct.unpack(">I", blob[at : at + 4])[0]
        part = blob[at + 4 : at + 4 + size]
        if len(part) != size:
            raise ValueError("cut off")
        result.append(part)
        at += 4 + size
    return result


def lockouts(admins, policy, connection):
    # type: (List[Admin], Policy, Dict[str, List[str]]) -> List[str]
    """What the input would cut off. ``connection``: who Ansible connects as, if by SSH -> the keys in files that let them in today."""
    listed = {admin.name: admin for admin in admins}
    problems = []
    for name, keys in sorted(connection.items()):
        admin = listed.get(name)
        if policy.totp and name not in policy.exempt:
            problems.append(
                "Ansible connects as %s, who can't enter a code: add %s to admin_access_totp_exempt_users"
                % (name, name)
            )
        if name == policy.locked:
            problems.append(
                "admin_access_default_user is lock, but Ansible connects as %s: connect as an administrator first"
                % name
            )
        if admin is not None and not (admin.enabled and admin.sudo):
            problems.append("Ansible connects as %s, who needs state present, a date to come and sudo: true" % name)
        elif admin is not None and keys and not set(keys) & set(admin.keys):
            problems.append(
                "none of the keys that let %s in today is among the ssh_keys given, and Ansible connects as %s"
                % (name, name)
            )
    for admin in admins:
        if policy.totp and admin.enabled and admin.keys and not admin.secret and admin.name not in policy.exempt:
            problems.append("admin_access_totp is required, but %s has keys and no totp_secret" % admin.name)
    if policy.locked and not any(admin.enabled and admin.keys and admin.sudo for admin in admins):
        problems.append("admin_access_default_user is lock, but nobody in admin_access_users has keys and sudo: true")
    return problems
