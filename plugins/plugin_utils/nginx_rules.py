# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the role nginx: which values its variables may have, alone and together."""

from __future__ import annotations

import ipaddress
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils import nginx_snippets
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.role_values import outside_ranges, repeated
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.yaml_values import not_text

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
    # nginx's own limit.
    "connection_limit": (0, 65_535, "connections"),
    # Two files for each and some more: no process may have more than 1,048,576 (fs.nr_open).
    "worker_connections": (64, 523_776, "connections"),
    "shutdown_seconds": (0, 86400, "seconds"),
    "hsts_seconds": (0, 315_360_000, "seconds"),
    "micro_cache_seconds": (0, 3600, "seconds"),
    "static_seconds": (0, 315_360_000, "seconds"),
    "unavailable_retry_seconds": (1, 86400, "seconds"),
}
"""Variable → least, most, unit."""
REAL_IP = "name the load balancer's networks in nginx_real_ip_from, or [127.0.0.1/32] where clients reach this host without a load balancer"
LONGEST_BYTES = 3900
"""nginx refuses a parameter above 4096 bytes; the role adds some text of its own to some."""
LONGEST_SOCKET = 107
NAME = r"[a-z][a-z0-9_-]*"
HOST = (
    r"(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?"
)
SOCKET = r"(?:/[A-Za-z0-9._~@+-]+)+"
PREFIX = r"/(?:[A-Za-z0-9._~-]+/)*"
# Nothing that ends a word of nginx's configuration or changes the next character's meaning.
URL_PATH = r"/[^\s\x00-\x1f\x7f;{}\"'$\\]*"
PATH = URL_PATH + r"(?<!/)"
PLAIN = "without blanks, quotes, backslashes and any of ; { } $"
HASH_KEY = r"(?:\$[a-z][a-z0-9_]*)+"
HEADER = r"[A-Za-z0-9-]+"
VALUE = r"[^\"\x00-\x08\x0a-\x1f\x7f\\$]*"
NETWORK = r"[0-9A-Fa-f:.]+(?:/[0-9]+)?"
CLIENT_ADDRESS = {"$remote_addr", "$binary_remote_addr", "$realip_remote_addr"}
VARIABLES = frozenset(
    re.findall(
        r"\w+",
        """
        args binary_remote_addr connection connection_requests content_length content_type document_root document_uri host
        hostname https is_args msec pid proxy_protocol_addr proxy_protocol_port query_string realip_remote_addr realip_remote_port
        remote_addr remote_port remote_user request request_body request_filename request_id request_length request_method
        request_uri scheme server_addr server_name server_port server_protocol ssl_cipher ssl_client_fingerprint ssl_client_s_dn
        ssl_client_serial ssl_client_verify ssl_protocol ssl_server_name ssl_session_id uri proxy_add_x_forwarded_for time_iso8601
        client_scheme from_balancer
        """,
    )
)
"""What a hash_key may name: nginx's variables of a request (nginx, "Alphabetical index of variables") and two of the role's own."""
VARIABLES_BY_NAME = r"(arg|cookie|http)_[a-z0-9_]+"
HASHED_NAMES = r"[.-][0-9a-f]{8,64}\.[a-z0-9.]+$"
# What Python's and nginx's (PCRE) regular expressions don't have in common, and what ends or changes a text between double quotes.
NOT_ALLOWED = r"""\\[^\W_dDwWsSbB]|\\\\|\\$|\(\?(?!:|=|!|<=|<!|i\))|\[([.:=])(?:\\.|[^\]\\])*\1\]|["\x00-\x1f\x7f]"""
MOST_REPEATS = 10_000


def violations(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each value that is not allowed. `values`: the role's variables without their prefix."""
    parts = (_upstreams, _routes, _texts, _networks, _static, _tls, _ports, _redirect, _clients, _reload, _lengths)
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
            if not _is_server(server):
                yield (
                    f"{place} has the server {server!r}; it takes host:port or [IPv6 address]:port with a port from 1 to 65535, or "
                    f"unix:/path of up to {LONGEST_SOCKET} letters, digits and . _ ~ @ + -."
                )
        yield from _balance(upstream, place, values)
    for name in repeated(upstream["name"] for upstream in upstreams):
        yield f"nginx_upstreams has the name {name!r} more than once."
    for server in repeated(server for upstream in upstreams for server in upstream["servers"]):
        yield f"nginx_upstreams has the server {server!r} more than once; a server belongs to one upstream."


def _is_server(server: str) -> bool:
    """Whether nginx can read an address; whether a name can be resolved is the host's matter."""
    if server.startswith("unix:"):
        path = server.removeprefix("unix:")
        return len(path) <= LONGEST_SOCKET and re.fullmatch(SOCKET, path) is not None
    host, _colon, port = server.rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        return False
    try:
        if host.startswith("["):
            return host.endswith("]") and "%" not in host and bool(ipaddress.IPv6Address(host[1:-1]))
        # The resolver reads 3000 or 10.1 as an address, too.
        return (
            bool(ipaddress.IPv4Address(host))
            if re.search(r"(^|\.)[0-9]+\.?$", host)
            else re.fullmatch(HOST, host) is not None
        )
    except ValueError:
        return False


def _balance(upstream: Mapping[str, Any], place: str, values: Mapping[str, Any]) -> Iterator[str]:
    key = upstream.get("hash_key") or ""
    if upstream.get("balance") == "hash":
        named = set(re.findall(r"\$[a-z][a-z0-9_]*", key))
        known = {f"${name}" for name in VARIABLES} | {
            name for each in values["snippets"] for name in re.findall(r"\$\w+", each["content"])
        }
        unknown = sorted(name for name in named - known if not re.fullmatch(VARIABLES_BY_NAME, name[1:]))
        if not re.fullmatch(HASH_KEY, key) or unknown:
            what = (
                f"nginx has no variable {', '.join(unknown)}"
                if unknown
                else "with balance: hash it takes nginx variables"
            )
            yield f"{place} has the hash_key {key!r}; {what}. Allowed are such as $remote_addr, $request_uri, $cookie_NAME and $arg_NAME."
        elif named <= CLIENT_ADDRESS and not values["real_ip_from"]:
            yield f"{place} has the hash_key {key!r}, which is the load balancer's address and sends all clients to one server; {REAL_IP}."
    if upstream.get("balance") != "hash" and key:
        yield f"{place} has the hash_key {key!r}, which only balance: hash uses."
    health = upstream.get("health_path") or "/health"
    if not re.fullmatch(URL_PATH, health):
        yield f"{place} has the health_path {health!r}; it takes an absolute path {PLAIN}."


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
        if problem := not_text(value):
            yield f"nginx_security_headers: {name!r} is {problem}."
        elif not re.fullmatch(HEADER, name) or not re.fullmatch(VALUE, str(value)):
            yield f"nginx_security_headers has {name!r}: {value!r}; names take letters, digits and -, values no quotes, backslashes or $."
    if not re.fullmatch(r"[A-Za-z0-9_]+", values["sticky_cookie"]):
        yield f"nginx_sticky_cookie is {values['sticky_cookie']!r}; it takes letters, digits and _."
    if not re.fullmatch(PATH, values["drain_file"]):
        yield f"nginx_drain_file is {values['drain_file']!r}; it takes an absolute path {PLAIN}."
    for snippet in values["snippets"]:
        if not snippet["name"].isprintable():
            yield f"nginx_snippets has the name {snippet['name']!r}; it takes one line of text."
        try:
            nginx_snippets.directives(snippet["content"])
        except ValueError as error:
            yield f"nginx_snippets: {snippet['name']!r} can't be read: {error}; it takes directives, each with its ; or block."


def _networks(values: Mapping[str, Any]) -> Iterator[str]:
    for network in values["real_ip_from"]:
        try:
            parsed = ipaddress.ip_network(network)
        except ValueError as error:
            yield f"nginx_real_ip_from has {network!r}: {error}; it takes networks such as 10.0.0.0/22."
            continue
        if not re.fullmatch(NETWORK, network):
            yield f"nginx_real_ip_from has {network!r}; it takes an address, or one with a number of bits, such as 10.0.0.0/22."
        if parsed.prefixlen == 0:
            yield f"nginx_real_ip_from has {network!r}: anybody could lie about the client's address; name the load balancer's subnets."


def _static(values: Mapping[str, Any]) -> Iterator[str]:
    for item in values["static"]:
        if not re.fullmatch(PREFIX, item["prefix"]) or item["prefix"] == "/":
            yield f"nginx_static has the prefix {item['prefix']!r}; it takes one from / to / such as /assets/."
        if not re.fullmatch(PATH, item["directory"]):
            yield f"nginx_static has the directory {item['directory']!r}; it takes an absolute path without / at its end."
    for name, seconds in values["static_seconds_by_type"].items():
        if not re.fullmatch(r"[a-z]+/[a-z0-9.+*-]+", name) or not _is_seconds(seconds):
            yield f"nginx_static_seconds_by_type has {name!r}: {seconds!r}; it takes content types such as image/* and seconds."
    pattern = values["static_hashed_names"]
    error = _pattern_error(pattern)
    if error:
        yield f"nginx_static_hashed_names is {pattern!r}: {error}; it takes a regular expression such as {HASHED_NAMES}."


def _is_seconds(value: Any) -> bool:
    """Whether it is a whole number in the range, also as a text."""
    written = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return re.fullmatch("[0-9]{1,9}", written) is not None and int(written) <= RANGES["static_seconds"][1]


def _pattern_error(pattern: str) -> str:
    """Why nginx might not take a regular expression, in a text between double quotes; '' if it does."""
    strange = re.search(NOT_ALLOWED, pattern)
    if strange:
        return f"{strange[0]!r} is not allowed here"
    if math.prod(map(int, re.findall(r"\{(?:[0-9]*,)?([0-9]+),?\}", pattern))) > MOST_REPEATS:
        return "its numbers of repeats are too large"
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return ""


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


def _clients(values: Mapping[str, Any]) -> Iterator[str]:
    for name in ("rate_limit_per_second", "connection_limit"):
        if int(values[name]) and not values["real_ip_from"]:
            yield f"nginx_{name} is {values[name]}, but all clients behind a load balancer have its address and share one limit; {REAL_IP}."


def _reload(values: Mapping[str, Any]) -> Iterator[str]:
    least = int(values["upstream_read_seconds"])
    if 0 < int(values["shutdown_seconds"]) < least:
        yield (
            f"nginx_shutdown_seconds is {values['shutdown_seconds']}, but a request may take nginx_upstream_read_seconds, {least}, and "
            f"more, and a reload would cut it. Allowed are {least} and more, and 0 for no end."
        )


def _lengths(values: Mapping[str, Any]) -> Iterator[str]:
    for name in (
        "upstreams",
        "sticky_cookie",
        "drain_file",
        "security_headers",
        "static",
        "static_seconds_by_type",
        "static_hashed_names",
    ):
        for text in _texts_in(values[name]):
            if len(text.encode("utf-8", "surrogatepass")) > LONGEST_BYTES:
                yield f"nginx_{name} has {text[:20]!r}…, of {len(text)} characters; nginx takes up to {LONGEST_BYTES} bytes."


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _texts_in(each)
    else:
        yield str(value)
