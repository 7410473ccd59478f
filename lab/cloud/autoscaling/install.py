"""Auto Scaling that really keeps capacity: `install` puts the lab's records and handlers in moto's place."""

from __future__ import annotations

from moto.autoscaling import models, urls
from moto.autoscaling.models import autoscaling_backends

from lab.cloud.autoscaling.api import LabAutoScalingResponse
from lab.cloud.autoscaling.group_records import LabGroup
from lab.cloud.autoscaling.groups_part import Groups
from lab.cloud.autoscaling.records import LabAutoScalingBackend
from lab.cloud.reconciler import Part, require_no_records


def install() -> list[Part]:
    """Returns the reconciler's part for groups; it comes after those of EC2 and of load balancing."""
    require_no_records(autoscaling_backends)
    models.FakeAutoScalingGroup = LabGroup
    autoscaling_backends.backend = LabAutoScalingBackend
    urls.url_paths["{0}/$"] = LabAutoScalingResponse.dispatch
    return [Groups()]
