#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Begin, journal and end a rolling operation over an Auto Scaling group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_operation
short_description: Begin, journal and end a rolling operation over an Auto Scaling group
version_added: 0.1.0
description:
  - C(begin) proves that the fleet keeps serving at every step, plans the steps zone by zone, writes the journal to Parameter Store and
    suspends AZRebalance. The same unfinished operation is resumed; another one is refused.
  - C(mark) notes where a host stands.
  - C(stop) and C(finish) resume AZRebalance and close the journal. C(finish) fails while a host is still in Standby.
  - Runs on the control node.
options:
  name:
    description: Name of the Auto Scaling group.
    type: str
    required: true
  state:
    description: What to do.
    type: str
    choices: [begin, mark, stop, finish]
    required: true
  journal:
    description: Name of the journal's parameter.
    type: str
    required: true
  operation:
    description: What is done, such as C(roll) or C(patch). Required by C(begin).
    type: str
  subject:
    description: What it is done with, such as the version. Required by C(begin).
    type: str
  batch_size:
    description: How many hosts are out at a time, at most.
    type: int
    default: 1
  work_seconds:
    description: How long the work on a host that is out may take. Part of the worst case that is printed.
    type: int
    default: 300
  force:
    description: Begin although another operation did not finish.
    type: bool
    default: false
  instance_id:
    description: The host to C(mark).
    type: str
  host_state:
    description: Where the host stands.
    type: str
    choices: [out, done]
  message:
    description: Why the operation stopped.
    type: str
    default: ""
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Plan the roll
  ecommerce.fleet.fleet_operation:
    name: ecommerce-web-prod-al2023
    state: begin
    journal: /fleet/ecommerce-web/prod/al2023/operation
    operation: roll
    subject: "2.4.1"
"""

RETURN = r"""
plan:
  description: The plan in lines for a person.
  returned: when O(state=begin)
  type: list
  elements: str
batches:
  description: Instance ids by step.
  returned: when O(state=begin)
  type: list
  elements: list
journal:
  description: The journal as it was written.
  returned: success
  type: dict
"""

import dataclasses
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils import fleet_journal
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_aws import FleetApi
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_plan import PlanError, describe_plan, make_plan

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule reports the missing library
    BotoCoreError = ClientError = Exception  # type: ignore[misc,assignment]


class JournalStore:
    """The journal's parameter."""

    def __init__(self, ssm: Any, name: str) -> None:
        self._ssm = ssm
        self._name = name

    def read(self) -> fleet_journal.Journal | None:
        try:
            text = self._ssm.get_parameter(Name=self._name)["Parameter"]["Value"]
        except self._ssm.exceptions.ParameterNotFound:
            return None
        return fleet_journal.parse(text)

    def write(self, journal: fleet_journal.Journal) -> None:
        self._ssm.put_parameter(Name=self._name, Value=fleet_journal.render(journal), Type="String", Overwrite=True)


def begin(api: FleetApi, store: JournalStore, wanted: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    journal = fleet_journal.begin(store.read(), wanted["operation"], wanted["subject"], wanted["force"])
    fleet = api.read()
    plan = make_plan(
        fleet,
        batch_size=wanted["batch_size"],
        work_seconds=wanted["work_seconds"],
        done=[] if check_mode else journal.done,
    )
    if not check_mode:
        store.write(journal)
        api.hold_balance(True)
    lines = describe_plan(fleet, plan, f"{wanted['operation']} ({wanted['subject']})")
    return {
        "changed": True,
        "plan": lines,
        "batches": [list(b) for b in plan.batches],
        "zones": {h.instance_id: h.zone for h in fleet.hosts},
        "minimum": plan.minimum,
        "worst_case_seconds": plan.worst_case_seconds,
        "journal": dataclasses.asdict(journal),
    }


def change(api: FleetApi, store: JournalStore, wanted: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """mark, stop and finish: the journal must have been begun."""
    journal = store.read()
    if journal is None:
        if check_mode:
            return {"changed": True, "journal": {}}
        raise fleet_journal.JournalError("no operation was begun: there is no journal")
    if wanted["state"] == "mark":
        journal = fleet_journal.mark(journal, wanted["instance_id"], wanted["host_state"])
    elif wanted["state"] == "stop":
        journal = fleet_journal.close(journal, fleet_journal.STOPPED, wanted["message"])
    else:
        left = [h.instance_id for h in api.read().hosts if h.lifecycle != "InService"]
        if left and not check_mode:
            raise PlanError(
                f"not finished: {', '.join(left)} not in service. Run the same command again to put them back."
            )
        journal = fleet_journal.close(journal, fleet_journal.FINISHED)
    if not check_mode:
        store.write(journal)
        if wanted["state"] != "mark":
            api.hold_balance(False)
    return {"changed": True, "journal": dataclasses.asdict(journal)}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["begin", "mark", "stop", "finish"]},
            "journal": {"type": "str", "required": True},
            "operation": {"type": "str"},
            "subject": {"type": "str"},
            "batch_size": {"type": "int", "default": 1},
            "work_seconds": {"type": "int", "default": 300},
            "force": {"type": "bool", "default": False},
            "instance_id": {"type": "str"},
            "host_state": {"type": "str", "choices": ["out", "done"]},
            "message": {"type": "str", "default": ""},
        },
        required_if=[
            ("state", "begin", ["operation", "subject"]),
            ("state", "mark", ["instance_id", "host_state"]),
        ],
        supports_check_mode=True,
    )
    wanted = module.params
    api = FleetApi(module.client("autoscaling"), module.client("elbv2"), wanted["name"])
    store = JournalStore(module.client("ssm"), wanted["journal"])
    act = begin if wanted["state"] == "begin" else change
    try:
        result = act(api, store, wanted, module.check_mode)
    except (PlanError, fleet_journal.JournalError) as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"{wanted['state']} of the operation on {wanted['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
