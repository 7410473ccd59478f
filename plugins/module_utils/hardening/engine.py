"""Evaluates controls on a host: reads, compares, and where asked makes it so. The answer is one result per control."""

from __future__ import absolute_import, division, print_function

from . import guard
from .applies import why_not
from .registry import TYPES
from .resources.base import NotApplicableError, listed
from .resources.software import show_units
from .system import HardeningError

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional  # noqa: F401

    from .compare import Difference  # noqa: F401
    from .host import Host  # noqa: F401
    from .resources.base import Found  # noqa: F401

STATUSES = ("pass", "changed", "fail", "not_applicable", "excepted", "not_applied_here")
EVIDENCE_LIMIT = 12
NOT_RUNNING = ("not loaded", "not found", "not active", "inactive", "No main process")
"""What systemctl says of a unit that will read its files when it starts."""


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
        return self.status == "fail" and self.found is None

    def look(self, host):
        # type: (Host) -> None
        """Read and compare; ends the control where there is nothing to do."""
        try:
            self.found = self.resource.read(host, self.state)
            self.differences = self.resource.diff(self.state, self.found)
        except NotApplicableError as reason:
            return self.end("not_applicable", "%s" % reason)
        except HardeningError as error:
            return self.end("fail", "%s" % error)
        beyond = self.found.beyond
        if not self.differences:
            self.end("pass")
        elif all(what in beyond for what, _wanted, _value in self.differences):
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
        self.status, self.changed = "", True
        self.look(host)
        if self.status == "pass":
            self.status = "changed"
        elif self.status == "":
            self.end("fail", "was set, but does not hold: " + described(self.differences))

    def result(self):
        # type: () -> Dict[str, Any]
        return {
            "id": self.control["id"],
            "status": self.status,
            "changed": self.changed,
            "reason": self.reason,
            "evidence": evidence(self.found, self.differences),
        }


def described(differences):
    # type: (List[Difference]) -> str
    return "; ".join("%s is %s, wanted %s" % (what, value, wanted) for what, wanted, value in differences)


def evidence(found, differences):
    # type: (Optional[Found], List[Difference]) -> List[str]
    """What was found, what differs first, each with what is wanted."""
    if found is None:
        return []
    if not found.values and not differences:
        return ["nothing of the kind was found"]
    lines = ["%s: %s (wanted: %s)" % (what, value, wanted) for what, wanted, value in differences]
    wrong = {what for what, _wanted, _value in differences}
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
    # What could not be read may be readable once other controls hold: sshd says nothing while a host key is open to others.
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
    """The control with the state that holds for this release."""
    return dict(control, state=control.get("per_os", {}).get(release, control["state"]))


def _first_look(item, host, excepted):
    # type: (Evaluation, Host, Dict[str, str]) -> None
    try:
        reason = why_not(host, item.control.get("applies", {}))
    except HardeningError as error:
        return item.end("fail", "%s" % error)
    if reason is not None:
        return item.end("not_applicable", reason)
    item.look(host)
    if item.control["id"] in excepted and item.status in ("", "fail"):
        item.end("excepted", excepted[item.control["id"]])
    return None


def _enforce(items, host):
    # type: (List[Evaluation], Host) -> None
    groups = sorted({item.resource.guard for item in items if item.resource.guard})
    # Taken once, before any of them: what one group has cut is not forgotten when the next is proven.
    before = guard.ways_in(host) if groups else {}
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
        ways = guard.ways_in(host, before)
        ways.update(before)
        before = ways
    for group in groups:
        enforce_guarded(group, [item for item in items if item.resource.guard == group], host, before)


def _disturbed(items, host):
    # type: (List[Evaluation], Host) -> List[Evaluation]
    """Controls that held and do not any more because another one was enforced: ip_forward resets what was set for redirects, say."""
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
    """Controls whose change may work now that the others hold: a service starts once the files are there that it reads."""
    result = []
    for item in items:
        if item.resource.may_depend and item.status == "fail" and item.found is not None:
            item.end("")
            item.look(host)
            if item.status == "":
                result.append(item)
    return result


def _apply(item, host):
    # type: (Evaluation, Host) -> None
    """Change the host for one control; a failure undoes what was half done."""
    mark = host.system.mark()
    try:
        if item.found is not None:
            item.resource.apply(host, item.state, item.found)
    except HardeningError as error:
        host.system.restore(mark)
        item.end("fail", "%s; %s" % (described(item.differences), error))


def _run_later(host, items):
    # type: (Host, List[Evaluation]) -> None
    """Restart and reload what was asked for, each once."""
    pending, host.after = host.after, []
    for verb, unit in pending:
        done = host.system.run(["systemctl", verb] + ([unit] if unit else []), timeout=60)
        if verb == "reload" and "not applicable" in done.said:
            # The unit does not say how; it is by this signal that daemons have read their files again since before systemd.
            done = host.system.run(["systemctl", "kill", "--kill-who=main", "--signal=HUP", unit])
        if done.code == 0 or any(words in done.said for words in NOT_RUNNING):
            continue
        for item in items:
            if unit in listed(item.state.get(verb)):
                item.end("fail", "was written, but systemctl %s %s failed: %s" % (verb, unit, done.said))


def enforce_guarded(group, items, host, before):
    # type: (str, List[Evaluation], Host, Dict[str, bool]) -> None
    """Change everything of one group, have it checked, prove that every way in still works, else undo all of it.

    After an undo the halves are tried one after the other, so that one bad control does not keep the good ones out.
    """
    refused = guard.refusal(group, before)
    if refused:
        for item in items:
            item.end("fail", "%s; %s" % (described(item.differences), refused))
        return
    mark = host.system.mark()
    _apply_all(group, items, host)
    problem = _proof(group, host, before)
    if problem is None:
        for item in items:
            if item.status == "":
                item.settle(host)
        return
    host.system.restore(mark)
    guard.bring_back(group, host, before)
    if len(items) > 1:
        for item in items:
            item.end("")
        half = len(items) // 2
        enforce_guarded(group, items[:half], host, before)
        enforce_guarded(group, items[half:], host, before)
        return
    for item in items:
        item.end("fail", "%s; undone, because %s" % (described(item.differences), problem))


def _apply_all(group, items, host):
    # type: (str, List[Evaluation], Host) -> None
    for item in items:
        item.look_again_if_unread(host)
        if group != "sshd" and item.status == "":
            # What another control has just changed is seen as it is now. (Asking sshd each time would take long.)
            item.look(host)
        if item.status == "":
            _apply(item, host)


def _proof(group, host, before):
    # type: (str, Host, Dict[str, bool]) -> Optional[str]
    """What speaks against the change; None if nothing does."""
    refused = guard.check(group, host)
    if refused:
        return refused
    guard.forget_sshd(host)
    if group == "sshd":
        try:
            guard.reload_sshd(host)
        except HardeningError as error:
            return "%s" % error
    lost = guard.lost(before, guard.ways_in(host, before))
    return "it would have cut: %s" % ", ".join(lost) if lost else None
