"""Elastic Load Balancing requests: parameters that moto's handlers drop and the lab refuses."""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.elbv2.responses import ELBV2Response

from lab.cloud.elbv2.limits import RefusedError
from lab.cloud.reconciler import LockedRequests


class LabELBV2Response(LockedRequests, ELBV2Response):
    def create_listener(self) -> ActionResult:
        if (self._get_param("MutualAuthentication") or {}).get("Mode") not in (None, "off"):
            raise RefusedError("mutual TLS authentication of clients.")
        return super().create_listener()
