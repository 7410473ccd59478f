"""EC2 on the lab's machines: `install` puts the lab's records and handlers in moto's place."""

from __future__ import annotations

from moto.ec2 import urls
from moto.ec2 import utils as moto_utils
from moto.ec2.models import ec2_backends
from moto.ec2.models import instances as moto_instances

from lab.cloud.ec2 import addresses
from lab.cloud.ec2.api import LabEC2Response
from lab.cloud.ec2.images_part import Images
from lab.cloud.ec2.instance_records import EXTRA_FILTERS, LabInstance, matches_filter
from lab.cloud.ec2.machines_part import Machines
from lab.cloud.ec2.names_part import InstanceNames
from lab.cloud.ec2.records import LabEC2Backend
from lab.cloud.reconciler import Part, require_no_records
from lab.machines.images import ImageStore
from lab.network.hosts_file import HostsFile
from lab.settings import Settings


def install(settings: Settings, store: ImageStore, hosts: HostsFile) -> list[Part]:
    """Returns the reconciler's parts for instances, images and names, in the order in which they have to run."""
    require_no_records(ec2_backends)
    moto_instances.Instance = LabInstance
    moto_utils.filter_dict_attribute_mapping.update(EXTRA_FILTERS)
    moto_utils.instance_value_in_filter_values = matches_filter
    addresses.install()
    ec2_backends.backend = LabEC2Backend
    LabEC2Response.machines_dir = settings.machines_dir
    urls.url_paths["{0}/"] = LabEC2Response.dispatch
    machines = Machines(settings, store)
    return [machines, Images(store, machines), InstanceNames(hosts)]
