"""Systems Manager on real machines: `install` puts the lab's records and handlers in moto's place.

The server calls `install` before it seeds the account, and gives the routes that it returns to the gate
(`Gate(app, settings, routes=...)`): they are the calls of agents, which moto does not have.
"""

from __future__ import annotations

from collections.abc import Mapping

from moto.ec2.models import ec2_backends
from moto.ssm import urls
from moto.ssm.models import ssm_backends

from lab import reconcile
from lab.cloud import auth_sts, ssm_backend
from lab.cloud.auth import WsgiApp
from lab.cloud.ssm_backend import GONE
from lab.cloud.ssm_center import Center
from lab.cloud.ssm_messages import AgentApi
from lab.cloud.ssm_responses import LabSsmResponse
from lab.settings import ACCOUNT_ID


def install() -> Mapping[tuple[str, str], WsgiApp]:
    """Routes by service and action (`*` for every action of the service)."""
    if any(account for account in ssm_backends.values()):
        raise RuntimeError("lab.cloud.ssm.install came after the first SSM record")
    ssm_backend.install()
    auth_sts.install()
    urls.url_paths["{0}/$"] = LabSsmResponse.dispatch
    agents = AgentApi(center, instance_exists)
    return {("ec2messages", "*"): agents, ("ssm", "UpdateInstanceInformation"): agents}


def center(region: str) -> Center:
    """The Run Command of a region."""
    return ssm_backends[ACCOUNT_ID][region].center


def instance_exists(region: str, instance_id: str) -> bool:
    with reconcile.lock:
        return any(
            i.id == instance_id and i.state not in GONE for i in ec2_backends[ACCOUNT_ID][region].all_instances()
        )
