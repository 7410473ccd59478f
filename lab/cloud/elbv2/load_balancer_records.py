"""Load balancers as records, and the target groups that their rules forward to."""

from __future__ import annotations

from typing import Any

from moto.elbv2.models import FakeLoadBalancer


class LabLoadBalancer(FakeLoadBalancer):
    """moto's record with the address that HAProxy listens on and the reason why it does not."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address = self.subnets[0].get_available_subnet_ip(self)
        self.state_reason: str | None = None
        self.attrs["idle_timeout.timeout_seconds"] = "60"
        self.attrs["routing.http.xff_header_processing.mode"] = "append"
        self.attrs["load_balancing.cross_zone.enabled"] = "true"

    @property
    def load_balancer_state(self) -> dict[str, str]:
        return {"Code": self.state, **({"Reason": self.state_reason} if self.state_reason else {})}


def groups_of(balancer: Any) -> set[str]:
    """ARNs of the target groups that a load balancer's rules forward to."""
    return {
        arn
        for listener in balancer.listeners.values()
        for rule in listener.rules.values()
        for action in rule.actions
        for arn, _ in forwards(action.data)
    }


def forwards(action: dict[str, Any]) -> list[tuple[str, int]]:
    """(target group ARN, weight) of a forward action, in either of its two spellings."""
    if action.get("Type") != "forward":
        return []
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    if groups:
        return [(g["TargetGroupArn"], int(g.get("Weight", 1))) for g in groups]
    return [(action["TargetGroupArn"], 1)] if action.get("TargetGroupArn") else []
