"""What the lab does of Elastic Load Balancing; everything else is refused, so that nothing is recorded that does not happen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.acm.models import acm_backends
from moto.elbv2.exceptions import ELBClientError, ValidationError

TARGET_GROUP_ATTRIBUTES: dict[str, Iterable[str] | None] = {
    "deregistration_delay.timeout_seconds": None,
    "stickiness.enabled": ("true", "false"),
    "stickiness.type": ("lb_cookie",),
    "stickiness.lb_cookie.duration_seconds": None,
    "load_balancing.algorithm.type": ("round_robin", "least_outstanding_requests"),
    "load_balancing.algorithm.anomaly_mitigation": ("off",),
    "load_balancing.cross_zone.enabled": ("true", "use_load_balancer_configuration"),
    "slow_start.duration_seconds": ("0",),
}
"""Attribute → values that are possible, None for any that ELB takes."""

LOAD_BALANCER_ATTRIBUTES: dict[str, Iterable[str] | None] = {
    "deletion_protection.enabled": ("true", "false"),
    "idle_timeout.timeout_seconds": None,
    "routing.http.xff_header_processing.mode": ("append", "preserve", "remove"),
    "routing.http2.enabled": ("true",),
    "routing.http.preserve_host_header.enabled": ("true", "false"),
    "routing.http.desync_mitigation_mode": ("defensive",),
    "routing.http.drop_invalid_header_fields.enabled": ("true", "false"),
    "load_balancing.cross_zone.enabled": ("true",),
    "access_logs.s3.enabled": ("false",),
    "access_logs.s3.bucket": None,
    "access_logs.s3.prefix": None,
    "connection_logs.s3.enabled": ("false",),
    "ipv6.deny_all_igw_traffic": ("false",),
    "waf.fail_open.enabled": ("false",),
    "zonal_shift.config.enabled": ("false",),
}

CONDITIONS = ("path-pattern", "host-header", "http-header", "http-request-method", "source-ip")


class RefusedError(ELBClientError):
    """What the lab can't do faithfully."""

    def __init__(self, message: str) -> None:
        super().__init__("OperationNotPermitted", f"Not possible in the lab: {message}")


def check_load_balancer(
    ec2: Any, name: str, security_groups: list[str], subnet_ids: list[str], kwargs: dict[str, Any]
) -> None:
    if (kwargs.get("loadbalancer_type") or "application") != "application":
        raise RefusedError("network and gateway load balancers; create one of type application.")
    if kwargs.get("ip_address_type", "ipv4") != "ipv4":
        raise RefusedError("IPv6 (the lab's wire is IPv4).")
    if kwargs.get("subnet_mappings"):
        raise RefusedError("subnet mappings; name the subnets.")
    zones = [ec2.get_subnet(subnet_id).availability_zone for subnet_id in subnet_ids]
    if len(set(zones)) < len(zones):
        raise ELBClientError(
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        )
    if len(zones) < 2:
        raise ValidationError("At least two subnets in two different Availability Zones must be specified")
    for group in security_groups:
        if ec2.get_security_group_from_id(group) is None:
            raise ELBClientError("InvalidSecurityGroup", f"Security group '{group}' does not exist")


def check_load_balancer_attributes(attributes: dict[str, Any]) -> None:
    _check_attributes("load balancer", attributes, LOAD_BALANCER_ATTRIBUTES)


def check_target_group_attributes(attributes: dict[str, Any]) -> None:
    _check_attributes("target group", attributes, TARGET_GROUP_ATTRIBUTES)


def _check_attributes(what: str, attributes: dict[str, Any], possible: dict[str, Iterable[str] | None]) -> None:
    for name, value in attributes.items():
        if name not in possible:
            raise RefusedError(f"the {what} attribute {name}.")
        values = possible[name]
        if values is not None and str(value) not in values:
            raise RefusedError(f"{what} attribute {name}={value}; it takes {' or '.join(values)}.")


def check_target_group(kwargs: dict[str, Any]) -> None:
    if kwargs.get("target_type") not in (None, "instance", "ip"):
        raise RefusedError(f"target groups of type {kwargs['target_type']}; instance and ip are.")
    if kwargs.get("protocol") not in ("HTTP", "HTTPS"):
        raise RefusedError(f"target groups with protocol {kwargs.get('protocol')}; HTTP and HTTPS are.")
    if kwargs.get("protocol_version") not in (None, "HTTP1"):
        raise RefusedError(f"protocol version {kwargs['protocol_version']}; HTTP1 is.")
    interval = kwargs.get("healthcheck_interval_seconds")
    if interval is not None and not 5 <= int(interval) <= 300:
        raise ValidationError("Health check interval must be between 5 and 300 seconds")


def check_listener(account_id: str, region: str, protocol: str | None, certificate: str | None) -> None:
    if protocol == "HTTPS":
        if not certificate:
            raise ELBClientError("CertificateNotFound", "A certificate must be specified for HTTPS listeners")
        certificate_pem(account_id, region, certificate)


def certificate_pem(account_id: str, region: str, arn: str) -> str:
    """Certificate, chain and private key of an ACM certificate that was imported; the lab has no key for others."""
    found = acm_backends[account_id][region]._certificates.get(arn)
    if found is None:
        raise ELBClientError("CertificateNotFound", f"Certificate '{arn}' not found")
    if not found.key:
        raise RefusedError(
            f"HTTPS with certificate {arn}: the lab has no private key of it. Import one (ImportCertificate)."
        )
    return "\n".join(part.decode().strip() for part in (found.cert, found.chain, found.key) if part) + "\n"


def check_action(action: dict[str, Any]) -> None:
    if action["Type"] not in ("forward", "fixed-response", "redirect"):
        raise RefusedError(f"the action {action['Type']}; forward, fixed-response and redirect are.")
    config = action.get("ForwardConfig") or {}
    sticky = (config.get("TargetGroupStickinessConfig") or {}).get("Enabled")
    if sticky in (True, "true"):
        raise RefusedError("stickiness to a target group of a weighted rule (the stickiness of a group itself is).")


def check_condition(condition: dict[str, Any]) -> None:
    if condition.get("Field") not in CONDITIONS:
        raise RefusedError(f"the rule condition {condition.get('Field')}; these are: {', '.join(CONDITIONS)}.")
