#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove from a host what must not be in an image. Runs on the host, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: image_clean
short_description: Remove from a host what must not be in an image, and make the AIDE database of what is left
version_added: 0.1.0
description:
  - Stops services, removes files and directories, empties files and cuts the logs below directories, all in one call.
  - Then, if asked, makes AIDE's database and writes the image's manifest. Both belong into the same call, since whatever
    logs in or calls sudo after it would be in the image again.
  - In a log directory, rotated and compressed files are removed and the others emptied, so that owner, mode and security label stay.
  - Never follows a symbolic link out of the named paths; leaves the running module's own files alone.
options:
  stop_services:
    description: Globs of systemd services that would go on writing. Those that run are stopped first, not disabled.
    type: list
    elements: str
    default: []
  remove:
    description: Globs of files, links and whole directories to remove. A C(*) as the last part includes hidden names.
    type: list
    elements: str
    default: []
  remove_in_homes:
    description: Globs to remove in the home of every account that the system knows, wherever it is.
    type: list
    elements: str
    default: []
  authorized_keys:
    description:
      - Remove every file that sshd takes keys of an account from, by C(AuthorizedKeysFile) of C(sshd -T). Fails if sshd can't read its
        configuration.
    type: bool
    default: false
  empty:
    description: Globs of files to cut to zero bytes.
    type: list
    elements: str
    default: []
  empty_logs_below:
    description: Directories whose log files are emptied, rotated ones removed.
    type: list
    elements: path
    default: []
  keep:
    description: Globs that nothing above applies to.
    type: list
    elements: str
    default: []
  aide:
    description:
      - Make the AIDE database of the files that are left, C(/var/lib/aide/aide.db.gz). One that is still right is kept.
      - Without AIDE on the host it is a warning.
    type: bool
    default: false
  manifest_draft:
    description: File on the host with the manifest, JSON, that nothing of AIDE is in yet. Empty for no manifest.
    type: str
    default: ""
  manifest:
    description: Where the manifest is written, with the path and SHA-256 of the AIDE database under C(aide), which is null without one.
    type: str
    default: ""
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode: {support: full, description: Names what would be done; changes nothing.}
  diff_mode: {support: full, description: Lists what is done.}
"""

EXAMPLES = r"""
- name: Clean the host
  ecommerce.fleet.image_clean:
    stop_services: [nginx, app@*]
    remove: [/etc/ssh/ssh_host_*, /tmp/*]
    remove_in_homes: [.*_history]
    authorized_keys: true
    empty: [/etc/machine-id]
    empty_logs_below: [/var/log]
    keep: [/tmp/systemd-private-*]
"""

RETURN = r"""
stopped:
  description: The services that were (in check mode, would be) stopped.
  returned: always
  type: list
  elements: str
removed:
  description: What was (in check mode, would be) removed.
  returned: always
  type: list
  elements: str
emptied:
  description: What was (in check mode, would be) emptied.
  returned: always
  type: list
  elements: str
aide:
  description: Path of the C(database), its C(sha256) and AIDE's C(version); null without one and where a check run would make one.
  returned: always
  type: dict
"""

import fnmatch
import glob
import io
import json
import os
import re
import shutil
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import logins, systemd
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.aide import DATABASE, AideError, update
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.encoding import native, printable
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.files import Files
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.host import Host
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.system import System

try:
    from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple  # noqa: F401 - for the type comments
except ImportError:  # Python 2.7
    pass

# messages-20261124, secure.1, cron-20261124.gz, error.log.2.xz
ROTATED = re.compile(r"([.-]\d{8}(-\d+)?|\.\d+|\.old)(\.(gz|xz|bz2|zst))?$|\.(gz|xz|bz2|zst)$")
ALWAYS_KEPT = ("/tmp/ansible_*", "/var/tmp/ansible_*")  # noqa: S108


def kept(path, keep):  # type: (str, Iterable[str]) -> bool
    return any(fnmatch.fnmatch(path, pattern) for pattern in keep)


def expand(patterns, keep):  # type: (Iterable[str], Iterable[str]) -> List[str]
    """The paths that the patterns hit, links included and kept ones not, sorted."""
    found = set()  # type: Set[str]
    # Under Python 2 a pattern of text would meet names that are no ASCII.
    for pattern in map(native, patterns):
        found.update(glob.glob(pattern))
        if os.path.basename(pattern) == "*":
            found.update(glob.glob(os.path.join(os.path.dirname(pattern), ".*")))
    return sorted(path for path in found if os.path.lexists(path) and not kept(path, keep))


def size_of(path):  # type: (str) -> int
    """Of a regular file, not a link; else -1. What is gone again is none: services still rotate their logs."""
    try:
        status = os.lstat(path)
    except OSError:
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def logs(directories, keep):  # type: (Iterable[str], Iterable[str]) -> Tuple[List[str], List[str]]
    """(rotated files, files with contents) below the directories. Links to directories are not followed."""
    rotated, filled = [], []  # type: List[str], List[str]
    for top in directories:
        for folder, _names, files in os.walk(top):
            for path in [os.path.join(folder, name) for name in files]:
                if kept(path, keep) or size_of(path) < 0:
                    continue
                if ROTATED.search(os.path.basename(path)):
                    rotated.append(path)
                elif size_of(path) > 0:
                    filled.append(path)
    return rotated, filled


def plan(remove, empty, empty_logs_below, keep):  # type: (List[str], List[str], List[str], List[str]) -> Dict[str, List[str]]
    """What there is to remove and to empty: {"remove": [paths], "empty": [paths]}."""
    keep = list(keep) + list(ALWAYS_KEPT)
    rotated, filled = logs(empty_logs_below, keep)
    gone = sorted(set(expand(remove, keep) + rotated))
    cut = sorted(set([p for p in expand(empty, keep) if size_of(p) > 0] + filled))
    below = tuple(path.rstrip("/") + "/" for path in gone)
    return {"remove": gone, "empty": [p for p in cut if p not in gone and not p.startswith(below)]}


def running_services(run_command, patterns):  # type: (Callable[..., Tuple[int, str, str]], List[str]) -> List[str]
    """The running services that the patterns hit, by what systemd says, whose list-units takes no names without suffix."""
    if not patterns:
        return []
    units = [pattern if pattern.endswith(".service") else pattern + ".service" for pattern in patterns]
    return sorted(systemd.listed(run_command, units, "--state=active"))


def remove_path(path):  # type: (str) -> None
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def empty_file(path):  # type: (str) -> None
    """Cut in place: a daemon that appends to it goes on at the new end."""
    if os.path.lexists(path):
        with open(path, "r+b") as handle:
            handle.truncate(0)


def write_manifest(draft, path, aide, check_mode):  # type: (str, str, Optional[Dict[str, str]], bool) -> bool
    """Write the manifest with what is known of the AIDE database; returns whether it was not so before."""
    with io.open(draft, encoding="utf-8") as handle:
        manifest = json.load(handle)
    manifest["aide"] = aide
    # As Ansible's to_nice_json writes it: the copy on the control node has the same digest.
    text = json.dumps(manifest, indent=2, sort_keys=True, separators=(",", ": ")) + "\n"
    if os.path.exists(path):
        with io.open(path, encoding="utf-8") as handle:
            if handle.read() == text:
                return False
    if not check_mode:
        make_manifest(path)
        with open(path, "r+b") as handle:  # in place: the AIDE database has its inode
            handle.truncate(0)
            handle.write(text.encode("utf-8"))
    return True


def make_manifest(path):  # type: (str) -> None
    """An empty manifest if there is none: the AIDE database includes it, and the manifest has the digest of the database.

    Raises HostError.
    """
    if os.path.exists(path):
        Files().set_attributes(path, 0o644)
    else:
        Files().write(path, "", 0o644)


def of_logins(module):  # type: (Any) -> List[str]
    """Globs of what logins have left, wherever homes and keys are."""
    accounts = logins.account_database()
    globs = logins.in_homes(accounts, module.params["remove_in_homes"])
    if module.params["authorized_keys"]:
        try:
            globs += logins.authorized_keys(Host(System(), release="any", container=False), accounts)
        except HostError as error:
            module.fail_json(msg="Cleaning the image: which files hold authorized keys is not known: %s" % error)
    return globs


def clean(module, planned):  # type: (Any, Dict[str, List[str]]) -> None
    for action, paths in ((remove_path, planned["remove"]), (empty_file, planned["empty"])):
        for path in paths:
            try:
                action(path)
            except (IOError, OSError) as error:
                module.fail_json(
                    msg="Cleaning the image: %s could not be cleaned: %s. No image must be made from this host; "
                    "fix the cause and bake again." % (printable(path), error)
                )


def update_aide(module):  # type: (Any) -> Tuple[bool, Optional[Dict[str, str]]]
    """Have AIDE make its database of what is left: (whether anything changed, what the manifest says of it)."""
    program = module.get_bin_path("aide")
    if program is None:
        module.warn(
            "AIDE is not installed, so the image has no AIDE database; its hosts make their own in their first night. "
            "Install aide (role hardening does) or turn image_finish_aide off."
        )
        return False, None
    try:
        changed, aide = update(program, module.run_command, module.check_mode)
    except AideError as error:
        module.fail_json(msg="%s" % error)
    return changed, aide


def main():  # type: () -> None
    lists = {"type": "list", "elements": "str", "default": []}  # type: Dict[str, Any]
    module = AnsibleModule(
        argument_spec={
            "stop_services": lists,
            "remove": lists,
            "remove_in_homes": lists,
            "authorized_keys": {"type": "bool", "default": False},
            "empty": lists,
            "empty_logs_below": dict(lists, elements="path"),
            "keep": lists,
            "aide": {"type": "bool", "default": False},
            "manifest_draft": {"type": "str", "default": ""},
            "manifest": {"type": "str", "default": ""},
        },
        required_together=[("manifest_draft", "manifest")],
        supports_check_mode=True,
    )
    given = module.params
    try:
        running = running_services(module.run_command, given["stop_services"])
    except systemd.SystemdError as error:
        module.fail_json(msg="Cleaning the image: the running services are not known: %s" % error)
    if running and not module.check_mode:
        refused = systemd.do(module.run_command, "stop", *running)
        if refused:
            module.fail_json(
                msg="Cleaning the image: %s. No image must be made from this host; fix the cause and bake again."
                % refused
            )
    planned = plan(given["remove"] + of_logins(module), given["empty"], given["empty_logs_below"], given["keep"])
    if not module.check_mode:
        clean(module, planned)
        if given["manifest"]:
            try:
                make_manifest(given["manifest"])
            except HostError as error:
                module.fail_json(
                    msg="Writing the image's manifest: %s. Correct image_finish_manifest_path and bake again." % error
                )
    removed, emptied = ([printable(path) for path in planned[action]] for action in ("remove", "empty"))
    updated, aide = update_aide(module) if given["aide"] else (False, None)
    lines = (
        ["stopped %s\n" % name for name in running]
        + ["removed %s\n" % p for p in removed]
        + ["emptied %s\n" % p for p in emptied]
    )
    if updated:
        lines.append("made the AIDE database %s\n" % DATABASE)
    if given["manifest"] and write_manifest(given["manifest_draft"], given["manifest"], aide, module.check_mode):
        lines.append("wrote %s\n" % given["manifest"])
    module.exit_json(
        changed=bool(lines),
        stopped=running,
        removed=removed,
        emptied=emptied,
        aide=aide,
        diff={"before": "", "after": "".join(lines)},
    )


if __name__ == "__main__":
    main()
