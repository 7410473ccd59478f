"""Session Manager of all regions: sessions that are records, channels that run, and the machines behind them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.ssm.exceptions import InvalidDocument, SSMException
from moto.ssm.models import ssm_backends

from lab.cloud.auth.keys import KEYS
from lab.cloud.auth.records import Caller
from lab.cloud.auth.request import access_key_of
from lab.cloud.ssm import documents, session_documents
from lab.cloud.ssm.session_documents import SessionPlan
from lab.cloud.ssm.session_records import Session, Sessions
from lab.errors import LabError
from lab.machines.machine import Machine
from lab.sessions import endpoints
from lab.sessions.channel import Events, Plan
from lab.sessions.endpoints import EndpointError, Opener, Started
from lab.sessions.server import ChannelServer
from lab.settings import CHANNEL_PORT, GATEWAY

if TYPE_CHECKING:
    from lab.cloud.ssm.records import LabSsmBackend

AGENT_UNIT, AGENT_PROGRAM = "amazon-ssm-agent.service", "/usr/bin/amazon-ssm-agent"
SESSION_USER = "ssm-user"
CONNECT_SECONDS = 10
MAKE_USER = f"""\
id {SESSION_USER} >/dev/null 2>&1 || useradd -m {SESSION_USER} || exit
file=/etc/sudoers.d/ssm-agent-users
[ -e $file ] || {{ umask 227; printf '# User rules for {SESSION_USER}\\n{SESSION_USER} ALL=(ALL) NOPASSWD:ALL\\n' >$file; }}
"""
"""What the agent does before its first shell session (agent/session/utility, CreateLocalAdminUser)."""


class SessionManager:
    """`close` ends all sessions."""

    def __init__(self, machine_of: Callable[[str], Machine | None]) -> None:
        self._machine_of = machine_of
        self._user = threading.Lock()
        self._channels = ChannelServer(GATEWAY, CHANNEL_PORT, _authorize)
        self.close = self._channels.close

    def start(self, backend: LabSsmBackend, caller: Caller, request: Mapping[str, Any]) -> Session:
        """StartSession: raises what the API would, else a client can connect."""
        name, content = self._document(backend, request.get("DocumentName"))
        try:
            plan = session_documents.plan(content, request.get("Parameters") or {})
        except documents.ParameterError as error:
            raise SSMException("InvalidParameters", str(error)) from error
        target = str(request["Target"])
        machine, version = self._connected(backend, target)
        session = backend.sessions.add(
            caller.name,
            owner=caller.arn,
            target=target,
            document_name=name,
            reason=str(request.get("Reason") or ""),
            longest_minutes=plan.longest_minutes,
        )
        longest = plan.longest_minutes * 60 if plan.longest_minutes else None
        self._channels.begin(
            Plan(
                session_id=session.session_id,
                target=target,
                session_type=plan.session_type,
                properties=plan.properties,
                agent_version=version,
                open=self._opener(machine, plan),
                alive=lambda: machine.running,
                events=_events(backend.sessions, session.session_id),
                idle_seconds=plan.idle_minutes * 60,
                longest_seconds=longest,
            )
        )
        return session

    def terminate(self, backend: LabSsmBackend, session_id: str) -> None:
        """TerminateSession. Raises UnknownSessionError; one that has ended stays as it is."""
        if not backend.sessions.get(session_id).ended:
            backend.sessions.enter(session_id, "Terminating")
            self._channels.terminate(session_id)

    def _document(self, backend: LabSsmBackend, asked: str | None) -> tuple[str, Mapping[str, Any]]:
        name = str(asked or session_documents.SHELL).rpartition(":document/")[2] or str(asked)
        try:
            document = backend.document(name)
        except InvalidDocument:
            if name == session_documents.SHELL:
                return name, session_documents.PREFERENCES
            raise InvalidDocument(f"Document with name {name} does not exist.") from None
        if document.document_type != "Session":
            raise InvalidDocument(f"Document {name} is of type {document.document_type}, not Session.")
        return name, document.content_json

    def _connected(self, backend: LabSsmBackend, target: str) -> tuple[Machine, str]:
        """The machine and its agent's version."""
        managed = next((m for m in backend.managed_instances() if m.instance_id == target), None)
        machine = self._machine_of(target)
        online = managed is not None and managed.online(backend.run_command.now())
        if managed is None or machine is None or not online or not machine.serves(AGENT_UNIT, AGENT_PROGRAM):
            raise SSMException("TargetNotConnected", f"{target} is not connected.")
        return machine, str(managed.information.get("AgentVersion", ""))

    def _opener(self, machine: Machine, plan: SessionPlan) -> Opener:
        if plan.session_type == "Port":
            return endpoints.port(partial(_from_machine, partial(machine.connect, plan.port, CONNECT_SECONDS)))
        profile = f"{plan.shell_profile}\n".encode() if plan.shell_profile.strip() else b""
        return endpoints.terminal(partial(_from_machine, partial(self._shell, machine, plan.run_as)), profile)

    def _shell(self, machine: Machine, run_as: str) -> Started:
        user = run_as or SESSION_USER
        if not run_as:
            with self._user:
                machine.exec(["sh", "-c", MAKE_USER], timeout=30)
        found = machine.exec(["sh", "-c", 'id -u "$1" && id -g "$1"', "sh", user], timeout=10)
        if found.returncode != 0:
            raise EndpointError(f"failed to start pty since RunAs user {user} does not exist")
        uid, gid = found.stdout.split()
        drop = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--init-groups"]
        env = {"HOME": f"/home/{user}", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        return Started(*machine.terminal([*drop, "sh"], env))


def _from_machine(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except LabError as error:
        raise EndpointError(str(error)) from error


def _events(sessions: Sessions, session_id: str) -> Events:
    return Events(
        connected=lambda: sessions.enter(session_id, "Connected"),
        disconnected=lambda: sessions.enter(session_id, "Disconnected"),
        ended=lambda status, _: sessions.enter(session_id, status),
    )


def _authorize(session_id: str, token: str, signature: str) -> bool:
    """A signature is of the lab's own key or one that it has issued, or is not there."""
    if signature and not KEYS.accepts(access_key_of(signature)):
        return False
    return any(sessions.authorize(session_id, token) for sessions in _all_sessions())


def _all_sessions() -> Iterable[Sessions]:
    for _, _, backend in list(ssm_backends.iter_backends()):
        yield backend.sessions
