"""Systems Manager on the lab's machines: `install` puts the lab's records and handlers in moto's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from moto.ssm import models, urls
from moto.ssm.models import ssm_backends

from lab.cloud.auth.gate import WsgiApp
from lab.cloud.reconciler import require_no_records
from lab.cloud.ssm.agent_api import AgentApi
from lab.cloud.ssm.api import LabSsmResponse
from lab.cloud.ssm.parameter_records import LabParameter
from lab.cloud.ssm.records import LabDocument, LabSsmBackend
from lab.cloud.ssm.session_manager import SessionManager
from lab.machines.machine import Machine
from lab.settings import ACCOUNT_ID


def install() -> Mapping[tuple[str, str], WsgiApp]:
    """Returns the gate's routes for the calls of agents, which moto does not have: by service and action (`*` for every action)."""
    require_no_records(ssm_backends)
    models.Document = LabDocument
    models.Parameter = LabParameter
    ssm_backends.backend = LabSsmBackend
    urls.url_paths["{0}/$"] = LabSsmResponse.dispatch
    agents = AgentApi(lambda region: ssm_backends[ACCOUNT_ID][region])
    return {("ec2messages", "*"): agents, ("ssm", "UpdateInstanceInformation"): agents}


def start_sessions(machine_of: Callable[[str], Machine | None]) -> Callable[[], None]:
    """Session Manager begins to serve: `machine_of` gives the machine of an instance. Returns what ends it."""
    LabSsmBackend.manager = SessionManager(machine_of)
    return LabSsmBackend.manager.close
