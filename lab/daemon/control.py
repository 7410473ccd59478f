"""Commands to the daemon itself, on a socket that only root on this machine reaches: one line there, one line back, as JSON."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Mapping
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer

from lab.errors import LabError
from lab.settings import Settings

log = logging.getLogger("lab.control")


class Control(ThreadingUnixStreamServer):
    """``commands``: name → what is done with the argument."""

    daemon_threads = True

    def __init__(self, settings: Settings, commands: Mapping[str, Callable[[str], None]]) -> None:
        settings.control_socket.unlink(missing_ok=True)
        super().__init__(str(settings.control_socket), _Handler)
        settings.control_socket.chmod(0o600)
        self.commands = commands


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Control)  # noqa: S101
        asked = json.loads(self.rfile.readline())
        answer = {"error": "", "hint": ""}
        try:
            self.server.commands[asked["command"]](asked["argument"])
        except LabError as error:
            answer = {"error": str(error.args[0]), "hint": error.hint}
        except Exception as error:
            log.exception("%s failed", asked)
            answer = {"error": f"{asked['command']} failed: {error!r}", "hint": "See `lab logs`."}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def tell(settings: Settings, command: str, argument: str, timeout: float) -> None:
    """Returns when the daemon has done it; raises its LabError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(settings.control_socket))
            connection.sendall(json.dumps({"command": command, "argument": argument}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline() or "{}")
        except OSError as error:
            raise LabError(f"The lab's daemon does not answer: {error}", hint="See `lab logs`.") from error
    if answer.get("error", "The lab's daemon ended meanwhile"):
        raise LabError(answer.get("error", "The lab's daemon ended meanwhile"), hint=answer.get("hint", ""))
