"""Killed and run again, on the other release; and nothing is left at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from demo.flow import changed
from tests.support.demo_fleet import LAB, ROOT, DemoLab, kill, wait_for_line

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@dataclass
class Rerun:
    """The demo on Amazon Linux 2023, killed in the middle and run again, once; again when the lab has been ended since."""

    lab: DemoLab
    ran: bool = False

    def run(self) -> None:
        if self.ran:
            return
        first = self.lab.start(*self.lab.demo("al2023"))
        wait_for_line(first, "Bake the web image", 300)
        kill(first)
        done = self.lab.run(*self.lab.demo("al2023"), timeout=1500)
        assert done.returncode == 0, done.stdout + done.stderr
        self.ran = True


@pytest.fixture(scope="module")
def module_rerun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rerun]:
    made = Rerun(DemoLab(tmp_path_factory.mktemp("rerun") / "out"))
    yield made
    made.lab.down()


@pytest.fixture
def rerun(module_rerun: Rerun) -> Rerun:
    module_rerun.run()
    return module_rerun


def test_killed_in_the_middle_and_run_again_the_demo_works_on_amazon_linux_2023(rerun: Rerun) -> None:
    summary = rerun.lab.summary()
    assert (summary["os"], summary["hosts"], summary["second_run_changed"], summary["requests_failed"]) == (
        "al2023",
        3,
        0,
        0,
    )


def test_the_current_ansible_core_finds_amazon_linux_2023_as_the_other_core_left_it(rerun: Rerun) -> None:
    lab = str(ROOT / ".venv-current" / "bin" / "lab")
    assert "core 2.16" not in rerun.lab.run(lab, "run", "ansible", "--version").stdout
    done = rerun.lab.run(
        lab, "run", "ansible-playbook", "-i", "inventory/lab", "playbooks/site.yml", "-e", "fleet_os=al2023"
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert changed(done.stdout) == 0


def test_down_leaves_no_process_namespace_mount_or_file_behind(rerun: Rerun) -> None:
    lab, rerun.ran = rerun.lab, False
    assert f"fleet-{lab.name}" in lab.run("ip", "netns", "list").stdout
    done = lab.down()
    assert done.returncode == 0, done.stderr
    assert f"fleet-{lab.name}" not in lab.run("ip", "netns", "list").stdout
    assert f"ecommerce-fleet/{lab.name}" not in lab.run("cat", "/proc/mounts").stdout
    assert f"ecommerce-fleet/{lab.name}" not in lab.run("ps", "-eo", "args").stdout
    assert lab.run("ls", "-d", f"/var/lib/ecommerce-fleet/{lab.name}").returncode != 0
    assert lab.run("sh", "-c", f"ls -d /run/fleet-{lab.name}*").returncode != 0
    assert lab.run(LAB, "status").returncode != 0
