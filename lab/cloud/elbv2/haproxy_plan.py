"""From load balancer records to HAProxy's plan and to health checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.balancer.health import Check
from lab.balancer.plan import Answer, Condition, Forward, Listener, Plan, Pool, Redirect, Rule
from lab.cloud.elbv2.limits import certificate_pem
from lab.cloud.elbv2.load_balancer_records import forwards, groups_of
from lab.cloud.elbv2.target_group_records import LabTargetGroup, Target

CONFIG_KEYS = {
    "path-pattern": "PathPatternConfig",
    "host-header": "HostHeaderConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "source-ip": "SourceIpConfig",
}
KINDS = {
    "path-pattern": "path",
    "host-header": "host",
    "http-header": "header",
    "http-request-method": "method",
    "source-ip": "source",
}


def plan_of(balancer: Any, backend: Any, certificates: Path) -> Plan:
    """`certificates` is the directory that PEM files of HTTPS listeners are written to."""
    mode = balancer.attrs.get("routing.http.xff_header_processing.mode", "append")
    return Plan(
        address=balancer.address,
        idle_seconds=int(balancer.attrs.get("idle_timeout.timeout_seconds", 60)),
        forwarded_for=mode,
        listeners=tuple(_listener(listener, backend, certificates) for listener in balancer.listeners.values()),
        pools=tuple(
            _pool(backend.target_groups[arn]) for arn in sorted(groups_of(balancer)) if arn in backend.target_groups
        ),
    )


def pool_name(arn: str) -> str:
    """A target group's name in HAProxy: its own name and the id in its ARN."""
    return "-".join(arn.rsplit("/", 2)[-2:])


def check_of(group: LabTargetGroup, address: str, target: Target) -> Check:
    own_port = group.health_check_port in (None, "traffic-port")
    return Check(
        address=address,
        port=target.port if own_port else int(group.health_check_port or 0),
        tls=group.health_check_protocol == "HTTPS",
        path=group.health_check_path or "/",
        codes=(group.matcher or {}).get("HttpCode") or "200",
        interval=float(group.health_check_interval_seconds),
        timeout=float(group.health_check_timeout_seconds),
        healthy_count=int(group.healthy_threshold_count),
        unhealthy_count=int(group.unhealthy_threshold_count),
    )


def _pool(group: LabTargetGroup) -> Pool:
    sticky = group.attributes.get("stickiness.enabled") == "true"
    seconds = int(group.attributes.get("stickiness.lb_cookie.duration_seconds", 86400))
    least = group.attributes.get("load_balancing.algorithm.type") == "least_outstanding_requests"
    return Pool(
        name=pool_name(group.arn),
        tls=group.protocol == "HTTPS",
        algorithm="leastconn" if least else "roundrobin",
        sticky_seconds=seconds if sticky else None,
    )


def _listener(listener: Any, backend: Any, certificates: Path) -> Listener:
    pem: Path | None = None
    if listener.protocol == "HTTPS":
        pem = certificates / f"{listener.arn.rsplit('/', 1)[-1]}.pem"
        content = certificate_pem(backend.account_id, backend.region_name, listener.certificate)
        if not pem.exists() or pem.read_text() != content:
            pem.parent.mkdir(parents=True, exist_ok=True)
            pem.touch(mode=0o600)
            pem.write_text(content)
    rules = sorted((r for r in listener.rules.values() if not r.is_default), key=lambda rule: int(rule.priority))
    default = [rule for rule in listener.rules.values() if rule.is_default]
    return Listener(
        port=int(listener.port),
        certificate=pem,
        tls_minimum="TLSv1.3" if "TLS13-1-3" in (listener.ssl_policy or "") else "TLSv1.2",
        rules=tuple(_rule(rule, listener) for rule in [*rules, *default]),
    )


def _rule(rule: Any, listener: Any) -> Rule:
    action = rule.actions[-1].data
    conditions = tuple(_condition(c) for c in rule.conditions)
    if action["Type"] == "forward":
        return Rule(conditions, Forward(tuple((pool_name(arn), weight) for arn, weight in forwards(action))))
    if action["Type"] == "fixed-response":
        fixed = action["FixedResponseConfig"]
        content_type = fixed.get("ContentType") or "text/plain"
        return Rule(conditions, Answer(int(fixed["StatusCode"]), content_type, fixed.get("MessageBody") or ""))
    return Rule(conditions, _redirect(action["RedirectConfig"], listener))


def _redirect(config: dict[str, Any], listener: Any) -> Redirect:
    protocol = (config.get("Protocol") or "#{protocol}").lower()
    host, port = config.get("Host") or "#{host}", config.get("Port") or "#{port}"
    path, query = config.get("Path") or "/#{path}", config.get("Query", "#{query}")
    location = f"{protocol}://{host}:{port}{path}" + (f"?{query}" if query else "")
    return Redirect(301 if config["StatusCode"] == "HTTP_301" else 302, location)


def _condition(condition: dict[str, Any]) -> Condition:
    field = condition["Field"]
    config = condition.get(CONFIG_KEYS[field]) or {}
    values = tuple(config.get("Values") or condition.get("Values") or ())
    return Condition(KINDS[field], values, config.get("HttpHeaderName", ""))  # type: ignore[arg-type]
