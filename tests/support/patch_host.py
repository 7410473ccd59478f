"""A host made of a directory, for the patch script: programs that note how they were called, /proc, the files of package managers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.task import COLLECTION

SCRIPT = (COLLECTION / "ssm/scripts/patch.sh").read_text()
VALUES = {
    "Operation": "Install",
    "Release": "latest",
    "RebootOption": "RebootIfNeeded",
    "HealthUrl": "",
    "HealthSeconds": "1",
    "WaitSeconds": "60",
}
BOOTED = 1_000_000
OLD = "7f00-7f01 r-xp 00000000 08:01 42  /usr/lib64/libc-2.26.so (deleted)\n"
# The agent starts the script in its own unit and in a process group of its own.
START = 'mkdir -p "$1/$$"; echo "$$ (patch it) S 1 $$ 7" >"$1/$$/stat"; cp "$2" "$1/$$/maps"; cp "$3" "$1/$$/cgroup"; exec bash "$4"'
AGENT = "amazon-ssm-agent.service"
SYSTEMCTL = """case "$*" in
  "show "*) cat "$root/units/${*: -1}" 2>/dev/null || printf "Type=simple\\nRefuseManualStart=no\\nRefuseManualStop=no\\n" ;;
  "restart auditd.service") echo "Operation refused, unit auditd.service may be requested by dependency only" >&2; exit 4 ;;
  "restart broken.service") exit 1 ;;
esac"""
DNF = """if [[ " $* " == *" upgrade "* ]]; then grep -vxFf "$root/packages" "$root/updates" >>"$root/packages" || true; fi
if [[ " $* " == *" updateinfo "* ]]; then cat "$root/advisories"; fi
if [[ " $* " == *" repoquery "* ]]; then echo 2023.9.20260105; fi"""
RPM = """case "$2" in
  --queryformat) cat "$root/packages" ;;
  *) if [ "$1" = --eval ]; then echo "$root/var/lib/rpm"; else cut -d" " -f2- "$root/packages" | tr " " -; fi ;;
esac"""
PATHS = (
    "/proc/", "/var/lib/fleet-patch", "/var/log/fleet-patch", "/usr/libexec/initscripts", "/etc/", "/run/", "/var/lib/dnf",
    "/var/cache/dnf",
)  # fmt: skip
RUNNING = "6.1.7-1.x86_64"


# Nothing else is found on the host: no package manager of the machine that tests.
TOOLS = (
    "awk", "basename", "bash", "cat", "comm", "cp", "cut", "date", "dirname", "find", "flock", "getconf", "grep", "head", "mkdir", "mv",
    "paste", "rm", "sed", "setsid", "sleep", "sort", "stat", "tail", "timeout", "touch", "tr", "wc",
)  # fmt: skip


@dataclass
class Ended:
    code: int
    out: str
    err: str
    calls: list[str]

    @property
    def report(self) -> dict[str, Any]:
        return dict(json.loads(self.out.splitlines()[-1]))


@dataclass
class Patched:
    """A host that boots at BOOTED; `updates`: (name, when, version) of packages that the package manager installs."""

    root: Path
    updates: list[tuple[str, int] | tuple[str, int, str]] = field(default_factory=list)
    calls_before: int = 0

    def __post_init__(self) -> None:
        for folder in ("bin", "proc/1", "proc/sys/kernel/random", "etc"):
            (self.root / folder).mkdir(parents=True)
        self.put("proc/stat", f"cpu  1 2\nbtime {BOOTED - 100}\n")
        self.put("proc/1/stat", f"1 (systemd) S {' '.join('0' * 18)} {100 * os.sysconf('SC_CLK_TCK')} 0\n")
        self.put("proc/1/maps", "")
        self.put("etc/os-release", 'VERSION_ID="2"\n')
        self.put("packages", f"{BOOTED - 5000} kernel {RUNNING}\n{BOOTED - 5000} glibc 2-26.x86_64\n")
        self.put("advisories", "")
        self.put("proc/locks", "")
        self.put("var/lib/rpm/.rpm.lock", "")
        self.unit("auditd.service", RefuseManualStop="yes")
        self.boot("one")
        for tool in TOOLS:
            (self.root / "bin" / tool).symlink_to(shutil.which(tool) or f"{tool} is missing")
        for name, text in {
            "dnf": DNF,
            "rpm": RPM,
            "systemctl": SYSTEMCTL,
            "systemd-detect-virt": "echo none; exit 1",
            "uname": f"echo {RUNNING}",
            "service": "", "systemd-run": "", "curl": "printf 200", "cloud-init": "",
        }.items():  # fmt: skip
            self.program(name, text)

    def put(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        # At once: a program of an earlier command may be reading it.
        new = file.with_name(f".{file.name}.new")
        new.write_text(text)
        new.replace(file)
        return file

    def program(self, name: str, text: str) -> None:
        """A program that notes how it was called."""
        head = f'#!/bin/bash\nroot={self.root}\necho "{name} $*" >>$root/calls\n'
        self.put(f"bin/{name}", f"{head}{text}\n").chmod(0o755)

    def unit(self, service: str, **properties: str) -> None:
        """What systemctl shows of it."""
        shown = {"Type": "simple", "RefuseManualStart": "no", "RefuseManualStop": "no"} | properties
        self.put(f"units/{service}", "".join(f"{name}={value}\n" for name, value in shown.items()))

    def kernels(self, running: str, *installed: str) -> None:
        """Kernel packages (NAME VERSION) that were installed before the host started."""
        self.program("uname", f"echo {running}")
        self.put("packages", "".join(f"{BOOTED - 5000} {kernel}\n" for kernel in installed))

    def boot(self, name: str) -> None:
        self.put("proc/sys/kernel/random/boot_id", name + "\n")

    def runs(self, pid: int, service: str, maps: str = OLD, group: int | None = None) -> None:
        self.put(f"proc/{pid}/maps", maps)
        self.put(f"proc/{pid}/stat", f"{pid} (a (b) c) S 1 {group or pid} 7\n")
        self.put(f"proc/{pid}/cgroup", f"1:name=systemd:/system.slice/{service}\n")

    def start(self, own_maps: str = "", command: str = "c-1", **values: str) -> subprocess.Popen[str]:
        """The script as an agent starts it: in a session of its own."""
        text = SCRIPT
        for name, value in (VALUES | values).items():
            text = text.replace(f"{{{{ {name} }}}}", value)
        text = re.sub(rf"(?<![\w*])({'|'.join(PATHS)})", rf"{self.root}\1", text)
        self.put(
            "updates",
            "".join(f"{when} {name} {(*version, '1-1.x86_64')[0]}\n" for name, when, *version in self.updates),
        )
        argv = [
            str(self.put("own_maps", own_maps)),
            str(self.put("own_cgroup", f"1:name=systemd:/system.slice/{AGENT}\n")),
        ]
        argv = ["bash", "-c", START, "start", str(self.root / "proc"), *argv, str(self.put("patch.sh", text))]
        environment = {"PATH": f"{self.root}/bin", "SSM_COMMAND_ID": command}
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        out, err = process.communicate(timeout=120)
        calls = self.root / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        new, self.calls_before = lines[self.calls_before :], len(lines)
        return Ended(process.returncode, out, err, new)

    def patch(self, own_maps: str = "", command: str = "c-1", **values: str) -> Ended:
        return self.ended(self.start(own_maps, command, **values))
