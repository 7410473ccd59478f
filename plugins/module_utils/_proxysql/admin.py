# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a running ProxySQL, compared with the desired state; and how a changed file comes into effect without a restart.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import hashlib
import json
import os
import re
import stat

from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible_collections.ecommerce.fleet.plugins.module_utils._proxysql.client import Client, MySQLError

PLACEHOLDER = re.compile(r"@secret:([A-Za-z0-9_.-]+)@")
KEYS = dict(
    mysql_servers=("hostname", "port"),
    mysql_users=("username",),
    mysql_query_rules=("rule_id",),
    mysql_replication_hostgroups=("writer_hostgroup",),
)
"""Table -> the columns that tell its rows apart. A server has one row: in two groups it would have two pools."""
# FROM CONFIG adds and replaces rows, so what the file no longer has is deleted first.
EMPTY = tuple(sorted(KEYS))
PARTS = ("MYSQL VARIABLES", "MYSQL SERVERS", "MYSQL USERS", "MYSQL QUERY RULES", "ADMIN VARIABLES")


class CredentialsError(Exception):
    """The credentials file can't be used; the message never contains a secret."""


def read_credentials(path):
    """The secrets by key: `admin`, `monitor`, `users.NAME`. Raises CredentialsError."""
    try:
        with open(path, "rb") as stream:
            state = os.fstat(stream.fileno())
            text = to_text(stream.read())
    except (IOError, OSError) as error:
        raise CredentialsError("%s can't be read: %s" % (path, error.strerror))
    if state.st_uid != 0 or stat.S_IMODE(state.st_mode) & 0o077:
        raise CredentialsError(
            "%s has mode %04o and owner %s; only root may read it (0600, owner 0)"
            % (path, stat.S_IMODE(state.st_mode), state.st_uid)
        )
    try:
        found = json.loads(text)
        secrets = dict(("users." + name, found["users"][name]) for name in found["users"])
        secrets.update(admin=found["admin"], monitor=found["monitor"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CredentialsError(
            '%s is not of the form {"admin": "...", "monitor": "...", "users": {"NAME": "..."}}' % path
        )
    for key, secret in sorted(secrets.items()):
        why = unusable(key, secret)
        if why:
            raise CredentialsError("the password '%s' in %s %s" % (key, path, why))
    return secrets


def unusable(key, secret):
    """Why a secret can't be used, or ''."""
    if not hasattr(secret, "encode") or not secret:
        return "is empty or no text"
    if re.search("[\x00-\x1f]", secret):
        return "has control characters"
    if key.startswith("users.") and secret.startswith("*"):
        return "begins with '*', by which ProxySQL knows a hash"
    if key == "admin" and re.search("[:;]", secret):
        return "has ':' or ';', which separate admin users in ProxySQL's configuration"
    return ""


def fill(text, secrets, path):
    """`text` with each `@secret:KEY@` replaced by its password, quoted for a libconfig string. Raises CredentialsError."""
    missing = sorted(set(PLACEHOLDER.findall(text)) - set(secrets))
    if missing:
        raise CredentialsError("%s has no password for %s" % (path, ", ".join(missing)))
    return PLACEHOLDER.sub(
        lambda match: secrets[match.group(1)].replace("\\", "\\\\").replace('"', '\\"'),
        text,
    )


def filled(desired, secrets):
    """`desired` with the passwords in place of `@secret:KEY@`."""
    if isinstance(desired, dict):
        return dict((key, filled(desired[key], secrets)) for key in desired)
    if isinstance(desired, list):
        return [filled(each, secrets) for each in desired]
    return PLACEHOLDER.sub(lambda match: secrets[match.group(1)], to_text(desired))


def columns_of(table, rows):
    """The columns that the rows set, those of the key first."""
    others = sorted(set(name for row in rows for name in row) - set(KEYS[table]))
    return list(KEYS[table]) + others


def running_state(client, desired):
    """What runs of the variables, tables and columns that `desired` has, in its form."""
    variables = client.query("SELECT variable_name, variable_value FROM runtime_global_variables")
    tables = {}
    for table, rows in desired["tables"].items():
        columns = columns_of(table, rows)
        # A user has a row for clients and one for databases. A server that is gone stays as OFFLINE_HARD until its last connection ends.
        condition = " WHERE status <> 'OFFLINE_HARD'" if table == "mysql_servers" else ""
        found = client.query("SELECT DISTINCT %s FROM runtime_%s%s" % (", ".join(columns), table, condition))  # noqa: S608
        tables[table] = [dict(zip(columns, row)) for row in found]
    return dict(variables=dict((row[0], row[1]) for row in variables), tables=tables)


def hashed(password):
    """As MySQL writes a password of mysql_native_password, and ProxySQL one of its runtime (admin-hash_passwords)."""
    return "*" + hashlib.sha1(hashlib.sha1(to_bytes(password)).digest()).hexdigest().upper()  # noqa: S324


def difference(name, has, desired):
    """A sentence about one value, without it if it is a secret; '' if it is as desired."""
    secret = "password" in name or "credentials" in name
    if has == desired or (secret and has == hashed(desired)):
        return ""
    return "%s is another one" % name if secret else "%s is %s, not %s" % (name, has, desired)


def table_differences(table, desired, rows):
    """Sentences about the rows of one table."""
    groups = set(row["hostgroup_id"] for row in desired if "hostgroup_id" in row)

    def key_of(row):
        return ":".join(row[name] or "" for name in KEYS[table])

    declared = dict((key_of(row), row) for row in desired)
    running = {}  # type: dict[str, list[dict[str, str | None]]]
    for row in rows:
        running.setdefault(key_of(row), []).append(row)
    found = ["%s has %s, which is not declared" % (table, key) for key in sorted(set(running) - set(declared))]
    for key, row in sorted(declared.items()):
        if len(running.get(key, [])) != 1:
            found.append("%s has %s %s" % (table, key, "more than once" if key in running else "not"))
            continue
        for name in sorted(row):
            has = running[key][0][name]
            # A failover moves a server to the other group.
            if name != "hostgroup_id" or has not in groups:
                found.append(difference("%s %s: %s" % (table, key, name), has, row[name]))
    return found


def differences(desired, state):
    """Sentences about the differences, without a secret; none if all is as desired."""
    found = [
        difference(name, state["variables"].get(name), value) for name, value in sorted(desired["variables"].items())
    ]
    for table, rows in sorted(desired["tables"].items()):
        found += table_differences(table, rows, state["tables"][table])
    return [sentence for sentence in found if sentence]


class Admin:
    """The admin port, asked with the first password that it takes."""

    def __init__(self, port, passwords):
        self.port = port
        self.passwords = passwords

    def _client(self):
        refused = None
        for password in self.passwords:
            try:
                return Client(self.port, "admin", password)
            except MySQLError as error:
                refused = error
        raise refused or MySQLError("there is no password for the admin port")

    def error(self, desired):
        """None if ProxySQL runs as desired, else a sentence about the differences.

        `desired`: `variables` (name -> value) and `tables` (name -> rows as column -> value), all texts.
        """
        try:
            client = self._client()
            try:
                found = differences(desired, running_state(client, desired))
            finally:
                client.close()
        except MySQLError as error:
            return "the admin port %s: %s" % (self.port, error)
        return "; ".join(found) or None

    def load(self):
        """Brings the file into effect without a restart. Returns None, or ProxySQL's error."""
        try:
            client = self._client()
            try:
                for table in EMPTY:
                    client.query("DELETE FROM " + table)  # noqa: S608
                for part in PARTS:
                    client.query("LOAD %s FROM CONFIG" % part)
                for part in PARTS:
                    client.query("LOAD %s TO RUNTIME" % part)
            finally:
                client.close()
        except MySQLError as error:
            return str(error)
        return None
