"""STS that issues what the gate accepts: `install` puts the lab's records in moto's place."""

from __future__ import annotations

from moto.sts.models import sts_backends

from lab.cloud.auth.records import LabSts
from lab.cloud.reconciler import require_no_records


def install() -> None:
    require_no_records(sts_backends)
    sts_backends.backend = LabSts
