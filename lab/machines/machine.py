"""One machine: a root file system of layers, booted by systemd-nspawn, with an address on the lab's wire. Knows nothing of AWS."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from lab import processes
from lab.errors import LabError
from lab.machines import cgroups, identity, layers
from lab.machines.spec import MachineSpec
from lab.machines.terminal import open_pair
from lab.network import namespaces
from lab.network.lab_network import LabNetwork
from lab.run import Completed, run, spawn, spawn_on
from lab.settings import BRIDGE, Settings

SIGRTMIN_PLUS_3 = signal.SIGRTMIN + 3
"""Asks systemd as PID 1 to halt."""
SSH_PORT = 22
REBOOT_CODE = 133
"""systemd-nspawn's exit code when the machine asked for a reboot."""
LAYERS_FILE = "layers"
"""In a machine's directory: the layers that it uses, one path per line."""
PATH_INSIDE = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """Methods may be called from any thread; calls that change the machine wait for each other."""

    def __init__(self, settings: Settings, spec: MachineSpec) -> None:
        self.settings = settings
        self.spec = spec
        self.exited: Literal["poweroff"] | None = None
        """Set when the machine shut down by itself."""
        self._network = LabNetwork(settings)
        self._change = threading.Lock()
        self._stopping = False
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None

    @property
    def directory(self) -> Path:
        return self.settings.machines_dir / self.spec.name

    @property
    def upper(self) -> Path:
        """What the machine itself has written."""
        return self.directory / "upper"

    @property
    def console(self) -> Path:
        """What the machine printed on its console."""
        return self.directory / "console.log"

    @property
    def running(self) -> bool:
        """Whether the machine's systemd-nspawn runs or is between the two halves of a reboot."""
        return self._watcher is not None and self._watcher.is_alive()

    @property
    def booted(self) -> bool:
        """Whether its SSH daemon listens. Looked up in the kernel: a probe would fill the machine's own security log."""
        leader = self._leader()
        return leader is not None and processes.listens(leader, SSH_PORT)

    def start(self) -> None:
        """Boots the machine; returns once systemd-nspawn runs. Starting a running machine changes nothing."""
        with self._change:
            if self.running:
                return
            self.exited, self._stopping = None, False
            identity.prepare(self.spec, self.directory)
            used = (*self.spec.saved, *self.spec.layers)
            (self.directory / LAYERS_FILE).write_text("".join(f"{layer}\n" for layer in used))
            self._nspawn = self._spawn()
            self._watcher = threading.Thread(target=self._watch, name=f"watch-{self.spec.name}", daemon=True)
            self._watcher.start()

    def stop(self, timeout: float = 20) -> None:
        """Shuts the machine down as its power button would; after `timeout` seconds by force."""
        with self._change:
            self._stopping = True
            deadline = time.monotonic() + timeout
            # A signal in the first moments of a boot is lost, so it is repeated.
            while self.running and time.monotonic() < deadline:
                self._signal(SIGRTMIN_PLUS_3)
                self._wait_ended(1)
            self._kill()

    def kill(self) -> None:
        """Ends the machine at once, as if it had lost power."""
        with self._change:
            self._stopping = True
            self._kill()

    def reboot(self) -> None:
        """Asks the machine to restart; returns at once."""
        self.exec(["systemctl", "--no-block", "reboot"], timeout=10)

    def destroy(self) -> None:
        """Ends the machine and deletes its root file system."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def exec(self, argv: Sequence[str], *, timeout: float) -> Completed:
        """Runs a command inside as root and returns it whatever its exit code. The machine must be running."""
        env = {"HOME": "/root", "LANG": "C.UTF-8"}
        return run(self._inside(self._require_leader(argv[0]), argv, env, "/"), timeout=timeout, check=False)

    def terminal(self, argv: Sequence[str], env: Mapping[str, str]) -> tuple[int, subprocess.Popen[bytes]]:
        """Starts a command inside as root on a new terminal. Returns the terminal's own end, a descriptor, and the process.

        It starts where the Systems Manager agent's service does (WorkingDirectory of amazon-ssm-agent.service). Raises OSError, LabError.
        """
        leader = self._require_leader(argv[0])
        own, end = open_pair(leader)
        try:
            return own, spawn_on(end, self._inside(leader, argv, env, "/usr/bin"))
        except BaseException:
            os.close(own)
            raise
        finally:
            os.close(end)

    def connect(self, port: int, timeout: float) -> socket.socket:
        """A connection to a port of the machine's loopback, made inside. Raises OSError, LabError."""
        leader = self._require_leader(f"connect to port {port}")
        return namespaces.connect(Path(f"/proc/{leader}/ns/net"), ("127.0.0.1", port), timeout)

    def serves(self, unit: str, program: str) -> bool:
        """Whether a process of a service runs that program."""
        found = cgroups.processes(self.settings.name, self.spec.name, unit)
        return any(program in processes.arguments(pid) for pid in found)

    def _require_leader(self, doing: str) -> int:
        leader = self._leader()
        if leader is None:
            raise LabError(f"Cannot run {doing} on {self.spec.name}: the machine is not running")
        return leader

    def _inside(self, leader: int, argv: Sequence[str], env: Mapping[str, str], folder: str) -> list[str]:
        enter = ["nsenter", f"--target={leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root"]
        clean = {"PATH": PATH_INSIDE, **env, **self.spec.environment}
        return [*enter, f"--wdns={folder}", "--", "env", "-i", *(f"{k}={v}" for k, v in clean.items()), *argv]

    def freeze_layers(self, new: Callable[[], Path]) -> list[Path]:
        """Copies what the machine has written, less what the lab put in, to paths from `new`; the topmost first.

        It may run (then caches are flushed first).
        """
        if self.running:
            self.exec(["sync"], timeout=60)
        frozen = []
        for written in (self.upper, *self.spec.saved):
            frozen.append(new())
            layers.copy(written, frozen[-1])
            identity.strip(frozen[-1], self.spec)
        return frozen

    def _spawn(self) -> subprocess.Popen[bytes]:
        """The root file system is mounted in a mount namespace of the machine's own, so it is gone when the machine is."""
        root = self.directory / "root"
        stack = (*self.spec.saved, self.directory / "lab", *self.spec.layers)
        mount = layers.overlay_options(stack, self.upper, self.directory / "work")
        short = self.spec.name[-12:]
        nspawn = [
            "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", f"--directory={root}",
            f"--machine={short}", f"--hostname={self.spec.hostname}", f"--network-bridge={BRIDGE}", "--network-veth",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no",
        ]  # fmt: skip
        groups = " ".join(str(group) for group in cgroups.make(self.settings.name, self.spec.name))
        script = (
            'mount -t overlay overlay -o "$1" "$2" && for group in $3; do echo $$ >"$group/cgroup.procs" || exit 1; done '
            '&& shift 3 && exec "$@"'
        )
        return spawn(
            [
                "nsenter", f"--net={self.settings.netns_path}", "unshare", "--mount", "--propagation=private",
                "sh", "-c", script, "sh", mount, root, groups, *nspawn,
            ],
            log=self.console,
            env={"PATH": os.environ.get("PATH", PATH_INSIDE), **_nspawn_environment()},
        )  # fmt: skip

    def _watch(self) -> None:
        """Starts the machine again after a reboot; notes when it has ended by itself."""
        while self._nspawn is not None:
            code = self._nspawn.wait()
            self._network.remove_link(f"vb-{self.spec.name[-12:]}")
            cgroups.remove(self.settings.name, self.spec.name)
            if self._stopping:
                return
            if code != REBOOT_CODE:
                self.exited = "poweroff" if code == 0 else None  # else its first process was killed: a crash
                return
            self._nspawn = self._spawn()

    def _leader(self) -> int | None:
        """The machine's own PID 1, as seen from here."""
        if self._nspawn is None or self._nspawn.poll() is not None:
            return None
        return next((p for p in processes.children(self._nspawn.pid) if processes.is_init(p)), None)

    def _signal(self, number: int) -> None:
        leader = self._leader()
        if leader is not None:
            try:
                os.kill(leader, number)
            except ProcessLookupError:
                return

    def _kill(self) -> None:
        """Only ever its PID 1: the machine would outlive a killed systemd-nspawn."""
        deadline = time.monotonic() + 15
        while self.running and time.monotonic() < deadline:
            self._signal(signal.SIGKILL)
            self._wait_ended(0.2)
        if self.running:
            raise LabError(
                f"Machine {self.spec.name} did not end within 15 s after SIGKILL", hint=f"See {self.console}."
            )

    def _wait_ended(self, timeout: float) -> None:
        if self._watcher is not None:
            self._watcher.join(timeout)


def _nspawn_environment() -> dict[str, str]:
    """On a machine with cgroup v1 or hybrid, systemd-nspawn must not look for a unified hierarchy."""
    return {
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1" if cgroups.unified() else "0",
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
    }
