# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluates controls on a host: reads, compares, and where asked makes it so. The answer is one result per control."""

from __future__ import absolute_import, division, print_function

from .._host import guard, inbound, sshd
from .._host.encoding import printable
from .._host.errors import HostError, NotInstalledError
from .._host.undo import undo
from .applies import why_not
from .registry import TYPES
from .resources import firewall
from .resources.base import NotApplicableError, listed
from .resources.probes import open_ports
from .resources.software import show_units

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Callable, Dict, List, Optional  # noqa: F401

    from .compare import Difference  # noqa: F401
    from .host import Host  # noqa: F401
    from .resources.base import Found  # noqa: F401

STATUSES = ("pass", "changed", "fail", "error", "not_applicable", "excepted", "not_applied_here")
"""``error``: it could not be checked, because a program is gone or does not answer, say. That is as open as ``fail``."""
OPEN = ("fail", "error")
"""What has to be looked after."""
EVIDENCE_LIMIT = 12
NOT_RUNNING = ("not loaded", "not found", "not active", "inactive", "No main process")
"""What systemctl reports about a unit that will read its files when it starts."""


class Evaluation(object):
    """One control on one host, as far as it has come."""

    def __init__(self, control):
        # type: (Dict[str, Any]) -> None
        self.control = control
        self.state = control["state"]
        self.resource = TYPES[control["type"]]
        self.status = ""
        self.reason = ""
        self.changed = False
        self.found = None  # type: Optional[Found]
        self.differences = []  # type: List[Difference]

    def end(self, status, reason=""):
        # type: (str, str) -> None
        self.status, self.reason = status, reason

    @property
    def unread(self):
        # type: () -> bool
        """Whether reading failed."""
        return self.status == "error"

    def look(self, host):
        # type: (Host) -> None
        """Read and compare; ends the control where there is nothing to do."""
        try:
            self.found = self.resource.read(host, self.state)
            self.differences = self.resource.diff(self.state, self.found)
        except (NotApplicableError, NotInstalledError) as reason:
            return self.end("not_applicable", "%s" % reason)
        except HostError as error:
            return self.end("error", "%s" % error)
        except Exception as error:
            return self.end("error", _unexpected("reading", error))
        beyond = self.found.beyond
        if not self.differences:
            self.end("pass")
        elif all(what in beyond for what, _desired, _value in self.differences):
            self.end("not_applied_here", "; ".join(sorted({beyond[d[0]] for d in self.differences})))
        return None

    def look_again_if_unread(self, host):
        # type: (Host) -> None
        if self.unread:
            self.status, self.reason = "", ""
            self.look(host)

    def settle(self, host):
        # type: (Host) -> None
        """After a change: what is there now decides."""
        if self.found is None:  # it could not be read, so nothing was changed for it
            return self.look(host)
        self.status, self.changed = "", True
        self.look(host)
        if self.status == "pass":
            self.status = "changed"
        elif self.status == "":
            self.end("fail", "was set, but still fails: " + described(self.differences))
        return None

    def result(self):
        # type: () -> Dict[str, Any]
        return {
            "id": self.control["id"],
            "status": self.status,
            "changed": self.changed,
            "reason": printable(self.reason),
            "evidence": [printable(line) for line in evidence(self.found, self.differences)],
        }


def described(differences):
    # type: (List[Difference]) -> str
    return "; ".join("%s is %s, desired %s" % (what, value, desired) for what, desired, value in differences)


def evidence(found, differences):
    # type: (Optional[Found], List[Difference]) -> List[str]
    """What was found, what differs first, each with what is desired."""
    if found is None:
        return []
    if not found.values and not differences:
        return ["nothing of the kind was found"]
    lines = ["%s: %s (desired: %s)" % (what, value, desired) for what, desired, value in differences]
    wrong = {what for what, _desired, _value in differences}
    for what, value in sorted(found.values.items()):
        if what not in wrong and not any(other.startswith(what + " ") for other in wrong):
            shown = " ".join(("%s" % (value,)).split()) if value is not None else "not set"
            lines.append("%s: %s" % (what, shown if len(shown) <= 200 else shown[:197] + "..."))
    more = len(lines) - EVIDENCE_LIMIT
    return lines[:EVIDENCE_LIMIT] + (["and %d more" % more] if more > 0 else [])


def evaluate(controls, host, enforce, excepted):
    # type: (List[Dict[str, Any]], Host, bool, Dict[str, str]) -> List[Dict[str, Any]]
    """A result for each control, in order. ``excepted``: id -> why the control is not enforced."""
    host.enforcing = enforce
    evaluations = [Evaluation(for_release(control, host.release)) for control in controls]
    units = [n for e in evaluations if e.control["type"] == "service" for n in listed(e.state["name"])]
    units += [n for e in evaluations for n in listed(e.control.get("applies", {}).get("service"))]
    show_units(host, sorted(set(units)))
    for item in evaluations:
        _first_look(item, host, excepted)
    # What could not be read may be readable once other controls pass: sshd says nothing while a host key is open to others.
    open_ones = [item for item in evaluations if item.status == "" or item.unread]
    if enforce:
        _enforce(open_ones, host)
        again = _disturbed(evaluations, host) + _failed_too_early(open_ones, host)
        _enforce(again, host)
        open_ones += again
    for item in open_ones:
        if item.status == "":
            item.end("fail", described(item.differences))
    return [item.result() for item in evaluations]


def for_release(control, release):
    # type: (Dict[str, Any], str) -> Dict[str, Any]
    """The control with the state that this release needs."""
    return dict(control, state=control.get("per_os", {}).get(release, control["state"]))


def _first_look(item, host, excepted):
    # type: (Evaluation, Host, Dict[str, str]) -> None
    try:
        reason = why_not(host, item.control.get("applies", {}))
    except HostError as error:
        return item.end("error", "%s" % error)
    if reason is not None:
        return item.end("not_applicable", reason)
    item.look(host)
    if item.control["id"] in excepted and item.status in ("",) + OPEN:
        item.end("excepted", excepted[item.control["id"]])
    return None


def _enforce(items, host):
    # type: (List[Evaluation], Host) -> None
    groups = sorted({item.resource.guard for item in items if item.resource.guard})
    try:
        # Taken once, before any of them: what one group has cut is not forgotten when the next is proven.
        before = guard.access_paths(host) if groups else {}
        if "firewall" in groups:
            before.update(inbound.paths(host, open_ports(host)) or {})
    except Exception as error:  # whatever it is: what can't be seen can't be kept
        groups, before = [], {}
        _refuse([item for item in items if item.resource.guard], error)
    if "files" in groups:  # first: services are started with them
        groups.remove("files")
        enforce_guarded("files", [item for item in items if item.resource.guard == "files"], host, before)
    for item in [item for item in items if item.resource.guard is None]:
        item.look_again_if_unread(host)
        if item.status == "":
            _apply(item, host)
        if item.status == "":
            item.settle(host)
    _run_later(host, items)
    if groups and any(item.changed for item in items):
        # What could not be asked may be asked now: sshd says nothing while a host key is open to others.
        guard.forget_sshd(host)
        try:
            paths = guard.access_paths(host, before)
        except Exception as error:
            _refuse([item for item in items if item.resource.guard in groups], error)
            return
        paths.update(before)
        before = paths
    for group in groups:
        enforce_guarded(group, [item for item in items if item.resource.guard == group], host, before)


def _refuse(items, error):
    # type: (List[Evaluation], Exception) -> None
    """End controls whose change could not be proven to keep the access paths."""
    for item in items:
        if item.status == "":
            reason = "refused: which access paths work can't be told, so none can be proven to stay: %s" % error
            item.end("fail", "%s; %s" % (described(item.differences), reason))


def _disturbed(items, host):
    # type: (List[Evaluation], Host) -> List[Evaluation]
    """Controls that passed and no longer do because another one was enforced: ip_forward resets what was set for redirects, say."""
    if not any(item.changed for item in items):
        return []
    result = []
    for item in items:
        if item.status in ("pass", "changed"):
            item.status = ""
            item.look(host)
            if item.status == "":
                result.append(item)
            elif item.status == "pass" and item.changed:
                item.status = "changed"
    return result


def _failed_too_early(items, host):
    # type: (List[Evaluation], Host) -> List[Evaluation]
    """Controls whose change may work now that the others pass: a service starts once the files are there that it reads."""
    result = []
    for item in items:
        if item.resource.may_depend and item.status in OPEN and item.found is not None:
            item.end("")
            item.look(host)
            if item.status == "":
                result.append(item)
    return result


def _apply(item, host):
    # type: (Evaluation, Host) -> None
    """Change the host for one control; a failure, whatever it is, undoes what was half done and is this control's only."""
    mark = host.system.mark()
    try:
        if item.found is not None:
            item.resource.apply(host, item.state, item.found)
        return
    except HostError as error:
        reason = "%s" % error
    except Exception as error:
        reason = _unexpected("changing", error)
    left = undo(lambda: host.system.restore(mark))
    item.end("fail", "; ".join([described(item.differences), reason] + left))


def _unexpected(doing, error):
    # type: (str, Exception) -> str
    """The reason of a control that tripped over something that nobody thought of."""
    return "%s it ended with %s: %s" % (doing, type(error).__name__, error)


def _run_later(host, items):
    # type: (Host, List[Evaluation]) -> None
    """Restart and reload what was asked for, each once."""
    pending, host.after = host.after, []
    for verb, unit in pending:
        done = host.system.run(["systemctl", verb] + ([unit] if unit else []), timeout=60)
        if verb == "reload" and "not applicable" in done.output:
            # The unit does not say how; it is by this signal that daemons have read their files again since before systemd.
            done = host.system.run(["systemctl", "kill", "--kill-who=main", "--signal=HUP", unit])
        if done.code == 0 or any(words in done.output for words in NOT_RUNNING):
            continue
        for item in items:
            if unit in listed(item.state.get(verb)):
                item.end("fail", "was written, but systemctl %s %s failed: %s" % (verb, unit, done.output))


def enforce_guarded(group, items, host, before):
    # type: (str, List[Evaluation], Host, Dict[str, bool]) -> None
    """Change everything of one group, have it checked, prove that every access path still works, else undo all of it.

    After an undo the halves are tried one after the other, so that one bad control does not keep the good ones out.
    """
    refused = guard.refusal(group, before)
    if refused:
        for item in items:
            if not item.unread:
                item.end("fail", "%s; %s" % (described(item.differences), refused))
        return
    mark = host.system.mark()
    _apply_all(group, items, host)
    problem = _problem(group, host, before)
    if problem is None:
        for item in items:
            if item.status == "":
                item.settle(host)
        return
    left = _undo(group, host, mark, before)
    if left:  # on top of what is left nothing more can be proven
        _end_all(items, host, "undone in part only (%s), because %s" % ("; ".join(left), problem))
        return
    if len(items) > 1:
        for item in items:
            item.end("")
        half = len(items) // 2
        enforce_guarded(group, items[:half], host, before)
        enforce_guarded(group, items[half:], host, before)
        return
    _end_all(items, host, "undone, because %s" % problem)


def _end_all(items, host, why):
    # type: (List[Evaluation], Host, str) -> None
    """End controls whose change was undone; one that failed by itself keeps its reason."""
    for item in items:
        if item.found is None:  # it could not be read, so nothing was changed for it
            item.look(host)
        else:
            own = item.reason if item.status == "fail" else described(item.differences)
            item.end("fail", "%s; %s" % (own, why))


def _apply_all(group, items, host):
    # type: (str, List[Evaluation], Host) -> None
    for item in items:
        item.look_again_if_unread(host)
        if group != "sshd" and item.status == "":
            # What another control has just changed is seen as it is now. (Asking sshd each time would take long.)
            item.look(host)
        if item.status == "":
            _apply(item, host)


def _undo(group, host, mark, before):
    # type: (str, Host, int, Dict[str, bool]) -> List[str]
    """Restore files and what runs with them; answers what could not be undone."""
    steps = [lambda: host.system.restore(mark)]  # type: List[Callable[[], Optional[List[str]]]]
    if group == "firewall" and host.unproven:
        steps.append(lambda: firewall.restore(host))
    if group == "sshd":
        steps.append(lambda: guard.restore_sshd(host, before))
    return undo(*steps)


def _problem(group, host, before):
    # type: (str, Host, Dict[str, bool]) -> Optional[str]
    """What the change has broken, or why that is not known; None if nothing."""
    try:
        return _proof(group, host, before)
    except Exception as error:
        return _unexpected("proving", error)


def _proof(group, host, before):
    # type: (str, Host, Dict[str, bool]) -> Optional[str]
    """What the change has broken; None if nothing."""
    refused = guard.check(group, host)
    if refused:
        return refused
    guard.forget_sshd(host)
    if group == "sshd":
        try:
            sshd.reload(host)
        except HostError as error:
            return "%s" % error
    after = guard.access_paths(host, before)
    # Only a packet filter can close what others reach. Where it can't be tried now, it counts as it was.
    tried = inbound.paths(host, open_ports(host)) if group == "firewall" else None
    after.update(tried or {name: works for name, works in before.items() if name.endswith(inbound.SUFFIX)})
    lost = guard.lost(before, after)
    return "it would have cut: %s" % ", ".join(lost) if lost else None
