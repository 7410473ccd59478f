"""HAProxy's configuration for a plan: a pure function of the plan and of where files lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lab.balancer.plan import Answer, Condition, Forward, Listener, Plan, Pool, Redirect, Rule, Server
from lab.errors import LabError

DRAWS = 1000
COOKIE = "AWSALB"
FETCHES = {"path": "path", "host": "req.hdr(host),field(1,:)", "method": "method", "source": "src"}


def render(plan: Plan, directory: Path, servers: Mapping[str, Sequence[Server]], cookie_key: str) -> str:
    """The whole file. `servers` are those that exist when it is read; later ones come through the runtime API."""
    lines = [
        "global",
        f"    stats socket {directory}/stats.sock mode 600 level admin expose-fd listeners",
        "    log stdout format raw local0",
        "    nbthread 1",
        "    hard-stop-after 300s",
        "defaults",
        "    mode http",
        "    log global",
        "    option httplog",
        "    option dontlog-normal",
        "    timeout connect 10s",
        f"    timeout client {plan.idle_seconds}s",
        f"    timeout server {plan.idle_seconds}s",
        f"    timeout http-request {plan.idle_seconds}s",
        f"    timeout http-keep-alive {plan.idle_seconds}s",
        "    retries 2",
        "    retry-on conn-failure",
        "    option redispatch 1",
    ]
    for listener in plan.listeners:
        lines += _frontend(plan, listener, directory)
    for pool in plan.pools:
        lines += _backend(plan, pool, servers.get(pool.name, ()), cookie_key)
    return "\n".join(lines) + "\n"


def server_line(pool: Pool, server: Server) -> str:
    """Address and options of a server, for the file and for `add server`."""
    return f"{server.address}:{server.port}" + (" ssl verify none" if pool.tls else "")


def body_file(directory: Path, answer: Answer) -> Path:
    return directory / f"body-{hashlib.sha256(answer.body.encode()).hexdigest()[:16]}"


def _frontend(plan: Plan, listener: Listener, directory: Path) -> Iterator[str]:
    bind = f"    bind {plan.address}:{listener.port}"
    if listener.certificate:
        bind += f" ssl crt {listener.certificate} ssl-min-ver {listener.tls_minimum} alpn h2,http/1.1"
    scheme = "https" if listener.certificate else "http"
    yield f"frontend port-{listener.port}"
    yield bind
    yield from _forwarded(plan, listener.port, scheme)
    for number, rule in enumerate(listener.rules):
        unless_found = "" if number == 0 else "!{ var(txn.rule) -m found } "
        condition = unless_found + " ".join(_acl(c) for c in rule.conditions)
        yield f"    http-request set-var(txn.rule) int({number})" + (f" if {condition}" if condition.strip() else "")
    yield f"    http-request set-var(txn.draw) rand({DRAWS})"
    for number, rule in enumerate(listener.rules):
        yield from _reply(number, rule, directory, scheme, listener.port)
    for number, rule in enumerate(listener.rules):
        if isinstance(rule.action, Forward):
            yield from _choose(number, rule.action)


def _forwarded(plan: Plan, port: int, scheme: str) -> Iterator[str]:
    """The headers that an application load balancer adds."""
    if plan.forwarded_for == "remove":
        yield "    http-request del-header X-Forwarded-For"
    elif plan.forwarded_for == "append":
        yield "    http-request set-var(txn.via) req.fhdr(X-Forwarded-For)"
        yield '    http-request set-header X-Forwarded-For "%[var(txn.via)], %[src]" if { var(txn.via) -m found }'
        yield "    http-request set-header X-Forwarded-For %[src] if !{ var(txn.via) -m found }"
    yield f"    http-request set-header X-Forwarded-Proto {scheme}"
    yield f"    http-request set-header X-Forwarded-Port {port}"
    yield "    http-request set-var(txn.trace) req.hdr(X-Amzn-Trace-Id)"
    fresh = "1-%[date,hex,bytes(8,8),lower]-%[uuid(4),regsub(-,,g),bytes(0,24)]"
    yield f"    http-request set-header X-Amzn-Trace-Id Root={fresh} if !{{ var(txn.trace) -m found }}"
    yield (
        f'    http-request set-header X-Amzn-Trace-Id "Self={fresh};%[var(txn.trace)]" if {{ var(txn.trace) -m found }}'
    )


def _acl(condition: Condition) -> str:
    fetch = f"req.fhdr({condition.header})" if condition.kind == "header" else FETCHES[condition.kind]
    if condition.kind == "source":
        return f"{{ {fetch} {' '.join(condition.values)} }}"
    if condition.kind == "method":
        return f"{{ {fetch} -m str {' '.join(map(_quoted, condition.values))} }}"
    flags = "-m reg" if condition.kind == "path" else "-m reg -i"
    return f"{{ {fetch} {flags} {' '.join(_quoted(_pattern(v)) for v in condition.values)} }}"


def _pattern(glob: str) -> str:
    """A regular expression that HAProxy and Python read alike, for `*` and `?`."""
    translated = {"*": ".*", "?": "."}
    return "^" + "".join(translated.get(c, c if c.isalnum() or c in "/_-" else f"\\{c}") for c in glob) + "$"


def _quoted(text: str) -> str:
    if any(c in text for c in "'\n\r"):
        raise LabError(
            f"A load balancer rule cannot be matched by HAProxy: {text!r}", hint="Avoid quotes and line breaks."
        )
    return f"'{text}'"


def _reply(number: int, rule: Rule, directory: Path, scheme: str, port: int) -> Iterator[str]:
    chosen = f"if {{ var(txn.rule) -m int {number} }}"
    if isinstance(rule.action, Answer):
        answer = rule.action
        content = (
            f"content-type {_quoted(answer.content_type)} file {body_file(directory, answer)}" if answer.body else ""
        )
        yield f"    http-request return status {answer.status} {content} {chosen}"
    elif isinstance(rule.action, Redirect):
        location = _quoted(_location(rule.action.location, scheme, port))
        yield f"    http-request redirect code {rule.action.status} location {location} {chosen}"


def _location(text: str, scheme: str, port: int) -> str:
    text = text.replace("%", "%%")
    for name, value in {
        "protocol": scheme,
        "host": "%[req.hdr(host),field(1,:)]",
        "port": str(port),
        "path": "%[path,bytes(1)]",
        "query": "%[query]",
    }.items():
        text = text.replace(f"#{{{name}}}", value)
    return text


def _choose(number: int, forward: Forward) -> Iterator[str]:
    """Weights as a random draw: the first pool takes the draws below its share, and so on."""
    total = sum(weight for _, weight in forward.pools)
    chosen = f"{{ var(txn.rule) -m int {number} }}"
    reached = 0
    for pool, weight in forward.pools:
        reached += weight
        if weight and reached == total:
            yield f"    use_backend {pool} if {chosen}"
        elif weight:
            yield f"    use_backend {pool} if {chosen} {{ var(txn.draw) -m int lt {reached * DRAWS // total} }}"


def _backend(plan: Plan, pool: Pool, servers: Sequence[Server], cookie_key: str) -> Iterator[str]:
    yield f"backend {pool.name}"
    yield f"    balance {pool.algorithm}"
    yield f"    source {plan.address}"
    if pool.sticky_seconds is not None:
        yield f"    cookie {COOKIE} insert indirect nocache dynamic maxidle {pool.sticky_seconds}"
        yield f"    dynamic-cookie-key {cookie_key}"
    for server in servers:
        disabled = " disabled" if server.state == "maint" else ""
        yield f"    server {server.name} {server_line(pool, server)}{disabled}"
