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
