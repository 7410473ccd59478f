"""What Elastic Load Balancing requests do to the records of one region, within the lab's limits."""

from __future__ import annotations

from typing import Any

from moto.elbv2 import urls
from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    InvalidConfigurationRequest,
    LoadBalancerNotFoundError,
    TargetGroupNotFoundError,
)
from moto.elbv2.models import ELBv2Backend, FakeAction

from lab.cloud.elbv2 import limits
from lab.cloud.elbv2.limits import RefusedError


class LabELBv2Backend(ELBv2Backend):
    _url_module = urls

    def create_load_balancer(self, name: str, security_groups: list[str], subnet_ids: list[str], **kwargs: Any) -> Any:
        """A second request with the same settings gets the existing load balancer."""
        kwargs["scheme"] = kwargs.get("scheme") or "internet-facing"
        limits.check_load_balancer(self.ec2_backend, name, security_groups, subnet_ids, kwargs)
        for existing in self.load_balancers.values():
            if existing.name == name:
                same = {s.id for s in existing.subnets} == set(subnet_ids) and existing.scheme == kwargs["scheme"]
                if same and set(existing.security_groups) == set(security_groups):
                    return existing
                raise DuplicateLoadBalancerName
        return super().create_load_balancer(name, security_groups, subnet_ids, **kwargs)

    def describe_load_balancers(self, arns: list[str] | None, names: list[str] | None) -> list[Any]:
        """Unlike moto's this changes nothing: a load balancer becomes active when HAProxy runs."""
        balancers = list(self.load_balancers.values())
        if not arns and not names:
            return balancers
        chosen = [b for b in balancers if b.arn in (arns or []) or b.name in (names or [])]
        if len(chosen) < len(set(arns or [])) + len(set(names or [])):
            raise LoadBalancerNotFoundError
        return chosen

    def delete_load_balancer(self, arn: str) -> None:
        balancer = self.load_balancers.get(arn)
        if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
            raise InvalidConfigurationRequest(
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
            )
        super().delete_load_balancer(arn)

    def modify_load_balancer_attributes(self, arn: str, attrs: dict[str, Any]) -> dict[str, Any]:
        limits.check_load_balancer_attributes(attrs)
        return super().modify_load_balancer_attributes(arn, attrs)

    def set_ip_address_type(self, arn: str, ip_type: str) -> None:
        if ip_type != "ipv4":
            raise RefusedError("IPv6 (the lab's wire is IPv4).")
        super().set_ip_address_type(arn, ip_type)

    def create_target_group(self, name: str, **kwargs: Any) -> Any:
        limits.check_target_group(kwargs)
        group = super().create_target_group(name, **kwargs)
        group.health_check_path = group.health_check_path or "/"
        return group

    def modify_target_group_attributes(self, target_group_arn: str, attributes: dict[str, Any]) -> None:
        limits.check_target_group_attributes(attributes)
        super().modify_target_group_attributes(target_group_arn, attributes)

    def create_listener(self, *args: Any, **kwargs: Any) -> Any:
        protocol, certificate = kwargs["protocol"], kwargs["certificate"]
        limits.check_listener(self.account_id, self.region_name, protocol, certificate)
        balancer = self.load_balancers.get(kwargs["load_balancer_arn"])
        if balancer and any(str(other.port) == str(kwargs["port"]) for other in balancer.listeners.values()):
            raise DuplicateListenerError
        return super().create_listener(*args, **kwargs)

    def modify_listener(self, *args: Any, **kwargs: Any) -> Any:
        listener = super().modify_listener(*args, **kwargs)
        limits.check_listener(self.account_id, self.region_name, listener.protocol, listener.certificate)
        self._validate_actions(listener.default_actions)
        return listener

    def _validate_actions(self, actions: list[FakeAction]) -> None:
        super()._validate_actions(actions)
        for action in actions:
            limits.check_action(action.data)

    def _validate_conditions(self, conditions: list[dict[str, Any]]) -> None:
        super()._validate_conditions(conditions)
        for condition in conditions:
            limits.check_condition(condition)

    def describe_target_health(self, target_group_arn: str, targets: list[dict[str, Any]]) -> list[Any]:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError
        return [group.health_for(target, self.ec2_backend) for target in targets or group.known_targets()]
