"""Playbooks of the collection against stand-ins of its modules: no AWS, no machine. What each call answers is given by the test.

For faults that no other place can make at will; plays on the modules themselves are `played`. The stand-ins are action plugins, so that a
whole playbook takes a second or two. Each call takes the next answer for its module and `state` (`fleet_host_state read`); when there is
none left, the usual one. An answer may be `{"failed": true, "msg": …}`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.task import COLLECTION

BIN = Path(sys.executable).parent
ACTION = """
import json, os
from ansible.plugins.action import ActionBase

STATE = os.environ["STUB_PLAY"]


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        name, arguments = self._task.action.rpartition(".")[2], self._task.args
        with open(STATE) as file:
            state = json.load(file)
        state["calls"].append([name, dict(arguments)])
        if name == "ssm_parameter":
            state["parameters"][arguments["name"]] = arguments["value"]
        key = " ".join([name, arguments.get("state", "")]).strip()
        left = state["answers"].get(key) or [state["usual"].get(key, {"changed": True})]
        answer = left.pop(0)
        with open(STATE, "w") as file:
            json.dump(state, file)
        return answer
"""
LOOKUP = """
import json, os
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **options):
        with open(os.environ["STUB_PLAY"]) as file:
            return [json.load(file)["parameters"].get(terms[0])]
"""

CHECKED = {
    "hosts": "localhost",
    "gather_facts": False,
    "tasks": [{"ansible.builtin.set_fact": {"fleet_checked": True}}],
}
"""In place of the check that the playbook begins with."""


@dataclass
class Played:
    code: int
    output: str
    """Without the line breaks that Ansible puts into long messages."""
    calls: list[tuple[str, dict[str, Any]]]

    def named(self, module: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == module]

    @property
    def steps(self) -> list[str]:
        """The calls in short: the module and what it was to do."""
        return [
            " ".join(filter(None, [n, a.get("state"), a.get("host_state"), a.get("instance_id")]))
            for n, a in self.calls
        ]


@dataclass
class StubPlay:
    """The playbook `name` without its imported ones, and modules (fully qualified) of which nothing is run."""

    root: Path
    name: str
    modules: tuple[str, ...]
    usual: dict[str, Any]
    variables: dict[str, Any]
    parameters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "ansible.cfg").touch()
        self.collections = self.root / "ansible_collections"
        own = self.collections / "ecommerce/fleet"
        for folder in (
            "playbooks",
            "ssm",
            "plugins/filter",
            "plugins/lookup",
            "plugins/plugin_utils",
            "plugins/module_utils",
        ):
            shutil.copytree(COLLECTION / folder, own / folder)
        book = own / "playbooks" / f"{self.name}.yml"
        plays = [play for play in yaml.safe_load(book.read_text()) if "hosts" in play]
        book.write_text(yaml.safe_dump([CHECKED, *plays], sort_keys=False))
        for module in self.modules:
            namespace, collection, name = module.split(".")
            self._plugin(self.collections / namespace / collection / "plugins/action" / f"{name}.py", ACTION)
        self._plugin(self.collections / "amazon/aws/plugins/lookup/ssm_parameter.py", LOOKUP)

    @staticmethod
    def _plugin(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def play(self, *arguments: str, answers: dict[str, list[Any]] | None = None, **variables: Any) -> Played:
        state = self.root / "state.json"
        state.write_text(
            json.dumps({"answers": answers or {}, "usual": self.usual, "calls": [], "parameters": self.parameters})
        )
        environment = {
            **os.environ, "STUB_PLAY": str(state), "ANSIBLE_COLLECTIONS_PATH": str(self.root), "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"), "ANSIBLE_HOME": str(self.root / "home"),
        }  # fmt: skip
        always = self.root / "variables.json"
        always.write_text(json.dumps(self.variables))
        given = [word for item in variables.items() for word in ("-e", json.dumps(dict([item])))]
        argv = [str(BIN / "ansible-playbook"), f"ecommerce.fleet.{self.name}", "-e", f"@{always}", *given, *arguments]
        done = subprocess.run(
            argv, cwd=self.root, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        left = json.loads(state.read_text())
        self.parameters = left["parameters"]
        text = " ".join((done.stdout + done.stderr).replace("\\n", " ").split())
        return Played(done.returncode, text, [(name, dict(given)) for name, given in left["calls"]])
