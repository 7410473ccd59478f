# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps around the work on a host: beginning an operation, noting where it stands, closing it, moving a host. Control node only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .._aws.errors import AWS_ERRORS, UserError
from .._aws.restoring import undone_on_failure
from .._host.undo import undo
from . import journal
from .api import FleetApi
from .lock import Lock
from .plan import (
    Fleet,
    Host,
    Plan,
    PlanError,
    check_return,
    describe_hosts,
    describe_plan,
    make_plan,
    seconds_per_batch,
)

Result = dict[str, Any]
LAUNCH_SECONDS = 300
"""How long a host that is being launched may take until it is in service."""


def begin(api: FleetApi, store: journal.Store, lock: Lock, options: Mapping[str, Any], check_mode: bool) -> Result:
    """Plan the operation, hold the fleet, write the journal, suspend AZRebalance. ``options``: those of the module fleet_operation."""
    title = f"{options['operation']} ({options['subject']})"
    if check_mode:
        begun, fleet, plan = _planned(api, store.read(), options)
        return _begun(fleet, plan, title, begun)
    lock.acquire(title, _hold_seconds(api.read(), options), take_over=options["take_over"])
    with undone_on_failure(partial(_step, "ending the hold on the fleet", lock.release)):
        previous = store.read()
        begun, fleet, plan = _planned(api, previous, options)
        # Hosts that are there now must fit, before anything is changed.
        journal.render(dataclasses.replace(begun, hosts={h.instance_id: "standby" for h in fleet.hosts}))
        # Nothing was done yet: without the rest of the beginning there is nothing to resume, nor to refuse others for.
        unbegun = previous or journal.close(begun, journal.FINISHED)
        with undone_on_failure(partial(_step, "restoring the journal", lambda: store.write(unbegun))):
            store.write(begun)
            if not begun.rebalancing_off:
                with undone_on_failure(partial(_step, "resuming AZRebalance", api.resume_rebalancing)):
                    api.suspend_rebalancing()
    return _begun(fleet, plan, title, begun)


def _hold_seconds(fleet: Fleet, options: Mapping[str, Any]) -> float:
    """How long a run may not be heard of before another node takes it for dead: twice what a step may take."""
    return 2 * seconds_per_batch(fleet, options["work_seconds"])


def _planned(
    api: FleetApi, previous: journal.Journal | None, options: Mapping[str, Any]
) -> tuple[journal.Journal, Fleet, Plan]:
    begun = journal.begin(previous, options["operation"], options["subject"], options["force"])
    fleet = api.wait_settled(begun.taken)
    begun = journal.remember_rebalancing(begun, previous, "AZRebalance" in fleet.suspended)
    return begun, fleet, _plan(fleet, begun, options, adopt=options["force"])


def _plan(fleet: Fleet, known: journal.Journal, options: Mapping[str, Any], *, adopt: bool = False) -> Plan:
    return make_plan(
        fleet,
        batch_size=options["batch_size"],
        work_seconds=options["work_seconds"],
        done=known.done,
        own=known.taken,
        adopt=adopt,
    )


def _begun(fleet: Fleet, plan: Plan, title: str, known: journal.Journal) -> Result:
    return {
        "changed": True,
        "plan": describe_plan(fleet, plan, title),
        "batches": [list(batch) for batch in plan.batches],
        "zones": {host.instance_id: host.zone for host in fleet.hosts},
        "minimum": plan.minimum,
        "worst_case_seconds": plan.worst_case_seconds,
        "drain_seconds": fleet.drain_seconds,
        "healthy_seconds": fleet.healthy_seconds,
        "late_seconds": _late_seconds(fleet),
        "journal": dataclasses.asdict(known),
    }


def _late_seconds(fleet: Fleet) -> int:
    """How long hosts that were launched meanwhile may take until they serve."""
    return LAUNCH_SECONDS + fleet.healthy_seconds


def late(api: FleetApi, store: journal.Store, lock: Lock, options: Mapping[str, Any], check_mode: bool) -> Result:
    """Plan what is left once every planned host is done: hosts that were launched meanwhile, from an image with another release."""
    known = _read(store)
    fleet = api.read()
    if not check_mode:
        seconds = _late_seconds(fleet)
        lock.renew(seconds + _hold_seconds(fleet, options))
        if any(h.instance_id not in known.done for h in fleet.hosts if not h.leaving):
            fleet = api.wait_serving(seconds)
    plan = _plan(fleet, known, options)
    return {**_begun(fleet, plan, "late hosts", known), "changed": bool(plan.batches)}


def update(api: FleetApi, store: journal.Store, lock: Lock, options: Mapping[str, Any], check_mode: bool) -> Result:
    """mark, stop and finish: the journal must have been begun."""
    if check_mode and store.read() is None:
        return {"changed": True, "journal": {}}
    known, state = _read(store), options["state"]
    if state == "mark":
        known = journal.mark(known, options["instance_id"], options["host_state"])
    elif state == "stop":
        known = journal.stop(known, options["reason"])
    else:
        known = journal.close(known, journal.FINISHED)
    if state == "finish":
        check_complete(api.read(), known)
    if check_mode:
        return {"changed": True, "journal": dataclasses.asdict(known)}
    lock.renew(_hold_seconds(api.read(), options))
    if state == "mark":
        store.write(known)
        return {"changed": True, "journal": dataclasses.asdict(known)}
    # AZRebalance first: a run that is killed in between is resumed, and resumes it then.
    steps = [
        partial(_step, "writing the journal", lambda: store.write(known)),
        partial(_step, "ending the hold on the fleet", lock.release),
    ]
    if not known.rebalancing_off:
        steps.insert(0, partial(_step, "resuming AZRebalance", api.resume_rebalancing))
    if left := undo(*steps):
        raise UserError("; ".join(left))
    return {"changed": True, "journal": dataclasses.asdict(known)}


def _read(store: journal.Store) -> journal.Journal:
    known = store.read()
    if known is None:
        raise journal.JournalError("no operation was begun: there is no journal")
    return known


def _step(doing: str, step: Callable[[], None]) -> None:
    """A step of an undo, whose error says what was being done."""
    try:
        step()
    except Exception as error:
        raise UserError(f"{doing}: {error}") from error


def check_complete(fleet: Fleet, known: journal.Journal) -> None:
    """Raises PlanError unless every host of the group is done and serves; those that leave the group don't count."""
    members = [host for host in fleet.hosts if not host.leaving]
    out = [host for host in members if host.instance_id in known.hosts and host.lifecycle != "InService"]
    late_ones = [host for host in members if host.instance_id not in known.done and host not in out]
    problems = []
    if out:
        problems.append(f"not in service: {describe_hosts(out)}")
    if late_ones:
        problems.append(f"launched meanwhile, or never reached: {describe_hosts(late_ones)}")
    if problems:
        raise PlanError(
            f"{known.operation} ({known.subject}) is not finished; {'; '.join(problems)}. Run the same command again."
        )


def look_at_host(api: FleetApi, instance_id: str) -> Result:
    """Where the host stands, in words too: ``gone`` where it is no longer a member of the group, or about to leave it."""
    fleet = api.read()
    host = fleet.find(instance_id)
    others = [h for h in fleet.hosts if h.instance_id != instance_id and not h.leaving]
    return {
        "changed": False,
        "gone": host is None or host.leaving,
        "host": dataclasses.asdict(host) if host else None,
        "stands": _stands(host),
        "others": f"{sum(h.serving for h in others)} of {len(others)} other hosts serve",
    }


def _stands(host: Host | None) -> str:
    if host is None:
        return "no longer in the Auto Scaling group"
    if host.serving:
        return "in service"
    if host.lifecycle == "Standby":
        return "in Standby; nobody is served from it"
    return f"not served from ({describe_hosts([host])})" if host.leaving else f"not healthy ({describe_hosts([host])})"


def move_host(
    api: FleetApi, instance_id: str, state: str, wait_seconds: float | None = None, *, check_mode: bool = False
) -> Result:
    """Move the host to ``state`` (standby, in_service) if it is not there, and wait, by default as long as it may take."""
    fleet = api.read()
    host = fleet.host(instance_id)
    changed = _in_standby(host) != (state == "standby")
    if changed and state == "standby":
        check_return(fleet)
    if not check_mode:
        seconds = wait_seconds or (fleet.drain_seconds if state == "standby" else fleet.healthy_seconds)
        if changed:
            # It can't be moved on its way: neither back from EnteringStandby, nor away from Pending.
            api.wait_settled([instance_id])
            _move(api, instance_id, state)
        host = (api.wait_drained if state == "standby" else api.wait_in_service)(instance_id, seconds)
    return {"changed": changed, "host": dataclasses.asdict(host)}


def _move(api: FleetApi, instance_id: str, state: str) -> None:
    """A call whose answer was lost has moved the host all the same."""
    try:
        (api.enter_standby if state == "standby" else api.exit_standby)(instance_id)
    except AWS_ERRORS:
        if _in_standby(api.read().host(instance_id)) != (state == "standby"):
            raise


def _in_standby(host: Host) -> bool:
    return host.lifecycle in ("EnteringStandby", "Standby")
