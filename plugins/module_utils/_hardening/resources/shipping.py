# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is logged leaves the host: whoever takes the host over can then not rewrite what was seen of it."""

from __future__ import absolute_import, division, print_function

import fnmatch
import json
import re

from ..._host.drop_ins import files_read
from ..._host.errors import HostError
from ..._host.text import get
from ..compare import difference
from .base import Found, NotApplicableError, Resource, listed
from .files import have_reread
from .software import unit_properties

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Tuple  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

AGENT = "amazon-cloudwatch-agent"
AGENT_SETTINGS = "/opt/aws/amazon-cloudwatch-agent/etc/"
RSYSLOG_FILES = ("/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf")
FORWARD_FILE = "/etc/rsyslog.d/zz-fleet-forward.conf"
UPLOAD, UPLOAD_FILE = "systemd-journal-upload", "/etc/systemd/journal-upload.conf"
FORWARDS = (
    r"(?m)^\*\.\*\s+@@?(?:\([^)]*\))?(?P<target>\S+)",
    r"(?ms)^(?:\*\.\*\s+)?action\(\s*type=\"om(?:fwd|relp)\"[^)]*?\btarget=\"(?P<target>[^\"]+)\"",
)
"""Rules of rsyslog that send everything to another host: the old form and the new one."""
THIS_HOST = re.compile(r"(?i)(localhost|127\.|\[?::1\]?)")
FORWARD = """\
# Everything is sent to the log host as well; what it does not take at once waits on the disk.
*.* action(type="omfwd" target="%s" port="%d" protocol="%s" action.resumeRetryCount="-1"
    queue.type="LinkedList" queue.filename="fleet_forward" queue.maxDiskSpace="256m" queue.saveOnShutdown="on")
"""


class LogShipping(Resource):
    """Each of ``logs`` is sent away by a program that starts at boot: the CloudWatch agent, rsyslog or systemd's journal-upload."""

    name = "log_shipping"
    fields = {"logs": "texts!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        everything, collected = sends_everything(host), collected_by_agent(host)
        values, beyond = {}, {}  # type: Dict[str, Any], Dict[str, str]
        for log in listed(state["logs"]):
            groups = [group for pattern, group in collected if fnmatch.fnmatch(log, pattern)]
            values[log] = everything or (groups[0] if groups else None)
            if values[log] is None and host.enforcing and host.uses("services", AGENT):
                beyond[log] = "the playbook declared %s in use, which is set up after the controls" % AGENT
        return Found(values, beyond)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        return [difference(log, "sent to another host", None) for log, to in sorted(found.values.items()) if to is None]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        if not self.diff(state, self.read(host, state)):
            return  # by what was set for rsyslog-forward just now
        raise HostError(
            "have the CloudWatch agent collect it (role cloudwatch_agent), or name the host that takes it in hardening_log_host"
        )


class RsyslogForward(Resource):
    """rsyslog sends everything to ``host``, where one is given: not without a queue, so that nothing is lost while it is down."""

    name = "rsyslog_forward"
    fields = {"host": "text!", "port": "number!", "protocol": "word!", "restart": "texts"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        if not state["host"]:
            raise NotApplicableError("no log host is given (hardening_log_host)")
        return Found({FORWARD_FILE: host.system.read(FORWARD_FILE)})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        if found.values[FORWARD_FILE] == _forward(state):
            return []
        return [
            difference(FORWARD_FILE, "everything to %s:%d" % (state["host"], state["port"]), found.values[FORWARD_FILE])
        ]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        if not re.match(r"^[A-Za-z0-9.:-]+$", state["host"]):
            raise HostError("'%s' is not the name or address of a host: correct hardening_log_host" % state["host"])
        host.system.write(FORWARD_FILE, _forward(state), 0o640)
        have_reread(host, state)


def _forward(state):
    # type: (Dict[str, Any]) -> str
    return FORWARD % (state["host"], state["port"], state["protocol"])


def sends_everything(host):
    # type: (Host) -> Optional[str]
    """Which program sends all messages where; None if none does."""
    texts = [host.system.read(path) or "" for pattern in RSYSLOG_FILES for path in files_read(host.system, pattern)]
    targets = [found.group("target") for text in texts for rule in FORWARDS for found in re.finditer(rule, text)]
    targets = [target for target in targets if not THIS_HOST.match(target)]
    if targets and _at_boot(host, "rsyslog"):
        return "rsyslog to %s" % targets[0]
    url = get(host.system.read(UPLOAD_FILE) or "", "URL", section="Upload")
    if url and _at_boot(host, UPLOAD):
        return "%s to %s" % (UPLOAD, url)
    return None


def collected_by_agent(host):
    # type: (Host) -> List[Tuple[str, str]]
    """(path or pattern, where it goes) of the files that the CloudWatch agent collects."""
    result = []  # type: List[Tuple[str, str]]
    for pattern in (AGENT_SETTINGS + AGENT + ".json", AGENT_SETTINGS + AGENT + ".d/*"):
        for path in host.system.glob(pattern):
            for entry in _collect_list(host.system.read(path) or ""):
                if isinstance(entry, dict) and entry.get("file_path"):
                    result.append(
                        (entry["file_path"], "%s to %s" % (AGENT, entry.get("log_group_name", "CloudWatch Logs")))
                    )
    return result if result and _at_boot(host, AGENT) else []


def _collect_list(text):
    # type: (str) -> List[Any]
    """The agent's entries for files; none where the text is not what the agent reads."""
    try:
        found = json.loads(text)
        for name in ("logs", "logs_collected", "files", "collect_list"):
            found = found.get(name, {})
    except (ValueError, AttributeError):
        return []
    return found if isinstance(found, list) else []


def _at_boot(host, name):
    # type: (Host, str) -> bool
    return unit_properties(host, name)["UnitFileState"] in ("enabled", "enabled-runtime", "static", "alias")
