"""EC2 Instance Connect on the lab's machines: keys for their metadata, and the gate's route."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from moto.ec2.models import ec2_backends

from lab.cloud.auth.gate import WsgiApp
from lab.cloud.instance_connect.api import InstanceConnectApi
from lab.cloud.instance_connect.pushed_keys import PushedKeys
from lab.cloud.instance_connect.signer import Signer
from lab.cloud.reconciler import lock
from lab.settings import ACCOUNT_ID, Settings
from lab.standin.authority import authority


def install(settings: Settings) -> tuple[PushedKeys, Mapping[tuple[str, str], WsgiApp]]:
    """Returns the pushed keys, which the metadata service shows, and the routes by service and action."""
    signed_by = authority(settings.cache)
    keys = PushedKeys(cache(lambda region: Signer(signed_by, region)))
    return keys, {("ec2-instance-connect", "SendSSHPublicKey"): InstanceConnectApi(keys, _instances)}


def _instances(region: str) -> Mapping[str, Any]:
    with lock:
        reservations = list(ec2_backends[ACCOUNT_ID][region].reservations.values())
        return {instance.id: instance for reservation in reservations for instance in reservation.instances}
