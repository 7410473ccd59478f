"""nginx itself accepts whatever the role's rules allow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import nginx_rules
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.real_nginx import Nginx

Render = Callable[..., str]
ROLE = Path(__file__).resolve().parents[2] / "roles/nginx"
TEMPLATE = "etc/nginx/nginx.conf.j2"
APP: dict[str, Any] = {"name": "app", "servers": ["127.0.0.1:3000"]}
STATIC = [{"prefix": "/assets/", "directory": "/srv/public"}]
NETWORK = {"real_ip_from": ["10.0.0.0/22"]}
DEFAULTS = {
    name.removeprefix("nginx_"): value
    for name, value in yaml.safe_load((ROLE / "defaults/main.yml").read_text()).items()
}
NO_SERVERS = (
    "127.0.0.1:0", "127.0.0.1:65536", "a:99999", "[::::]:80", "[fe80::1%eth0]:80", "[::1:80", "::1:80", "1.2.3.400:80", "3000:3000",
    "-a:80", "a..b:80", "unix:/" + "a" * 107, "unix:/a b",
)  # fmt: skip
NO_PATTERNS = (
    "[", "a\\", "a\\\\", "(a\\\\)", "[.x.]", "[[:alpha:]]", "(?P<uri>a)", "(?<uri>a)", "a**", "\\u0041", "(a{999}){999}", 'a"',
)  # fmt: skip
AS_IT_IS = {"tls_port"}
"""Numbers with conditions of their own."""


def violations(values: Mapping[str, Any]) -> list[str]:
    return nginx_rules.violations({**DEFAULTS, **values})


@pytest.fixture
def error(render: Render, tmp_path: Path) -> Any:
    nginx = Nginx(tmp_path)

    def ask(values: Mapping[str, Any]) -> str:
        return nginx.error(render("nginx", TEMPLATE, **{f"nginx_{name}": value for name, value in values.items()}))

    return ask


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("name", sorted(set(nginx_rules.RANGES) - AS_IT_IS))
def test_both_ends_of_every_range(error: Any, name: str, end: int) -> None:
    values = {
        "upstreams": [{**APP, "websocket": True}], "static": STATIC, "rate_limit_per_second": 10, "connection_limit": 10,
        **NETWORK, name: nginx_rules.RANGES[name][end],
    }  # fmt: skip
    if violations(values):
        values["upstreams"] = []
    assert violations(values) == []
    assert error(values) == ""


@pytest.mark.parametrize(
    "values",
    [
        {"rate_limit_per_second": 5, "rate_limit_burst": "0", **NETWORK},
        *({"upstreams": [{**APP, "name": name}], "rate_limit_per_second": 5, "connection_limit": 5, "micro_cache_seconds": 1, **NETWORK}
          for name in ("requests", "connections", "micro", "tls", "a" * 300)),
        {"upstreams": [{**APP, "servers": [f"127.0.0.1:{port}" for port in range(3000, 4000)]}]},
        {"upstreams": [{**APP, "servers": ["[fd00::1]:3000", "10.1.2.3:3000", "unix:/run/app-1@a.sock", "localhost:3001"]}]},
        {"upstreams": [{**APP, "health_path": "/"}]},
        {"static": STATIC, "static_seconds_by_type": {"a/**": "5", "image/svg+xml": 60, "text/x-a.b*": 0}},
        {"real_ip_from": ["10.0.0.5", "fd00::/8", "::ffff:10.0.0.0/104", "10.0.0.5"]},
        {"security_headers": {"X-A": "a\tb;{}'#é", "X-B": "", "X-C": "x" * 3800}},
    ],
)  # fmt: skip
def test_values_that_are_easily_refused(error: Any, values: dict[str, Any]) -> None:
    assert violations(values) == []
    assert error(values) == ""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"connection_limit": 65536, **NETWORK}, "nginx_connection_limit is 65536; allowed are 0 to 65535"),
        *(({"upstreams": [{**APP, "servers": [server]}]}, f"the server {server!r}; it takes host:port")
          for server in NO_SERVERS),
        ({"upstreams": [{**APP, "name": "a" * 5000}]}, "nginx_upstreams has 'aaaaaaaaaaaaaaaaaaaa'…, of 5000 characters"),
        ({"upstreams": [{**APP, "balance": "hash", "hash_key": "$uri$remote_adr"}]}, "nginx has no variable $remote_adr"),
        *(({"upstreams": [{**APP, "health_path": path}]}, "the health_path") for path in ("a", "/a\\", "/a\\;", "/a\x01", "/a b")),
        ({"drain_file": "/run/x\\"}, "nginx_drain_file is"),
        ({"drain_file": "/run/x/"}, "nginx_drain_file is"),
        ({"static": [{"prefix": "/a/", "directory": "/srv/x\\"}]}, "the directory"),
        *(({"static": STATIC, "static_hashed_names": pattern}, "nginx_static_hashed_names is")
          for pattern in NO_PATTERNS),
        ({"security_headers": {"X-A": "b" * 5000}}, "nginx_security_headers has 'bbbb"),
        ({"security_headers": {"X-A": "a\0"}}, "nginx_security_headers has 'X-A'"),
        *(({"real_ip_from": [network]}, f"nginx_real_ip_from has {network!r}")
          for network in ("10.0.0.0/255.255.252.0", "10.0.0.0/0.0.3.255", "fe80::%eth0/64")),
        ({"snippets": [{"name": "a\nb", "context": "http", "content": ""}]}, "nginx_snippets has the name 'a\\nb'"),
        ({"rate_limit_per_second": 5}, "nginx_rate_limit_per_second is 5, but all clients behind a load balancer"),
        ({"connection_limit": 5}, "in nginx_real_ip_from, or [127.0.0.1/32] where clients reach this host without"),
        ({"upstreams": [{**APP, "balance": "hash", "hash_key": "$binary_remote_addr"}]}, "sends all clients to one server"),
    ],
)  # fmt: skip
def test_what_nginx_would_refuse_or_misread_is_named_before(values: dict[str, Any], said: str) -> None:
    assert [sentence for sentence in violations(values) if said in sentence] != [], violations(values)


def test_nginx_knows_every_variable_that_a_hash_key_may_have(error: Any) -> None:
    names = [f"${name}" for name in sorted(nginx_rules.VARIABLES)]
    own = [{"name": "own", "context": "http", "content": "map $uri $mine { default 1; }"}]
    keys = ["".join(names), "$arg_a$cookie_b$http_x_c$mine"]
    for key in keys:
        values = {"upstreams": [{**APP, "balance": "hash", "hash_key": key}], "snippets": own}
        assert violations(values) == []
        assert error(values) == ""


def text(alphabet: str, most: int = 40) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(alphabet), max_size=most)


SOME = "ab/1:.-_[]{}()$;\\'\"# \t\néΩ*+?|^=@%,~\0\x7f"
upstream = st.fixed_dictionaries(
    {
        "name": st.from_regex(nginx_rules.NAME, fullmatch=True) | text(SOME, 5),
        "servers": st.lists(
            st.from_regex(r"(127\.0\.0\.[0-9]{1,3}|\[[0-9a-f:]{2,9}\]):[0-9]{1,5}", fullmatch=True)
            | st.ip_addresses(v=6).map(lambda address: f"[{address}]:3000")
            | text(SOME).map(lambda path: f"unix:/{path}"),
            min_size=1, max_size=3,
        ),
        "health_path": text(SOME).map(lambda path: f"/{path}"),
        "balance": st.sampled_from(["round_robin", "least_conn", "sticky"]),
        "websocket": st.booleans(),
    }
)  # fmt: skip
chosen = st.fixed_dictionaries(
    {},
    optional={
        "upstreams": st.lists(upstream, max_size=1),
        "drain_file": text(SOME).map(lambda path: f"/{path}"),
        "sticky_cookie": text("aZ_09-", 5),
        "security_headers": st.dictionaries(text("Xa-0", 5), text(SOME) | st.integers(), max_size=3),
        "real_ip_from": st.lists(st.ip_addresses().map(str) | text("0123./:abf%", 12), max_size=2),
        "static": st.lists(
            st.fixed_dictionaries(
                {"prefix": text("/a.~-_$", 8), "directory": text(SOME).map(lambda path: f"/{path}"), "log": st.booleans()}
            ),
            min_size=1, max_size=2,
        ),
        "static_seconds_by_type": st.dictionaries(text("a/*+.-1", 8), st.integers(0, 10), max_size=3),
        "micro_cache_seconds": st.integers(0, 2),
        "rate_limit_per_second": st.integers(0, 2),
        "rate_limit_burst": st.integers(0, 2),
    },
)  # fmt: skip


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])
@given(values=chosen)
def test_whatever_the_rules_allow(error: Any, values: dict[str, Any]) -> None:
    """A value that they refuse is left out, so that the others are tried."""
    allowed = {name: value for name, value in values.items() if violations({name: value, **NETWORK}) == []}
    allowed = {**NETWORK, **allowed}
    assume(violations(allowed) == [])
    assert error(allowed) == ""


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=text("a0-.[](){}?*+|^$\\:=!<i,9dwb'# é_/", 14))
def test_whatever_pattern_of_names_the_rules_allow(tmp_path: Path, pattern: str) -> None:
    assume(violations({"static_hashed_names": pattern}) == [])
    start = f'events {{}} http {{ map $uri $a {{ "~{pattern}" 1; }} }}'
    assert re.sub(f"^.*{tmp_path}", "", Nginx(tmp_path).error(start)) == ""
