"""What the role nginx renders; whether nginx likes it is asked on the machines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

Render = Callable[..., str]
TEMPLATE = "etc/nginx/nginx.conf.j2"
APP = [{"name": "app", "servers": ["127.0.0.1:3000", "127.0.0.1:3001"], "health_path": "/healthz"}]


@pytest.mark.parametrize("release", ["2", "2023"])
@pytest.mark.parametrize("upstreams", [[], APP])
def test_braces_are_balanced_and_nothing_is_left_unrendered(
    render: Render, release: str, upstreams: list[object]
) -> None:
    text = render("nginx", TEMPLATE, release, nginx_upstreams=upstreams)
    code = re.sub(r"'[^'\n]*'|#[^\n]*", "", text)
    assert code.count("{") == code.count("}")
    assert "{{" not in text
    assert "{%" not in text


def test_an_access_log_line_is_json_with_the_trace_and_the_request_id(render: Render) -> None:
    text = render("nginx", TEMPLATE, nginx_upstreams=APP)
    form = "".join(re.findall(r"'([^']*)'", text[text.index("log_format") : text.index("access_log")]))
    line = json.loads(re.sub(r'(?<!")\$\w+(?!")', "0", form))
    assert {"time", "client", "status", "request_id", "trace_id", "upstream"} <= line.keys()
    assert line["trace_id"] == "$http_x_amzn_trace_id"


def test_nobody_is_believed_about_the_client_unless_networks_are_given(render: Render) -> None:
    assert "set_real_ip_from" not in render("nginx", TEMPLATE, nginx_upstreams=APP)
    text = render("nginx", TEMPLATE, nginx_upstreams=APP, nginx_real_ip_from=["10.0.0.0/22"])
    assert re.findall(r"set_real_ip_from (\S+);", text) == ["10.0.0.0/22"]


def test_a_repeat_is_never_allowed_for_methods_that_change_something(render: Render) -> None:
    assert "non_idempotent" not in render("nginx", TEMPLATE, nginx_upstreams=APP)


def test_a_location_with_headers_of_its_own_repeats_the_security_headers(render: Render) -> None:
    """A location that adds one header loses all those of the server: nginx's own rule."""
    text = render("nginx", TEMPLATE, nginx_upstreams=APP)
    page = text[text.index("location = /fleet-unavailable.html") :]
    assert "X-Content-Type-Options" in page[: page.index("}")]


def test_health_asks_the_path_of_the_first_upstream(render: Render) -> None:
    assert "proxy_pass http://app/healthz;" in render("nginx", TEMPLATE, nginx_upstreams=APP)


def test_snippets_go_where_they_belong(render: Render) -> None:
    snippets = [
        {"name": "a", "context": "http", "content": "map $uri $one { default 1; }"},
        {"name": "b", "context": "server", "content": "location /own { return 204; }"},
    ]
    text = render("nginx", TEMPLATE, nginx_upstreams=APP, nginx_snippets=snippets)
    assert text.index("map $uri $one") < text.index("listen 80") < text.index("location /own")


@pytest.mark.parametrize(
    ("version", "directives"), [("1:1.22.1-1.amzn2", [False, False]), ("1.28.0-1.amzn2023.0.2", [True, True])]
)
def test_directives_of_newer_versions_are_used_only_there(render: Render, version: str, directives: list[bool]) -> None:
    facts = {"package_versions": {"nginx": [version]}}
    text = render(
        "nginx", TEMPLATE, nginx_upstreams=APP, nginx_tls_port=443, nginx_tls_self_signed=True, ansible_facts=facts
    )
    assert ["http2 on;" in text, "keepalive_min_timeout" in text] == directives
    assert ("ssl http2 default_server" in text) != directives[0]


def test_a_connection_is_upgraded_only_to_websocket_and_only_where_asked_for(render: Render) -> None:
    api = {"name": "api", "servers": ["unix:/run/api.sock"], "paths": ["/api/"]}
    text = render("nginx", TEMPLATE, nginx_upstreams=[{**APP[0], "websocket": True}, api])
    of_api = text[text.index("location /api/") :]
    assert "$websocket_upgrade" not in of_api[: of_api.index("}")]
    assert "$websocket_upgrade" in of_api[of_api.index("location / {") :]
