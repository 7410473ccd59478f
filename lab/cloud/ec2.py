"""EC2 on real machines: `install` puts the lab's records and handlers in moto's place.

The server calls `install` before it makes the application and gives the parts that it returns to the Reconciler.
"""

from __future__ import annotations

from typing import Any

from moto.ec2 import urls
from moto.ec2.models import EC2Backend, ec2_backends

from lab.cloud import ec2_instances
from lab.cloud.ec2_images import ImageRecords
from lab.cloud.ec2_instances import InstanceRecords
from lab.cloud.ec2_machines import Machines
from lab.cloud.ec2_responses import LabEC2Response
from lab.cloud.ec2_storage import Images
from lab.images import ImageStore
from lab.reconcile import Part
from lab.settings import Settings


class LabEC2Backend(InstanceRecords, ImageRecords, EC2Backend):
    @property
    def _url_module(self) -> Any:
        return urls


def install(settings: Settings, store: ImageStore) -> list[Part]:
    """Returns the reconciler's parts for instances and images, in the order in which they have to run."""
    if any(account for account in ec2_backends.values()):
        raise RuntimeError("lab.cloud.ec2.install came after the first EC2 record")
    ec2_instances.install()
    ec2_backends.backend = LabEC2Backend
    LabEC2Response.machines_dir = settings.machines_dir
    urls.url_paths["{0}/"] = LabEC2Response.dispatch
    machines = Machines(settings, store)
    return [machines, Images(store, machines)]
