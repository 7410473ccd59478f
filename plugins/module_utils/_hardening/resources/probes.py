# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of behaviour that nothing on the host itself can remediate: they look, and a person or another system acts."""

from __future__ import absolute_import, division, print_function

import os
import re

from ..._host.accounts import passwd
from ..._host.drop_ins import FOLDERS
from ..._host.errors import HostError
from ..._host.imds import Imds, ImdsError
from ..._host.text import entries, get, lines_of
from .base import Found, NotApplicableError, Resource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Callable, Dict, List, Tuple  # noqa: F401

    from ..host import Host  # noqa: F401

MAIL_PORTS = (25, 465, 587)
REPOSITORIES = {
    "al2": ("/etc/yum.conf", ["/etc/yum/repos.d", "/etc/yum.repos.d"]),
    "al2023": ("/etc/dnf/dnf.conf", ["/etc/yum.repos.d", "/etc/yum/repos.d", "/etc/distro.repos.d"]),
}
"""Release -> the package manager's main file, and where it looks for repositories if ``reposdir`` does not say."""
OFF = ("0", "no", "false", "off")


class Probe(Resource):
    """``probe``: the name of the check. Its problems are the evidence."""

    name = "probe"
    desired = "none"
    fields = {"probe": "word!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        return Found(dict.fromkeys(PROBES[state["probe"]](host), "found"))


def _imds_needs_token(host):
    # type: (Host) -> List[str]
    """A request without a session token must be refused (401): instance metadata version 2 only."""
    try:
        status = host.system.cached("imds", lambda: Imds().status_without_token())
    except ImdsError:
        raise NotApplicableError("the instance metadata service does not answer")
    if status == 200:
        return ["metadata is given out without a session token: set HttpTokens=required on the instance"]
    return []


def _root_path(host):
    # type: (Host) -> List[str]
    """root's PATH has directories only, all root's own, none writable by others."""
    done = host.system.run(["bash", "-lc", 'printf %s "$PATH"'])
    problems = []
    for entry in done.out.strip().split(":"):
        there = host.system.stat(entry) if entry.startswith("/") else None
        if not entry.startswith("/"):
            problems.append("PATH has '%s', which is not an absolute path" % entry)
        elif there and there["kind"] == "directory" and (there["owner"] != "root" or there["mode"] & 0o022):
            problems.append("PATH has %s: %04o %s" % (entry, there["mode"], there["owner"]))
    return problems


def _listening(host):
    # type: (Host) -> List[str]
    """Nothing listens on the network but what was declared in use."""
    allowed = {"%s" % port for port in host.in_use.get("ports", [])}
    if not allowed:
        raise NotApplicableError("the playbook declared no ports in use")
    return [
        "TCP port %d listens and was not declared in use" % port
        for port in open_ports(host)
        if "%d" % port not in allowed
    ]


def open_ports(host):
    # type: (Host) -> List[int]
    """The TCP ports that listen on the network."""
    tables = (host.system.read("/proc/net/tcp") or "", host.system.read("/proc/net/tcp6") or "")
    return sorted({port for table in tables for address, port in listeners(table) if not _is_loopback(address)})


def listeners(table):
    # type: (str) -> List[Tuple[str, int]]
    """(address in hexadecimal, port) of the listening sockets in a text of /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    local = [row[1].split(":") for row in rows if len(row) > 3 and row[3] == "0A"]
    return [(address, int(port, 16)) for address, port in local]


def _mail_is_local(host):
    # type: (Host) -> List[str]
    """No mail server takes mail from the network."""
    return [
        "TCP port %d takes mail from the network" % port
        for port in open_ports(host)
        if port in MAIL_PORTS and not host.uses("ports", port)
    ]


def _is_loopback(address):
    # type: (str) -> bool
    if len(address) == 8:
        return address.endswith("7F")
    return address == "0" * 24 + "01000000" or (address[16:24] == "FFFF0000" and address.endswith("7F"))


def _home_files(host):
    # type: (Host) -> List[str]
    """People's homes have nothing that lets others in: no .rhosts or .forward, nothing of theirs writable by others."""
    problems = []
    people = [a for a in passwd(host) if int(a["uid"]) >= 1000 and a["home"].strip("/")]
    for person in people:
        for path in host.system.glob(re.sub(r"([*?[])", r"[\1]", person["home"]) + "/.*"):
            name, there = os.path.basename(path), host.system.stat(path)
            if name in (".rhosts", ".forward", ".netrc", ".shosts"):
                problems.append("%s exists" % path)
            elif there and there["mode"] & 0o022:
                problems.append("%s can be written by others: %04o" % (path, there["mode"]))
    return problems


def _unsigned_repositories(host):
    # type: (Host) -> List[str]
    """No repository switches the check of signatures off for itself: what its own section says counts more than [main].

    Repositories are in the main file too, and in the folders of its ``reposdir`` (dnf.conf(5), yum.conf(5), "[repository] OPTIONS").
    """
    main, folders = REPOSITORIES[host.release]
    own = get(host.system.read(main) or "", "reposdir", "main")
    folders = re.split(r"[\s,]+", own) if own else folders
    paths = [main] + [path for folder in folders for path in host.system.glob(folder.rstrip("/") + "/*.repo")]
    checks = {}  # type: Dict[str, str]
    for path in paths:
        for section, key, value in entries(host.system.read(path) or ""):
            if section and (path, section) != (main, "main") and key.lower() == "gpgcheck":
                checks["%s [%s]" % (path, section)] = value.lower()
    return ["%s installs unsigned packages" % place for place, value in sorted(checks.items()) if value in OFF]


def _signing_keys(host):
    # type: (Host) -> List[str]
    """rpm knows a key to check signatures with."""
    return [] if "gpg-pubkey" in host.packages() else ["rpm knows no key to check signatures with"]


def _rescue_asks(host):
    # type: (Host) -> List[str]
    """The rescue and emergency shells ask for root's password."""
    problems = []
    for unit in ("rescue", "emergency"):
        paths = ["/usr/lib/systemd/system/%s.service" % unit, "/etc/systemd/system/%s.service" % unit]
        paths += host.system.layered(*["%s/systemd/system/%s.service.d" % (folder, unit) for folder in FOLDERS])
        lines = [line for path in paths for line in lines_of(host.system.read(path) or "")]
        starts = [line for line in lines if line.startswith("ExecStart=") and line != "ExecStart="]
        if starts and "sulogin" not in starts[-1]:
            problems.append("%s.service gives a shell without a password: %s" % (unit, starts[-1]))
    return problems


def _unconfined_services(host):
    # type: (Host) -> List[str]
    """No service runs without a policy of SELinux of its own, but those declared in use."""
    if not host.system.exists("/sys/fs/selinux/enforce"):
        raise NotApplicableError("this kernel runs without SELinux")
    found = set()
    for path in host.system.glob("/proc/[0-9]*/attr/current"):
        # Processes end while they are looked at.
        if ":unconfined_service_t:" in _of_process(host, path):
            unit = re.search(
                r"/([^/\n]+)\.service$", _of_process(host, path.replace("attr/current", "cgroup")), re.MULTILINE
            )
            found.add(unit.group(1) if unit else "process " + path.split("/")[2])
    return ["%s is bound by no policy" % name for name in sorted(found) if not host.uses("services", name)]


def _of_process(host, path):
    # type: (Host, str) -> str
    """A file of /proc about a process; '' once that has ended."""
    try:
        return host.system.read(path) or ""
    except HostError:
        return ""


PROBES = {
    "imds_needs_token": _imds_needs_token,
    "root_path": _root_path,
    "listening": _listening,
    "mail_is_local": _mail_is_local,
    "home_files": _home_files,
    "unsigned_repositories": _unsigned_repositories,
    "signing_keys": _signing_keys,
    "rescue_asks": _rescue_asks,
    "unconfined_services": _unconfined_services,
}  # type: Dict[str, Callable[[Host], List[str]]]
