"""What every role begins with: the host, the values and the packages."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import role_rules

INSTALLED = {"nginx": ["1:1.26.0-1.amzn2"], "kernel": ["6.1-3", "6.12-1"]}
INSPECTOR = {"deep_inspection_paths": ["/opt/shop"], "check_account": "no", "instance_id": "web-1"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"distribution": "Amazon", "distribution_version": "2"}, None),
        ({"distribution": "Amazon", "distribution_version": "2023"}, None),
        (
            {"distribution": "Amazon", "distribution_version": "2018"},
            "it runs Amazon 2018; supported are Amazon Linux 2 and 2023.",
        ),
        (
            {"distribution": "Debian", "distribution_version": "2"},
            "it runs Debian 2; supported are Amazon Linux 2 and 2023.",
        ),
        ({}, "nothing is known about its operating system; gather facts first (gather_subset: min)."),
    ],
)
def test_only_the_supported_systems_are_accepted(facts: dict[str, str], expected: str | None) -> None:
    assert role_rules.unsupported(facts) == expected


@pytest.mark.parametrize("role", role_rules.RULES)
def test_variables_of_the_wrong_shape_are_a_violation_and_no_traceback(role: str) -> None:
    (sentence,) = role_rules.violations(role, {"os_release": "2023"})
    assert "see the role's argument specs" in sentence


def test_a_role_without_rules_has_no_violations() -> None:
    assert role_rules.violations("hardening", {}) == []


@pytest.mark.parametrize(
    ("packages", "version", "expected"),
    [
        (["nginx", "kernel"], "", []),
        (["nginx", "nodejs"], "", ["nodejs"]),
        (["nginx"], "1.26.0", []),
        (["kernel"], "6.12", []),
        (["nginx"], "1.24.0", ["nginx-1.24.0"]),
        ([], "", []),
    ],
)
def test_only_what_is_missing_is_installed(packages: list[str], version: str, expected: list[str]) -> None:
    assert role_rules.missing(packages, version, INSTALLED) == expected


def test_every_installed_version_of_a_package_is_known() -> None:
    listed = "kernel 6.1-3\nnginx 1:1.26.0-1.amzn2\nkernel 6.12-1\n--\nroot:x:0:0:root:/root:/bin/bash\n"
    assert role_rules.looked(listed)["package_versions"] == INSTALLED


def test_every_account_is_known_by_home_and_shell_and_an_odd_line_is_none() -> None:
    listed = "nginx 1-1\n--\napp:x:990:990::/opt/app:/sbin/nologin\n-- \nodd:x\ncaf\udce9:x:1:1::/home/x y:\n"
    assert role_rules.looked(listed)["accounts"] == {
        "app": {"home": "/opt/app", "shell": "/sbin/nologin"},
        "caf\udce9": {"home": "/home/x y", "shell": ""},
    }


def test_what_a_host_prints_is_read_as_it_is(tmp_path: Path) -> None:
    program = tmp_path / "rpm"
    program.write_text("#!/bin/sh\necho nginx 1-1\n")
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", role_rules.LOOK],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert role_rules.looked(done.stdout)["accounts"]["root"]["home"] == "/root"


def test_an_installation_that_fails_names_the_value_the_place_and_the_remedy() -> None:
    said = role_rules.install_error("ssm_agent", ["amazon-ssm-agent-9.9"], "9.9", ["Failed to install", "", "No match"])
    assert said.startswith("amazon-ssm-agent-9.9 can't be installed: Failed to install No match ")
    assert "ssm_agent_version is 9.9; allowed: a version that the host's repository release has" in said
    assert "no version lock excludes" in said
    assert "app_runtime_version" not in role_rules.install_error("app_runtime", ["nodejs"], None, ["No match"])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ""),
        ({"deep_inspection_paths": ["opt/shop"]}, "inspector_deep_inspection_paths is opt/shop; allowed: at most 5"),
        ({"deep_inspection_paths": ["/a b"]}, "without spaces"),
        ({"deep_inspection_paths": [f"/{number}" for number in range(6)]}, "at most 5 absolute paths"),
        ({"check_account": True}, "inspector_instance_id is web-1; allowed: the id of an instance"),
        ({"check_account": True, "instance_id": "i-0123456789abcdef0"}, ""),
    ],
)
def test_inspector_takes_paths_as_its_api_does_and_an_instance_to_ask_about(
    changed: dict[str, Any], expected: str
) -> None:
    found = role_rules.violations("inspector", {**INSPECTOR, **changed})
    assert (found == []) == (expected == "")
    assert expected in " ".join(found)
