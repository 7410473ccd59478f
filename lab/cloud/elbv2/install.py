"""Elastic Load Balancing on HAProxy: `install` puts the lab's records and handlers in moto's place."""

from __future__ import annotations

from moto.elb import urls as elb_urls
from moto.elbv2 import models
from moto.elbv2.models import elbv2_backends

from lab.cloud.elbv2.api import LabELBV2Response
from lab.cloud.elbv2.balancers_part import Balancers
from lab.cloud.elbv2.load_balancer_records import LabLoadBalancer
from lab.cloud.elbv2.records import LabELBv2Backend
from lab.cloud.elbv2.target_group_records import LabTargetGroup
from lab.cloud.reconciler import Part, require_no_records
from lab.network.hosts_file import HostsFile
from lab.settings import Settings


def install(settings: Settings, hosts: HostsFile) -> list[Part]:
    """Returns the reconciler's part for load balancers, which enters their DNS names into the lab's hosts file."""
    require_no_records(elbv2_backends)
    models.FakeTargetGroup = LabTargetGroup
    models.FakeLoadBalancer = LabLoadBalancer
    elbv2_backends.backend = LabELBv2Backend
    elb_urls.ELBV2Response = LabELBV2Response
    return [Balancers(settings, hosts)]
