"""The audit of all controls on one host, against the same settings checked by Ansible's own modules, a task each.

Only the controls that one stock module can express are in the peer's play, ours evaluates all: the ratio is a lower bound. Also what the
targets are about: one host and many, enforcing for the first time and again, memory on the host.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.benchmarks.lab import ROOT, Hosts, alternate
from tests.benchmarks.result import Figure, Result

HOSTS = 1
RUNS = 3
MANY = 20
IN_USE = {"ports": [22], "services": ["amazon-cloudwatch-agent"], "users": ["ec2-user"]}
OURS: dict[str, Any] = {"gather_facts": False, "tasks": [{"ecommerce.fleet.hardening": {"level": 2, "in_use": IN_USE}}]}
PING: dict[str, Any] = {"gather_facts": False, "tasks": [{"ansible.builtin.ping": None}]}
PACKAGES: dict[str, Any] = {
    "gather_facts": False,
    "tasks": [
        {
            "ansible.builtin.package": {
                "name": ["chrony", "sudo", "libpwquality", "nftables", "audit", "aide", "rsyslog"]
            }
        }
    ],
}


def _line(path: str, line: str, pattern: str) -> dict[str, Any]:
    return {
        "ansible.builtin.lineinfile": {"path": path, "regexp": pattern, "line": line, "create": True, "mode": "0600"}
    }


def is_plain(state: dict[str, Any]) -> bool:
    """Whether a stock module can express it: one path, and no choice of owners."""
    return "*" not in state["path"] and all(isinstance(value, str) for value in state.values())


def stock_task(control: dict[str, Any]) -> dict[str, Any] | None:
    """The task that checks the control with a module of ansible.builtin or ansible.posix; None if there is no such module."""
    state = control["state"]
    match control["type"]:
        case "sysctl":
            return {
                "ansible.posix.sysctl": {
                    "name": state["name"],
                    "value": str(state["value"]),
                    "sysctl_set": False,
                    "reload": False,
                }
            }
        case "sshd":
            return _line("/etc/ssh/sshd_config", f"{state['option']} {state.get('value')}", f"^{state['option']}\\s")
        case "kernel_module":
            return _line(
                f"/etc/modprobe.d/{state['name']}.conf",
                f"install {state['name']} /bin/false",
                f"^install {state['name']}\\s",
            )
        case "package":
            return {"ansible.builtin.package": {"name": state["name"], "state": state["state"]}}
        case "file" if set(state) <= {"path", "mode", "owner", "group"} and is_plain(state):
            return {
                "ansible.builtin.file": {
                    **state,
                    "state": "touch",
                    "access_time": "preserve",
                    "modification_time": "preserve",
                }
            }
    return None


def peer_tasks() -> list[dict[str, Any]]:
    """The peer's play, made from the register."""
    files = sorted((ROOT / "controls").glob("*.yml"))
    controls = [control for file in files for control in yaml.safe_load(file.read_text())]
    return [{"name": c["title"], **task} for c in controls if (task := stock_task(c))]


def figures(hosts: Hosts, audit: float) -> tuple[Figure, ...]:
    """What else is measured, on hosts that were not hardened before. ``audit``: seconds of one host's audit."""
    folder = hosts.lab.folder / "reports"
    enforce = {
        **OURS,
        "tasks": [{"ecommerce.fleet.hardening": {"level": 2, "in_use": IN_USE, "report_directory": str(folder)}}],
    }
    with hosts.lab.hosts(1) as fresh:
        fresh.play(PACKAGES)
        first, second = fresh.play(enforce), fresh.play(enforce)
    with hosts.lab.hosts(MANY) as many:
        many.play(OURS, "--check", "--forks", str(MANY))
        fleet = many.play(OURS, "--check", "--forks", str(MANY))
        ping = many.play(PING, "--forks", str(MANY))
    reports = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    memory = max(report["used"]["memory_mb"] for report in reports)
    return (
        Figure("audit of one host", audit, 3, "s"),
        Figure("enforcing for the first time", first, 6, "s"),
        Figure("enforcing again", second, 3, "s"),
        Figure(f"audit of {MANY} hosts against one", fleet / audit, 3, "times"),
        # The hosts share this machine's processors with each other and with Ansible: a module that does nothing takes this long.
        Figure(f"ansible.builtin.ping of {MANY} hosts against that one audit", ping / audit, None, "times"),
        Figure("memory on the host", memory, 60, "MB"),
    )


def measure(hosts: Hosts) -> Result:
    tasks = peer_tasks()
    stock: dict[str, Any] = {"gather_facts": False, "tasks": tasks}
    ours, peer = alternate(RUNS, lambda: hosts.play(OURS, "--check"), lambda: hosts.play(stock, "--check"))
    return Result(
        name="hardening_audit",
        ours=ours,
        peer=peer,
        peer_name=f"stock Ansible modules ({len(tasks)} tasks)",
        unit="s",
        how=f"wall time of ansible-playbook --check on {hosts.count} {hosts.os} hosts of the lab, median of {RUNS} runs in turn; "
        "ours evaluates every control of the register, the peer only those that one stock module can express",
        figures=figures(hosts, ours),
    )
