"""One HAProxy process per load balancer, in the lab's network, on an address of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import NoReturn

from lab.balancer.config import body_file, render, server_line
from lab.balancer.plan import Answer, Plan, Pool, Server
from lab.errors import LabError
from lab.network.lab_network import LabNetwork
from lab.run import run, spawn
from lab.settings import Settings

Servers = Mapping[str, Sequence[Server]]


START_SECONDS = 10.0
RELOADS = 3
RELOAD_SECONDS = 6.0


class Balancer:
    """`apply` makes the process match plan and servers. Not for several threads at once."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self.directory = settings.balancers_dir / name
        self._settings = settings
        self._network = LabNetwork(settings)
        self._cookie_key = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._plan: Plan | None = None
        self._servers: dict[str, dict[str, Server]] = {}
        self.leftovers = False
        """Whether servers that should be gone still have connections; the next `apply` tries again."""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def apply(self, plan: Plan, servers: Servers) -> None:
        """Starts HAProxy, reloads it without losing a connection when the plan changed, or changes its servers at run time."""
        if self.running and plan == self._plan:
            self._change_servers(plan, servers)
            return
        self._write(plan, servers)
        self._network.add_address(plan.address)
        if self.running:
            self._reload()
        else:
            self._start()
        self._plan, self.leftovers = plan, False
        self._servers = {pool.name: {s.name: s for s in servers.get(pool.name, ())} for pool in plan.pools}

    def disconnect(self, pool: str, server: str) -> None:
        """Closes what connections a server still has."""
        if server in self._servers.get(pool, {}):
            self._command(f"shutdown sessions server {pool}/{server}")

    def sessions(self) -> dict[tuple[str, str], int]:
        """(pool, server) → requests and connections that it is serving now."""
        found: dict[tuple[str, str], int] = {}
        for line in self._command("show stat -1 4 -1").splitlines():
            fields = line.split(",")
            if len(fields) > 4 and not line.startswith("#"):
                found[fields[0], fields[1]] = int(fields[4] or 0)
        return found

    def destroy(self) -> None:
        """Ends the process at once and takes its address and files away."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(5)
        if self._plan is not None:
            self._network.remove_address(self._plan.address)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _write(self, plan: Plan, servers: Servers) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for listener in plan.listeners:
            for rule in listener.rules:
                if isinstance(rule.action, Answer):
                    body_file(self.directory, rule.action).write_text(rule.action.body)
        new = self.directory / "haproxy.cfg.new"
        new.write_text(render(plan, self.directory, servers, self._cookie_key))
        if plan.listeners:
            run(["haproxy", "-q", "-c", "-f", new], timeout=20)
        new.replace(self.directory / "haproxy.cfg")

    def _start(self) -> None:
        enter = ["nsenter", f"--net={self._settings.netns_path}"]
        argv = [*enter, "haproxy", "-W", "-db", "-f", str(self.directory / "haproxy.cfg")]
        self._process = spawn(argv, log=self._settings.logs_dir / f"balancer-{self.name}.log")
        if not self._has_worker(None, START_SECONDS):
            self._refuse()

    def _reload(self) -> None:
        """A signal that comes while HAProxy still ends the reload before it may be lost, so it is sent again."""
        before = self._worker()
        for _ in range(RELOADS):
            if self._process is not None:
                self._process.send_signal(signal.SIGUSR2)
            if self._has_worker(before, RELOAD_SECONDS):
                return
        self._refuse()

    def _has_worker(self, before: str | None, seconds: float) -> bool:
        """Whether within that time there is a worker, and another one than before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.running:
            worker = self._worker()
            if worker and worker != before:
                return True
            time.sleep(0.02)
        return False

    def _refuse(self) -> NoReturn:
        log = self._settings.logs_dir / f"balancer-{self.name}.log"
        raise LabError(f"HAProxy of load balancer {self.name} did not take its configuration", hint=f"See {log}.")

    def _worker(self) -> str | None:
        """The worker that answers now, None when none does."""
        try:
            lines = self._command("show info").splitlines()
        except OSError:
            return None
        return next((line for line in lines if line.startswith("Pid: ")), None)

    def _change_servers(self, plan: Plan, servers: Servers) -> None:
        self.leftovers = False
        for pool in plan.pools:
            known = self._servers.setdefault(pool.name, {})
            desired = {s.name: s for s in servers.get(pool.name, ())}
            for server in desired.values():
                self._set_server(pool, known, server)
            for name in set(known) - set(desired):
                self._drop_server(pool, known, name)

    def _set_server(self, pool: Pool, known: dict[str, Server], server: Server) -> None:
        if known.get(server.name) == server:
            return
        target = f"{pool.name}/{server.name}"
        if server.name not in known:
            answer = self._command(f"add server {target} {server_line(pool, server)}")
            if "New server registered" not in answer:
                raise LabError(f"HAProxy did not add server {target}: {answer.strip()}")
            if pool.sticky_seconds is not None:
                # HAProxy 2.6 gives a server that is added at run time its cookie only with this.
                self._command(f"enable dynamic-cookie backend {pool.name}")
            known[server.name] = Server(server.name, server.address, server.port, "maint")
        if known[server.name].state != server.state:
            answer = self._command(f"set server {target} state {server.state}").strip()
            if answer:
                raise LabError(f"HAProxy did not set server {target} to {server.state}: {answer}")
        known[server.name] = server

    def _drop_server(self, pool: Pool, known: dict[str, Server], name: str) -> None:
        """A server that still has connections stays in maintenance and is dropped with the next change."""
        target = f"{pool.name}/{name}"
        self._command(f"set server {target} state maint; shutdown sessions server {target}")
        if "Server deleted" in self._command(f"del server {target}"):
            del known[name]
        else:
            known[name] = Server(name, known[name].address, known[name].port, "maint")
            self.leftovers = True

    def _command(self, command: str) -> str:
        """One line to HAProxy's runtime API; returns its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.directory / "stats.sock"))
            connection.sendall(command.encode() + b"\n")
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return answer.decode(errors="replace")
