# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where sshd takes an administrator's keys from, by its effective AuthorizedKeysFile. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import os

from .._host.accounts import passwd
from .._host.errors import NotInstalledError
from .._host.sshd import KEY_FILES, effective, key_files

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, List, Optional, Tuple  # noqa: F401

    from .._host.host import Host  # noqa: F401

SOMEBODY_ELSE = {"name": "fleet-nobody-else", "uid": "4294967294", "home": "/fleet-nobody-else"}
"""A file that would be this one's too is not one administrator's alone."""


def account_of(host, name):
    # type: (Host, str) -> Dict[str, str]
    """The account, or what becomes it."""
    new = {"name": name, "uid": "%U", "home": "/home/" + name}
    return next((account for account in passwd(host) if account["name"] == name), new)


def settings_of(host, name):
    # type: (Host, str) -> Dict[str, str]
    """What sshd goes by for the user's connections; {} where there is no sshd. Raises HostError where it can't be asked."""
    try:
        return effective(host, name)
    except NotInstalledError:
        return {}


def places(host, name):
    # type: (Host, str) -> Tuple[Optional[str], List[str]]
    """(the file for the keys: the first that sshd reads and that is the user's alone, or None; the user's other files).

    Where sshd reads its default, ~/.ssh/authorized_keys, it is that one.
    """
    account, settings = account_of(host, name), settings_of(host, name)
    own = _own(account, settings)
    usual = _own(account, {})
    chosen = usual[0] if usual[0] in own else next(iter(own), None)
    return chosen, [path for path in own + [path for path in usual if path not in own] if path != chosen]


def _own(account, settings):
    # type: (Dict[str, str], Dict[str, str]) -> List[str]
    shared = key_files(settings, SOMEBODY_ELSE)
    return [path for path in key_files(settings, account) if path not in shared]


def is_at_home(host, name, path):
    # type: (Host, str, str) -> bool
    return path.startswith(account_of(host, name)["home"].rstrip("/") + "/")


def links(host, name, paths):
    # type: (Host, str, List[str]) -> List[str]
    """The symbolic links on the way to files in the user's home, a sentence each."""
    home, found = account_of(host, name)["home"].rstrip("/"), [account_of(host, name)["home"]]
    for path in [path for path in paths if is_at_home(host, name, path)]:
        parts = path[len(home) + 1 :].split("/")
        found += ["/".join([home] + parts[:end]) for end in range(1, len(parts) + 1)]
    there = sorted({path for path in found if os.path.islink(host.system.real(path))})
    return ["%s of %s is a symbolic link; remove it first" % (path, name) for path in there]


def nowhere(host, name):
    # type: (Host, str) -> str
    """Why there is no file for the user's keys."""
    settings = settings_of(host, name)
    return (
        "sshd takes keys of %s from no file that is that user's alone (AuthorizedKeysFile %s, by sshd -T -C user=%s): add %s to it in "
        "sshd_config, and look for Match blocks about the user"
        % (name, settings.get("authorizedkeysfile", KEY_FILES), name, KEY_FILES.split()[0])
    )


def not_taken(host, name, path):
    # type: (Host, str, Optional[str]) -> str
    """Why sshd would let nobody in by the keys that were written."""
    files = settings_of(host, name).get("authorizedkeysfile", KEY_FILES)
    return (
        "sshd takes no key of %s from %s (AuthorizedKeysFile %s): it, or a directory above it, belongs to somebody else or can be "
        "written by others, or %s can't read it" % (name, path, files, name)
    )
