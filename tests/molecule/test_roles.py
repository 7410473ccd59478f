"""Each role's scenario on machines of both releases, in a lab of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.labs import environment as own_environment
from tests.support.labs import own_name

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
LAB = [sys.executable, "-m", "lab"]
SCENARIO_SECONDS = 1500
SLOW = ("admin_access", "app_runtime", "cloudwatch_agent", "hardening", "nginx", "proxysql", "system")
"""The longest. What the demo needs of them is proven by it as well."""

pytestmark = [pytest.mark.molecule, pytest.mark.lab]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Ansible's output as it is, without a frame or colours."""
    plain = {"MOLECULE_COMMAND_BORDERS": "0", "NO_COLOR": "1", "COLUMNS": "140", "PYTHONDONTWRITEBYTECODE": "1"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return own_environment(own_name("mol"), **plain, PATH=path)


@pytest.fixture(scope="module")
def lab(environment: dict[str, str]) -> Iterator[None]:
    subprocess.run([*LAB, "up"], env=environment, cwd=ROOT, check=True, timeout=900)
    yield
    subprocess.run([*LAB, "down"], env=environment, cwd=ROOT, check=True, timeout=120)


def test_every_role_has_a_scenario() -> None:
    roles = {path.name for path in (ROOT / "roles").iterdir() if path.is_dir()}
    assert roles - set(SCENARIOS) == set()


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SCENARIOS]
)
@pytest.mark.usefixtures("lab")
def test_the_role_behaves(scenario: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*LAB, "run", "molecule", "test", "-s", scenario],
        env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=SCENARIO_SECONDS, check=False,
    )  # fmt: skip
    # The last lines say only which step failed. What failed in it comes last, for logs of which only the end is kept.
    failed = "\n".join(line for line in done.stdout.splitlines() if line.startswith(("fatal:", "FAILED ", "E   ")))
    assert done.returncode == 0, f"molecule test -s {scenario} failed:\n{done.stdout[-12000:]}\n{failed[-4000:]}"
