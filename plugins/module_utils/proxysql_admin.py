# Copyright: The ecommerce.fleet maintainers
# MIT License
"""What a running ProxySQL says of itself, compared with what is wanted; and how a changed file comes into effect without a restart.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import re
import stat

from ansible.module_utils.common.text.converters import to_text
from ansible_collections.ecommerce.fleet.plugins.module_utils.mysql_client import Client, MySQLError

PLACEHOLDER = re.compile(r"@secret:([A-Za-z0-9_.-]+)@")
# FROM CONFIG adds and replaces rows, so what the file no longer has is deleted first.
EMPTY = ("mysql_servers", "mysql_users", "mysql_query_rules", "mysql_replication_hostgroups")
PARTS = ("VARIABLES", "SERVERS", "USERS", "QUERY RULES")


class CredentialsError(Exception):
    """The credentials file can't be used; the message never holds a secret."""


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


def running_state(client):
    """The runtime tables in the form of `wanted`. A server may be in another group than declared, as after a failover."""
    variables = client.query("SELECT variable_name, variable_value FROM runtime_global_variables")
    servers = client.query("SELECT hostname, port, max_connections FROM runtime_mysql_servers")
    rules = client.query("SELECT match_digest FROM runtime_mysql_query_rules ORDER BY rule_id")
    users = client.query("SELECT DISTINCT username FROM runtime_mysql_users ORDER BY username")
    return dict(
        variables=dict((row[0], row[1]) for row in variables),
        servers=[("%s:%s" % (row[0], row[1]), int(row[2])) for row in servers],
        users=[row[0] for row in users],
        rules=[row[0] for row in rules],
    )


def differences(wanted, state):
    """Sentences about what runs otherwise than wanted; none if all is right. Holds no secrets, since `wanted` has none."""
    found = []
    for name in sorted(wanted["variables"]):
        has = state["variables"].get(name)
        if has != wanted["variables"][name]:
            found.append("%s is %s, not %s" % (name, has, wanted["variables"][name]))
    pairs = sorted(state["servers"])
    if pairs != sorted(wanted["servers"].items()):
        shown = ", ".join("%s (%s connections)" % pair for pair in pairs)
        found.append("the servers are %s" % (shown or "none"))
    for kind in ("users", "rules"):
        if state[kind] != wanted[kind]:
            found.append(
                "the %s are %s, not %s" % (kind, ", ".join(state[kind]) or "none", ", ".join(wanted[kind]) or "none")
            )
    return found


class Admin:
    """The admin port, asked with the first password that it takes."""

    def __init__(self, port, passwords):
        self.port = port
        self.passwords = passwords

    def _client(self):
        trouble = None
        for password in self.passwords:
            try:
                return Client(self.port, "admin", password)
            except MySQLError as error:
                trouble = error
        raise trouble or MySQLError("there is no password for the admin port")

    def trouble(self, wanted):
        """None if ProxySQL runs as wanted, else a sentence."""
        try:
            client = self._client()
            try:
                found = differences(wanted, running_state(client))
            finally:
                client.close()
        except MySQLError as error:
            return "the admin port %s: %s" % (self.port, error)
        return "; ".join(found) or None

    def load(self):
        """Brings the file into effect without a restart. Returns None, or what ProxySQL said against it."""
        try:
            client = self._client()
            try:
                for table in EMPTY:
                    client.query("DELETE FROM " + table)  # noqa: S608
                for part in PARTS:
                    client.query("LOAD MYSQL %s FROM CONFIG" % part)
                for part in PARTS:
                    client.query("LOAD MYSQL %s TO RUNTIME" % part)
            finally:
                client.close()
        except MySQLError as error:
            return str(error)
        return None
