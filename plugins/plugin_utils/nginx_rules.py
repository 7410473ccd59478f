# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""The rules of the role nginx: which values its variables may have, alone and together."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils.role_values import outside_ranges, repeated

RANGES = {
    "port": (1, 65535, "ports"),
    "status_port": (1, 65535, "ports"),
    "tls_port": (0, 65535, "ports"),
    "upstream_connect_seconds": (1, 75, "seconds"),
    "upstream_read_seconds": (1, 3600, "seconds"),
    "upstream_send_seconds": (1, 3600, "seconds"),
    "upstream_keepalive_connections": (1, 65535, "connections"),
    "upstream_keepalive_seconds": (1, 3600, "seconds"),
    "upstream_max_fails": (0, 1000, "failures"),
    "upstream_fail_seconds": (1, 3600, "seconds"),
    "upstream_tries": (1, 100, "servers"),
    "websocket_idle_seconds": (1, 86400, "seconds"),
    "keepalive_seconds": (1, 3600, "seconds"),
    "body_max_mib": (1, 102_400, "MiB"),
    "header_max_kib": (4, 64, "KiB"),
    "header_seconds": (1, 3600, "seconds"),
    "body_seconds": (1, 3600, "seconds"),
    "send_seconds": (1, 3600, "seconds"),
    "rate_limit_per_second": (0, 1_000_000, "requests"),
    "rate_limit_burst": (0, 1_000_000, "requests"),
    "connection_limit": (0, 1_000_000, "connections"),
    "worker_connections": (64, 1_048_576, "connections"),
    "hsts_seconds": (0, 315_360_000, "seconds"),
    "micro_cache_seconds": (0, 3600, "seconds"),
    "static_seconds": (0, 315_360_000, "seconds"),
    "unavailable_retry_seconds": (1, 86400, "seconds"),
}
"""Variable → least, most, unit."""
NAME = r"[a-z][a-z0-9_-]*"
SERVER = r"(?:\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}|unix:/[^\s;{}]+"
PREFIX = r"/(?:[A-Za-z0-9._~-]+/)*"
PATH = r"(?:/[^\s;{}\"'$]+)+"
HASH_KEY = r"(?:\$[a-z][a-z0-9_]*)+"
HEADER = r"[A-Za-z0-9-]+"
VALUE = r"[^\"\n\r\\$]*"


def findings(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each value that is not allowed. `values`: the role's variables without their prefix."""
    parts = (_upstreams, _routes, _texts, _networks, _static, _tls, _ports, _redirect)
    return [*outside_ranges("nginx", RANGES, values), *(sentence for part in parts for sentence in part(values))]


def _upstreams(values: Mapping[str, Any]) -> Iterator[str]:
    upstreams = values["upstreams"]
    for upstream in upstreams:
        place = f"nginx_upstreams: {upstream['name']!r}"
        if not re.fullmatch(NAME, upstream["name"]):
            yield f"{place} is not a name; it takes a lower-case letter, then lower-case letters, digits, - and _."
        if not upstream["servers"]:
            yield f"{place} has no servers; it needs at least one."
        for server in upstream["servers"]:
            if not re.fullmatch(SERVER, server):
                yield f"{place} has the server {server!r}; it takes host:port or unix:/path."
        yield from _balance(upstream, place)
    for name in repeated(upstream["name"] for upstream in upstreams):
        yield f"nginx_upstreams has the name {name!r} more than once."
    for server in repeated(server for upstream in upstreams for server in upstream["servers"]):
        yield f"nginx_upstreams has the server {server!r} more than once; a server belongs to one upstream."


def _balance(upstream: Mapping[str, Any], place: str) -> Iterator[str]:
    key = upstream.get("hash_key") or ""
    if upstream.get("balance") == "hash" and not re.fullmatch(HASH_KEY, key):
        yield f"{place} has the hash_key {key!r}; with balance: hash it takes nginx variables such as $remote_addr or $request_uri."
    if upstream.get("balance") != "hash" and key:
        yield f"{place} has the hash_key {key!r}, which only balance: hash uses."
    health = upstream.get("health_path") or "/health"
    if not re.fullmatch(PATH, health):
        yield f"{place} has the health_path {health!r}; it takes an absolute path."


def _routes(values: Mapping[str, Any]) -> Iterator[str]:
    upstreams = values["upstreams"]
    for first in upstreams[:1]:
        if first.get("paths"):
            yield f"nginx_upstreams: {first['name']!r} is the first and gets every request that no other one takes; it has no paths."
    for upstream in upstreams[1:]:
        if not upstream.get("paths"):
            yield f"nginx_upstreams: {upstream['name']!r} would get no requests; give it paths such as [/api/]."
        for path in upstream.get("paths") or ():
            if not re.fullmatch(PREFIX, path) or path == "/":
                yield f"nginx_upstreams: {upstream['name']!r} has the path {path!r}; it takes a prefix from / to / such as /api/."
    prefixes = [path for upstream in upstreams for path in upstream.get("paths") or ()]
    for path in repeated([*prefixes, *(item["prefix"] for item in values["static"])]):
        yield f"The path {path!r} is in nginx_upstreams or nginx_static more than once."


def _texts(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values["security_headers"].items():
        if not re.fullmatch(HEADER, name) or not re.fullmatch(VALUE, str(value)):
            yield f"nginx_security_headers has {name!r}: {value!r}; names take letters, digits and -, values no quotes, backslashes or $."
    if not re.fullmatch(r"[A-Za-z0-9_]+", values["sticky_cookie"]):
        yield f"nginx_sticky_cookie is {values['sticky_cookie']!r}; it takes letters, digits and _."
    if not re.fullmatch(PATH, values["drain_file"]):
        yield f"nginx_drain_file is {values['drain_file']!r}; it takes an absolute path."


def _networks(values: Mapping[str, Any]) -> Iterator[str]:
    for network in values["real_ip_from"]:
        try:
            parsed = ipaddress.ip_network(network)
        except ValueError as error:
            yield f"nginx_real_ip_from has {network!r}: {error}; it takes networks such as 10.0.0.0/22."
            continue
        if parsed.prefixlen == 0:
            yield f"nginx_real_ip_from has {network!r}: anybody could lie about the client's address; name the load balancer's subnets."


def _static(values: Mapping[str, Any]) -> Iterator[str]:
    for item in values["static"]:
        if not re.fullmatch(PREFIX, item["prefix"]) or item["prefix"] == "/":
            yield f"nginx_static has the prefix {item['prefix']!r}; it takes one from / to / such as /assets/."
        if not re.fullmatch(PATH, item["directory"]) or item["directory"].endswith("/"):
            yield f"nginx_static has the directory {item['directory']!r}; it takes an absolute path without / at its end."
    for name, seconds in values["static_seconds_by_type"].items():
        if not re.fullmatch(r"[a-z]+/[a-z0-9.+*-]+", name) or not 0 <= int(seconds) <= RANGES["static_seconds"][1]:
            yield f"nginx_static_seconds_by_type has {name!r}: {seconds!r}; it takes content types such as image/* and seconds."
    pattern = values["static_hashed_names"]
    if re.search(r"[\"\n\r]", pattern):
        yield f"nginx_static_hashed_names is {pattern!r}; it takes a regular expression without double quotes."


def _tls(values: Mapping[str, Any]) -> Iterator[str]:
    pairs = {
        "nginx_tls_certificate_file and nginx_tls_key_file": ("tls_certificate_file", "tls_key_file"),
        "nginx_tls_certificate_pem and nginx_tls_key_pem": ("tls_certificate_pem", "tls_key_pem"),
    }
    given = [bool(values["tls_self_signed"])]
    for names, (certificate, key) in pairs.items():
        given.append(bool(values[certificate] or values[key]))
        if bool(values[certificate]) != bool(values[key]):
            yield f"Of {names} only one is given; they belong together."
    port = int(values["tls_port"])
    sources = f"{', '.join(pairs)} or nginx_tls_self_signed: true"
    if port and sum(given) != 1:
        yield f"nginx_tls_port is {port}, but {sum(given)} certificates are given; it takes exactly one of {sources}."
    if not port and any(given):
        yield "A certificate is given, but nginx_tls_port is 0; set it, to 443 for example."
    for name in ("tls_certificate_file", "tls_key_file"):
        if values[name] and not re.fullmatch(PATH, values[name]):
            yield f"nginx_{name} is {values[name]!r}; it takes an absolute path on the host."


def _ports(values: Mapping[str, Any]) -> Iterator[str]:
    own = [int(values[name]) for name in ("port", "status_port", "tls_port") if int(values[name])]
    local = [
        int(server.rpartition(":")[2])
        for upstream in values["upstreams"]
        for server in upstream["servers"]
        if re.fullmatch(r"(127\.0\.0\.1|localhost|\[::1\]):[0-9]+", server)
    ]
    for port in sorted(set(repeated(own)) | (set(own) & set(local))):
        yield f"Port {port} is used twice by nginx_port, nginx_status_port, nginx_tls_port and the servers of nginx_upstreams on this host."


def _redirect(values: Mapping[str, Any]) -> Iterator[str]:
    if values["https_redirect"] and not int(values["tls_port"]) and not values["real_ip_from"]:
        yield (
            "nginx_https_redirect is true, but nothing here could ever be HTTPS: set nginx_tls_port, or nginx_real_ip_from where a load "
            "balancer ends TLS; else every client is redirected for ever."
        )
