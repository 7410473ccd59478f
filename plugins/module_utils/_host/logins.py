# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What logins leave on a host: globs in every account's home, and all that sshd takes keys from. Runs under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import os
import pwd
import re
import shutil
import tempfile

from .errors import HostError, NotInstalledError
from .sshd import effective, key_files

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, Iterable, List  # noqa: F401

    from .host import Host  # noqa: F401


def came_by_ssh(proc="/proc"):
    """Whether this process was started in a session of sshd, by the names of those that it comes from."""
    pid = os.getppid()
    while pid > 1:
        try:
            with open("%s/%d/stat" % (proc, pid)) as stream:
                name, _bracket, rest = stream.read().partition("(")[2].rpartition(")")
            parent = int(rest.split()[1])
        except (EnvironmentError, ValueError, IndexError):
            return False
        if name.startswith("sshd"):  # sshd-session since OpenSSH 9.8
            return True
        pid = parent
    return False


def account_database():
    # type: () -> List[Dict[str, str]]
    """{name, uid, home} of every account that the system knows, whatever its home and shell are."""
    return [{"name": row.pw_name, "uid": "%d" % row.pw_uid, "home": row.pw_dir} for row in pwd.getpwall()]


def in_homes(accounts, patterns):
    # type: (Iterable[Dict[str, str]], List[str]) -> List[str]
    """Globs: each of the patterns in each of the homes."""
    homes = sorted({a["home"].rstrip("/") for a in accounts if a["home"].startswith("/")})
    return [_literally(home) + "/" + pattern for home in homes for pattern in patterns]


def authorized_keys(host, accounts):
    # type: (Host, List[Dict[str, str]]) -> List[str]
    """Globs, one for each file that sshd takes keys of an account from. Raises HostError where sshd does not say which."""
    try:
        return _meant(host, accounts, "")
    except NotInstalledError:
        return _literal(path for account in accounts for path in key_files({}, account))
    except HostError:
        # sshd -T needs a host key, and an image that was cleaned before has none.
        folder = tempfile.mkdtemp(prefix="fleet-image-", dir="/run" if os.path.isdir("/run") else None)
        try:
            key = folder + "/key"
            host.system.do(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
            return _meant(host, accounts, key)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _meant(host, accounts, host_key):
    # type: (Host, List[Dict[str, str]], str) -> List[str]
    found = [key_files(effective(host, account["name"], host_key), account) for account in accounts]
    return _literal(path for paths in found for path in paths)


def _literal(paths):
    # type: (Iterable[str]) -> List[str]
    return sorted({_literally(path) for path in paths})


def _literally(path):
    # type: (str) -> str
    """The glob that hits this path only."""
    return re.sub(r"([*?[])", r"[\1]", path)
