"""role_begin as a play runs it: the argument specs hold also where Ansible does not check them in a task of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"nginx_port": "eighty"}, ["nginx_port is 'eighty'; allowed: int."]),
        ({"nginx_upstreams": [{"servers": ["127.0.0.1:3000"]}]}, ["missing required arguments: name"]),
        ({"nginx_port": -1}, ["nginx_port is -1; allowed are 1 to 65535 ports."]),
    ],
)
def test_a_value_that_the_argument_specs_do_not_allow_is_refused_before_the_host_is_contacted(
    tmp_path: Path, values: dict[str, Any], said: list[str]
) -> None:
    role = {"name": "ecommerce.fleet.nginx", "rolespec_validate": False}
    facts = {"distribution": "Amazon", "distribution_version": "2023", "cacheable": True}
    tasks = [{"ansible.builtin.set_fact": facts}, {"ansible.builtin.import_role": role}]
    play = {"hosts": "nowhere", "gather_facts": False, "vars": values, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "nowhere,", tmp_path / "play.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "COLUMNS": "1000", "NO_COLOR": "1"},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    output = " ".join(done.stdout.split()).replace("''", "'")
    assert [text for text in ["nginx on nowhere: ", *said, "Nothing was changed."] if text not in output] == []
    assert "unreachable=0" in output


def test_what_a_cache_of_facts_has_of_an_earlier_run_is_not_taken_for_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    facts = {"distribution": "Amazon", "distribution_version": "2023", "cacheable": True}
    begin = {"ecommerce.fleet.role_begin": {}, "vars": {"role_name": "ecommerce.fleet.ssm_agent"}}
    shown = {"ansible.builtin.debug": {"var": "ansible_facts.package_versions"}}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.set_fact": facts}, begin, begin, shown],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    environment = {
        **os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "COLUMNS": "1000", "NO_COLOR": "1",
        "ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "cache"),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip
    for package in ("nginx", "httpd"):
        program = tmp_path / "bin/rpm"
        program.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/calls\necho {package} 1-1\n")
        program.chmod(0o755)
        done = subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", "here,", "-c", "local", tmp_path / "play.yml"],
            env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{package}:" in done.stdout
    assert len((tmp_path / "calls").read_text().splitlines()) == 2, "once a run"
