#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Remove from a host what must not be in an image. Runs on the host, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: image_clean
short_description: Remove from a host what must not be in an image, and record what is left
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
      - Have AIDE record the files that are left, in C(/var/lib/aide/aide.db.gz). A record that still holds is kept.
      - Without AIDE on the host it is a warning.
    type: bool
    default: false
  manifest_draft:
    description: File on the host with the manifest, JSON, that nothing of AIDE is in yet. Empty for no manifest.
    type: str
    default: ""
  manifest:
    description: Where the manifest is written, with the record's path and SHA-256 under C(aide), which is null without one.
    type: str
    default: ""
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Clean the host
  ecommerce.fleet.image_clean:
    stop_services: [nginx, app@*]
    remove: [/etc/ssh/ssh_host_*, /tmp/*]
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
  description: The record's C(database), its C(sha256) and AIDE's C(version); null without one and while a check run would make one.
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
from ansible_collections.ecommerce.fleet.plugins.module_utils import image_aide

try:
    from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple  # noqa: F401 - for the type comments
except ImportError:  # Python 2.7
    pass

# messages-20261124, secure.1, cron-20261124.gz, error.log.2.xz
ROTATED = re.compile(r"([.-]\d{8}(-\d+)?|\.\d+|\.old)(\.(gz|xz|bz2|zst))?$|\.(gz|xz|bz2|zst)$")
ALWAYS_KEPT = ("/tmp/ansible_*", "/var/tmp/ansible_*")


def kept(path, keep):  # type: (str, Iterable[str]) -> bool
    return any(fnmatch.fnmatch(path, pattern) for pattern in keep)


def expand(patterns, keep):  # type: (Iterable[str], Iterable[str]) -> List[str]
    """The paths that the patterns hit, links included and kept ones not, sorted."""
    found = set()  # type: Set[str]
    for pattern in patterns:
        found.update(glob.glob(pattern))
        if os.path.basename(pattern) == "*":
            found.update(glob.glob(os.path.join(os.path.dirname(pattern), ".*")))
    return sorted(path for path in found if os.path.lexists(path) and not kept(path, keep))


def is_filled_file(path):  # type: (str) -> bool
    """A regular file, not a link, with something in it."""
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def logs(directories, keep):  # type: (Iterable[str], Iterable[str]) -> Tuple[List[str], List[str]]
    """(rotated files, files with contents) below the directories. Links to directories are not followed."""
    rotated, filled = [], []  # type: List[str], List[str]
    for top in directories:
        for folder, _names, files in os.walk(top):
            for path in [os.path.join(folder, name) for name in files]:
                if kept(path, keep) or not stat.S_ISREG(os.lstat(path).st_mode):
                    continue
                if ROTATED.search(os.path.basename(path)):
                    rotated.append(path)
                elif is_filled_file(path):
                    filled.append(path)
    return rotated, filled


def plan(remove, empty, empty_logs_below, keep):  # type: (List[str], List[str], List[str], List[str]) -> Dict[str, List[str]]
    """What there is to remove and to empty: {"remove": [paths], "empty": [paths]}."""
    keep = list(keep) + list(ALWAYS_KEPT)
    rotated, filled = logs(empty_logs_below, keep)
    gone = sorted(set(expand(remove, keep) + rotated))
    cut = sorted(set([p for p in expand(empty, keep) if is_filled_file(p)] + filled))
    below = tuple(path.rstrip("/") + "/" for path in gone)
    return {"remove": gone, "empty": [p for p in cut if p not in gone and not p.startswith(below)]}


def running_services(run_command, patterns):  # type: (Callable[..., Tuple[int, str, str]], List[str]) -> List[str]
    """The running services that the patterns hit, by what systemd says, whose list-units takes no names without suffix."""
    if not patterns:
        return []
    units = [pattern if pattern.endswith(".service") else pattern + ".service" for pattern in patterns]
    argv = ["systemctl", "list-units", "--type=service", "--state=active", "--plain", "--no-legend", "--full"]
    _code, listed, _error = run_command(argv + units, check_rc=True)
    return sorted(line.split()[0] for line in listed.splitlines() if line.strip())


def remove_path(path):  # type: (str) -> None
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def empty_file(path):  # type: (str) -> None
    """Cut in place: a daemon that appends to it goes on at the new end."""
    with open(path, "r+b") as handle:
        handle.truncate(0)


def write_manifest(draft, path, aide, check_mode):  # type: (str, str, Optional[Dict[str, str]], bool) -> bool
    """Write the manifest with what is known of AIDE's record; returns whether it was not so before."""
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
        with open(path, "w") as handle:
            handle.write(text)
    return True


def make_manifest(path):  # type: (str) -> None
    """An empty manifest if there is none: AIDE records that it is there, and the manifest says what AIDE recorded."""
    if not os.path.isdir(os.path.dirname(path)):
        os.makedirs(os.path.dirname(path), 0o755)
    with open(path, "a"):
        os.chmod(path, 0o644)


def clean(module, wanted):  # type: (Any, Dict[str, List[str]]) -> None
    for action, paths in ((remove_path, wanted["remove"]), (empty_file, wanted["empty"])):
        for path in paths:
            try:
                action(path)
            except (IOError, OSError) as error:
                module.fail_json(
                    msg="Cleaning the image: %s could not be cleaned: %s. No image must be made from this host; "
                    "mend the cause and bake again." % (path, error)
                )


def record(module):  # type: (Any) -> Tuple[bool, Optional[Dict[str, str]]]
    """Have AIDE record what is left: (whether anything changed, the record)."""
    program = module.get_bin_path("aide")
    if program is None:
        module.warn(
            "AIDE is not installed, so the image holds no record of its files; its hosts record themselves in their first night. "
            "Install aide (role hardening does) or turn image_finish_aide off."
        )
        return False, None
    try:
        changed, aide = image_aide.record(program, module.run_command, module.check_mode)
    except image_aide.AideError as error:
        module.fail_json(msg="%s" % error)
    return changed, aide


def main():  # type: () -> None
    lists = {"type": "list", "elements": "str", "default": []}  # type: Dict[str, Any]
    module = AnsibleModule(
        argument_spec={
            "stop_services": lists,
            "remove": lists,
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
    running = running_services(module.run_command, given["stop_services"])
    if running and not module.check_mode:
        module.run_command(["systemctl", "stop"] + running, check_rc=True)
    wanted = plan(given["remove"], given["empty"], given["empty_logs_below"], given["keep"])
    if not module.check_mode:
        clean(module, wanted)
        if given["manifest"]:
            make_manifest(given["manifest"])
    recorded, aide = record(module) if given["aide"] else (False, None)
    lines = (
        ["stopped %s\n" % name for name in running]
        + ["removed %s\n" % p for p in wanted["remove"]]
        + ["emptied %s\n" % p for p in wanted["empty"]]
    )
    if recorded:
        lines.append("recorded the files in %s\n" % image_aide.DATABASE)
    if given["manifest"] and write_manifest(given["manifest_draft"], given["manifest"], aide, module.check_mode):
        lines.append("wrote %s\n" % given["manifest"])
    module.exit_json(
        changed=bool(lines),
        stopped=running,
        removed=wanted["remove"],
        emptied=wanted["empty"],
        aide=aide,
        diff={"before": "", "after": "".join(lines)},
    )


if __name__ == "__main__":
    main()
