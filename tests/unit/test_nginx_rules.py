"""What the role nginx refuses before it touches a host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import nginx_rules

ROLE = Path(__file__).resolve().parents[2] / "roles" / "nginx"
APP = {"name": "app", "servers": ["127.0.0.1:3000", "127.0.0.1:3001"], "health_path": "/health"}
Find = Callable[..., list[str]]


@pytest.fixture
def find() -> Find:
    """The violations of the role's defaults with some values changed."""
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    values = {name.removeprefix("nginx_"): value for name, value in defaults.items()}
    return lambda **changed: nginx_rules.violations({**values, **changed})


def test_the_defaults_are_allowed(find: Find) -> None:
    assert find() == []


def test_numbers_may_be_texts_as_ansible_renders_them(find: Find) -> None:
    assert find(tls_port="0", port="80", micro_cache_seconds="0") == []


@pytest.mark.parametrize(
    "values",
    [
        {"upstreams": [APP, {"name": "api", "servers": ["unix:/run/api.sock"], "paths": ["/api/", "/v2/"]}]},
        {"upstreams": [{**APP, "balance": "hash", "hash_key": "$remote_addr$uri"}]},
        {"upstreams": [{**APP, "balance": "sticky", "websocket": True}], "sticky_cookie": "route"},
        {"upstreams": [{"name": "app", "servers": ["[::1]:3000", "app-1.internal:3000"]}]},
        {"static": [{"prefix": "/assets/", "directory": "/opt/app/current/public"}]},
        {"tls_port": 443, "tls_self_signed": True, "https_redirect": True},
        {"tls_port": 443, "tls_certificate_file": "/etc/pki/site.pem", "tls_key_file": "/etc/pki/site.key"},
        {"https_redirect": True, "real_ip_from": ["10.0.0.0/22"]},
    ],
)
def test_what_people_need_is_allowed(find: Find, values: dict[str, Any]) -> None:
    assert find(**values) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"port": 70000}, "nginx_port is 70000; allowed are 1 to 65535 ports."),
        ({"upstream_read_seconds": 0}, "nginx_upstream_read_seconds is 0; allowed are 1 to 3600 seconds."),
        ({"upstreams": [{**APP, "name": "App"}]}, "'App' is not a name"),
        ({"upstreams": [{**APP, "servers": []}]}, "'app' has no servers"),
        ({"upstreams": [{**APP, "servers": ["127.0.0.1"]}]}, "the server '127.0.0.1'; it takes host:port"),
        ({"upstreams": [{**APP, "servers": ["unix:run/a.sock"]}]}, "the server 'unix:run/a.sock'"),
        ({"upstreams": [{**APP, "servers": ["127.0.0.1:3000; }"]}]}, "the server '127.0.0.1:3000; }'"),
        ({"upstreams": [APP, {**APP, "paths": ["/a/"]}]}, "the name 'app' more than once"),
        ({"upstreams": [APP, {**APP, "name": "b", "paths": ["/a/"]}]}, "'127.0.0.1:3000' more than once"),
        ({"upstreams": [APP, {"name": "b", "servers": ["h:1"]}]}, "'b' would get no requests"),
        ({"upstreams": [{**APP, "paths": ["/a/"]}]}, "'app' is the first"),
        ({"upstreams": [APP, {"name": "b", "servers": ["h:1"], "paths": ["api"]}]}, "the path 'api'"),
        ({"upstreams": [{**APP, "balance": "hash"}]}, "the hash_key ''"),
        ({"upstreams": [{**APP, "balance": "hash", "hash_key": "$a; x"}]}, "the hash_key '$a; x'"),
        ({"upstreams": [{**APP, "hash_key": "$uri"}]}, "only balance: hash uses"),
        ({"upstreams": [{**APP, "health_path": "health"}]}, "the health_path 'health'"),
        (
            {
                "upstreams": [APP, {"name": "b", "servers": ["h:1"], "paths": ["/a/"]}],
                "static": [{"prefix": "/a/", "directory": "/d"}],
            },
            "The path '/a/'",
        ),
        ({"security_headers": {"X-A": 'a"; b'}}, "nginx_security_headers has 'X-A'"),
        ({"sticky_cookie": "a-b"}, "nginx_sticky_cookie is 'a-b'"),
        ({"real_ip_from": ["10.0.0.1/22"]}, "nginx_real_ip_from has '10.0.0.1/22'"),
        ({"real_ip_from": ["0.0.0.0/0"]}, "anybody could lie"),
        ({"static": [{"prefix": "assets", "directory": "/d"}]}, "the prefix 'assets'"),
        ({"static": [{"prefix": "/assets/", "directory": "/d/"}]}, "the directory '/d/'"),
        ({"static_seconds_by_type": {"html": 1}}, "nginx_static_seconds_by_type has 'html'"),
        ({"tls_port": 443}, "nginx_tls_port is 443, but 0 certificates are given"),
        (
            {"tls_port": 443, "tls_self_signed": True, "tls_certificate_pem": "a", "tls_key_pem": "b"},
            "but 2 certificates",
        ),
        (
            {"tls_port": 443, "tls_certificate_file": "/a"},
            "Of nginx_tls_certificate_file and nginx_tls_key_file only one",
        ),
        ({"tls_self_signed": True}, "nginx_tls_port is 0"),
        ({"port": 8081}, "Port 8081 is used twice"),
        ({"port": 3000, "upstreams": [APP]}, "Port 3000 is used twice"),
        (
            {"shutdown_seconds": 29},
            "nginx_shutdown_seconds is 29, but a request may take nginx_upstream_read_seconds, 30, and more",
        ),
        ({"https_redirect": True}, "nginx_https_redirect is true, but nothing here could ever be HTTPS"),
    ],
)
def test_what_is_wrong_is_named_with_the_variable_the_value_and_what_is_allowed(
    find: Find, values: dict[str, Any], said: str
) -> None:
    found = find(**values)
    assert [sentence for sentence in found if said in sentence] != [], found


def test_a_key_is_never_part_of_a_message(find: Find) -> None:
    assert "PRIVATE" not in " ".join(find(tls_port=0, tls_key_pem="PRIVATE"))
