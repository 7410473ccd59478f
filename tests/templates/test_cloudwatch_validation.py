"""The script with which the role cloudwatch_agent has the agent check its configuration, run with the stand-in's checker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.support.templating import TRUSTED

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "lab/standin/agents/cloudwatch/root/opt/aws/amazon-cloudwatch-agent/lib"
PROGRAMS = {"config-translator": "translator", "amazon-cloudwatch-agent": "agent"}
NEW = {"agent": {"metrics_collection_interval": 60}, "logs": {"force_flush_interval": 5}}


class Host:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "etc/amazon-cloudwatch-agent.d"
        self.folder.mkdir(parents=True)
        (home / "bin").mkdir()
        for name, module in PROGRAMS.items():
            code = f"import sys; from cloudwatch_standin.{module} import main; sys.exit(main(sys.argv[1:]))"
            program = home / "bin" / name
            program.write_text(f"#!/bin/sh\nPYTHONPATH={LIBRARY} exec {sys.executable} -c '{code}' \"$@\"\n")
            program.chmod(0o755)

    def put(self, path: str, content: Any) -> Path:
        file = self.home / path
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def validate(self, new: Any) -> subprocess.CompletedProcess[str]:
        known = DataLoader().load_from_file(str(ROOT / "roles/cloudwatch_agent/vars/main.yml"), **TRUSTED)
        known["__cloudwatch_agent_home"] = str(self.home)
        script = Templar(loader=DataLoader(), variables=known).template(known["__cloudwatch_agent_validate"])
        stage = self.put("etc/amazon-cloudwatch-agent.d/.fleet.json.stage", new)
        return subprocess.run(
            ["sh", "-c", str(script), "validate", stage], capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "agent")


def test_a_good_configuration_passes_with_others_that_agree(host: Host) -> None:
    host.put("etc/amazon-cloudwatch-agent.d/theirs.json", {"agent": {"metrics_collection_interval": 60}})
    host.put("etc/amazon-cloudwatch-agent.d/fleet.json", {"agent": {"metrics_collection_interval": 10}})
    done = host.validate(NEW)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "path",
    [
        "etc/amazon-cloudwatch-agent.json",
        "etc/amazon-cloudwatch-agent.d/file_amazon-cloudwatch-agent.json",
        "etc/amazon-cloudwatch-agent.d/a name with spaces",
    ],
)
@pytest.mark.parametrize("content", [{"agent": {"metrics_collection_interval": 30}}, {"logs": {"nonsense": 1}}, "{"])
def test_a_leftover_file_that_contradicts_is_named_and_no_other(host: Host, path: str, content: Any) -> None:
    host.put("etc/amazon-cloudwatch-agent.d/agrees.json", {"agent": {"metrics_collection_interval": 60}})
    leftover = host.put(path, content)
    done = host.validate(NEW)
    assert done.returncode == 1
    assert done.stderr.count("The new file is valid without") == 1
    assert f"The new file is valid without {leftover}, which the agent reads too" in done.stderr


def test_no_other_file_is_blamed_for_what_is_wrong_with_the_new_one(host: Host) -> None:
    host.put("etc/amazon-cloudwatch-agent.d/theirs.json", {"agent": {"metrics_collection_interval": 60}})
    done = host.validate({"logs": {"nonsense": 1}})
    assert done.returncode == 1
    assert "Additional property nonsense" in done.stderr
    assert "is valid without" not in done.stderr
