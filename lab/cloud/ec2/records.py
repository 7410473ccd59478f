"""The EC2 records of one region: instances, images, addresses."""

from __future__ import annotations

from moto.ec2 import urls
from moto.ec2.models import EC2Backend

from lab.cloud.ec2.image_records import ImageRecords
from lab.cloud.ec2.instance_records import InstanceRecords


class LabEC2Backend(InstanceRecords, ImageRecords, EC2Backend):
    _url_module = urls
