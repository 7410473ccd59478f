"""Addresses of machines and load balancers: all regions share one wire, and none is given twice."""

from __future__ import annotations

import ipaddress
from typing import Any

from moto.ec2.exceptions import EC2ClientError, InvalidInputError
from moto.ec2.models.subnets import Subnet

from lab.settings import GATEWAY, PREFIX_LENGTH

WIRE = ipaddress.IPv4Network(f"{GATEWAY}/{PREFIX_LENGTH}", strict=False)

_given: set[str] = {GATEWAY}
"""Every address that was ever given to a machine or a load balancer, in any region: there is one wire for all."""


def free_address(subnet: Any, owner: Any, next_address: Any) -> str:
    """The next address of the subnet that nothing on the wire has or had."""
    check_on_wire(subnet)
    while True:
        try:
            address = str(next_address(subnet, owner))
        except (StopIteration, RuntimeError):
            raise EC2ClientError(
                "InsufficientFreeAddressesInSubnet",
                f"The specified subnet does not have enough free addresses to satisfy the request: {subnet.id}",
            ) from None
        if address not in _given:
            _given.add(address)
            return address


def reserve_address(subnet: Any, address: str, owner: Any, reserve: Any) -> None:
    """The address that the caller chose, if it belongs to the subnet and nothing has it."""
    check_on_wire(subnet)
    if ipaddress.ip_address(address) not in subnet.cidr:
        raise EC2ClientError(
            "InvalidParameterValue", f"Address {address} does not fall within the subnet's address range"
        )
    if address in _given:
        raise EC2ClientError("InvalidIPAddress.InUse", f"Address {address} is in use.")
    reserve(subnet, address, owner)
    _given.add(address)


def check_on_wire(subnet: Any) -> None:
    if not subnet.cidr.subnet_of(WIRE):
        raise InvalidInputError(
            f"The lab's machines are on {WIRE}; subnet {subnet.id} ({subnet.cidr}) is outside of it."
        )


def mac_for(address: str) -> str:
    """The same for the same address, on every run: 0a:00 and the four bytes of the address."""
    return "0a:00:" + ":".join(f"{byte:02x}" for byte in ipaddress.ip_address(address).packed)


def install() -> None:
    """Every subnet of moto's gives out addresses by these rules."""
    next_address, reserve = Subnet.get_available_subnet_ip, Subnet.request_ip
    Subnet.get_available_subnet_ip = lambda self, instance: free_address(self, instance, next_address)
    Subnet.request_ip = lambda self, ip, instance: reserve_address(self, ip, instance, reserve)
