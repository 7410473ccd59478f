"""site.yml with all roles on bare hosts and again, against the same state checked by Ansible's own modules, a task each.

The peer checks the files that our roles wrote (those that say so in their first line), the packages, the services and the controls that one
stock module can express: less than ours, so the ratio is a lower bound.
"""

from __future__ import annotations

import hashlib
import re
import statistics
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.hardening_audit import peer_tasks
from tests.benchmarks.lab import BenchmarkError, Hosts
from tests.benchmarks.result import Figure, Result

HOSTS = 3
RUNS = 2
PACKAGES = ["chrony", "logrotate", "nginx", "nodejs24", "amazon-ssm-agent", "amazon-cloudwatch-agent"]
SERVICES = ["chronyd", "nginx", "amazon-ssm-agent", "amazon-cloudwatch-agent"]
CHANGED = re.compile(r"^i-\S+\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)
TASKS = re.compile(r"^i-\S+\s+: ok=(\d+) .*\bskipped=(\d+)", re.MULTILINE)
# With -vvv, Ansible writes this for every command that it runs on a host and for every file that it sends to one.
EXECUTION = re.compile(r"^<([0-9.]+)> SSH: EXEC ", re.MULTILINE)


def publish_release(hosts: Hosts) -> None:
    shop = hosts.lab.folder / "shop"
    hosts.lab.run(
        sys.executable, "examples/shop/build.py", "--kind", "nodejs", "--version", "1.0.0", "--out", str(shop)
    )
    artifact = next(shop.glob("*.tar.gz"))
    hosts.playbook(
        "publish_release", fleet_release_version="1.0.0", fleet_release_kind="nodejs", fleet_release_file=str(artifact),
        fleet_release_sha256=hashlib.sha256(artifact.read_bytes()).hexdigest(),
    )  # fmt: skip


def second_run(hosts: Hosts) -> float:
    seconds, output = hosts.playbook("site")
    changed = [int(count) for count in CHANGED.findall(output)]
    if changed != [0] * hosts.count:
        raise BenchmarkError(f"the second run of site.yml changed {changed} on {hosts.count} hosts:\n{output[-2000:]}")
    return seconds


def per_host(hosts: Hosts) -> tuple[int, int]:
    """(tasks that were run or skipped, commands and transfers) of one more run, on the host that had the most."""
    _seconds, output = hosts.playbook("site", "-vvv")
    found = EXECUTION.findall(output)
    if len(set(found)) != hosts.count:
        raise BenchmarkError(f"executions were seen on {len(set(found))} hosts of {hosts.count}")
    tasks = [int(ok) + int(skipped) for ok, skipped in TASKS.findall(output)]
    return max(tasks), max(map(found.count, set(found)))


def written_files(hosts: Hosts) -> dict[str, Path]:
    """What our roles wrote on a host: its copy here, by the path there."""
    folder = hosts.lab.folder / "written"
    find = {
        "paths": ["/etc", "/usr/share/fleet"],
        "recurse": True,
        "hidden": True,
        "contains": ".*[Aa]nsible managed.*",
    }
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.find": find, "register": "found"},
        {
            "ansible.builtin.fetch": {"src": "{{ item.path }}", "dest": f"{folder}/", "flat": False},
            "loop": "{{ found.files }}",
            "run_once": True,
        },
    ]
    hosts.play({"gather_facts": False, "tasks": tasks})
    copies = [file for file in folder.rglob("*") if file.is_file()]
    return {f"/{file.relative_to(folder).as_posix().split('/', 1)[1]}": file for file in copies}


def stock_tasks(hosts: Hosts) -> list[dict[str, Any]]:
    """The peer's tasks."""
    packages = [{"ansible.builtin.package": {"name": name, "state": "present"}} for name in PACKAGES]
    files = [
        {"ansible.builtin.copy": {"src": str(copy), "dest": path}}
        for path, copy in sorted(written_files(hosts).items())
    ]
    services = [
        {"ansible.builtin.systemd_service": {"name": name, "enabled": True, "state": "started"}} for name in SERVICES
    ]
    return [*packages, *files, *services, *peer_tasks()]


def measure(hosts: Hosts) -> Result:
    publish_release(hosts)
    first, _output = hosts.playbook("site")
    tasks = stock_tasks(hosts)
    task_count, executions = per_host(hosts)
    # Before the peer and after it: a machine's speed drifts in these minutes.
    again = [second_run(hosts) for _ in range(RUNS)]
    peer = hosts.play({"gather_facts": True, "tasks": tasks}, "--check")
    again += [second_run(hosts) for _ in range(RUNS)]
    return Result(
        name="site",
        ours=statistics.median(again),
        peer=peer,
        peer_name=f"stock Ansible modules ({len(tasks)} tasks)",
        unit="s",
        how=f"wall time of ansible-playbook on {hosts.count} {hosts.os} hosts of the lab that are in the state already; "
        f"ours median of {RUNS} runs before the peer and {RUNS} after it, the peer one run of --check",
        figures=(
            Figure("first run from bare hosts", first, 60, "s"),
            Figure("second run", statistics.median(again), 15, "s"),
            Figure("tasks of a second run, per host", task_count, 45, ""),
            Figure("remote executions of a second run, per host", executions, 60, ""),
        ),
    )
