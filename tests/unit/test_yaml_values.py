"""What YAML reads as something else than the text that was meant never gets into a program's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import nginx_rules
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.yaml_values import misread

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def options(role: str) -> dict[str, Any]:
    specs = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())
    found: dict[str, Any] = specs["argument_specs"]["main"]["options"]
    return found


def defaults(role: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())
    return found


def said(role: str, text: str) -> str:
    return " ".join(misread(options(role), yaml.safe_load(text)))


@pytest.mark.parametrize("role", ROLES)
def test_no_role_has_such_a_default(role: str) -> None:
    assert list(misread(options(role), defaults(role))) == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("value", ["yes", "off", "", "1.20"])
def test_every_variable_that_is_a_text_refuses_what_is_none_and_takes_it_in_quotes(role: str, value: str) -> None:
    for name in [name for name, spec in options(role).items() if spec.get("type", "str") == "str"]:
        assert said(role, f"{name}: {value}").startswith(f"{name} is "), name
        assert said(role, f'{name}: "{value}"') == "", name


@pytest.mark.parametrize("role", ROLES)
def test_a_boolean_is_no_number_and_nothing_is_no_value(role: str) -> None:
    for name, spec in options(role).items():
        if spec.get("type") == "int":
            assert "it takes a number" in said(role, f"{name}: on"), name
        assert "is empty (null in YAML)" in said(role, f"{name}:"), name


@pytest.mark.parametrize(
    ("role", "text", "sentence"),
    [
        ("system", "system_locale: no", 'system_locale is false (YAML reads yes, no, on and off so); a text needs quotes'),
        ("system", "system_time_servers: [ntp.example, off]", "system_time_servers[1] is false"),
        ("system", "system_kernel_settings_extra: [{name: a.b, value: on, reason: x}]", "system_kernel_settings_extra[0].value is true"),
        ("nginx", "nginx_upstreams: [{name: a, servers: [], health_path: }]", "nginx_upstreams[0].health_path is empty"),
        ("proxysql", "proxysql_version: 2.10", "proxysql_version is the number 2.1, which may be written otherwise than it was given"),
    ],
)  # fmt: skip
def test_the_sentence_names_the_place_the_value_and_the_remedy(role: str, text: str, sentence: str) -> None:
    assert sentence in said(role, text)


@pytest.mark.parametrize(
    ("value", "name"), [("true", "true"), ("No", "false"), ("", "empty"), ("~", "empty"), ("0.10", "0.1")]
)
def test_a_security_header_is_a_text(value: str, name: str) -> None:
    values = {key.removeprefix("nginx_"): each for key, each in defaults("nginx").items()}
    values["security_headers"] = yaml.safe_load(f"X-Robots-Tag: {value}\nX-Level: 7\nX-Quoted: '{value}'")
    (violation,) = [each for each in nginx_rules.violations(values) if "security_headers" in each]
    assert violation.startswith("nginx_security_headers: 'X-Robots-Tag' is ") and name in violation


@pytest.mark.parametrize("value", ["true", "", "1.5", "-1", "many", "\u00b2", "[]", "9999999999"])
def test_seconds_by_type_are_whole_numbers(value: str) -> None:
    values = {key.removeprefix("nginx_"): each for key, each in defaults("nginx").items()}
    values["static_seconds_by_type"] = yaml.safe_load(f"image/png: {value}\ntext/css: '60'\nfont/woff2: 0")
    (violation,) = [each for each in nginx_rules.violations(values) if "seconds_by_type" in each]
    assert "'image/png'" in violation
