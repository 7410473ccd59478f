# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How ssh is started for a session: its options, the run's key pair, and what went wrong when it ended.

A connection is opened by one ssh, the master, which stays in the background (ControlPersist). What is run on the host goes through it only:
where it is gone, nothing has begun and a new one may be opened; where it goes while something runs, that must not be started again.

Sources: ssh_config(5), ssh(1).
"""

from __future__ import annotations

import fcntl
import json
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import proxy

GONE = "session_manager_ssh: there is no open session"
"""What ssh's ProxyCommand says where a command finds no master; ssh has not even begun to connect then."""
KEEP_ALIVE_SECONDS = 10
"""Also what keeps a session from being idle for Session Manager (20 minutes by default) while a task has no output."""
KEPT = re.compile(r"controlpersist[= ]+(\S+)", re.IGNORECASE)
BANNER = re.compile(r"banner line \d+: (?:SessionId: \S+ : )?(.+)")
"""What session-manager-plugin writes before the host's sshd answers, as ssh notes it."""
NOT_SAID = re.compile(
    r"debug\d: |Starting session with SessionId|ControlSocket .* already exists|^\s*$|^@+|^It is (also )?possible"
)


@dataclass(frozen=True)
class Connection:
    """One host's. ``control``: path of the master's socket; ``key``: the run's private key; ``known_hosts``: None where a host's key is
    accepted at the first connection; ``persist``: ssh's ControlPersist; ``seconds``: for sshd to answer through a session."""

    target: proxy.Target
    control: Path
    key: Path
    known_hosts: Path | None
    host_keys: str = proxy.HOST_KEYS
    plugin: str = "session-manager-plugin"
    persist: str = "60s"
    seconds: int = 120

    @property
    def record(self) -> Path:
        """The session's id: for the tasks to come, each a process of its own."""
        return Path(f"{self.control}.session")

    @property
    def log(self) -> Path:
        """The master's."""
        return Path(f"{self.control}.log")

    def start(self) -> proxy.Session:
        """A session for `opening`. Raises ProxyError, and OSError of a file."""
        public_key = self.key.with_name(f"{self.key.name}.pub")
        session = proxy.connect(self.target, public_key, self.plugin, self.known_hosts, self.host_keys)
        self.record.write_text(json.dumps({"session_id": session.id}), encoding="utf-8")
        return session

    def common(self) -> list[str]:
        """Options of every ssh, scp and sftp: they come first, so nothing of a user's own overrides them."""
        checked = "accept-new"
        options: list[str] = []
        if self.known_hosts:
            checked = "yes"
            options = [f'UserKnownHostsFile="{self.known_hosts}"', "GlobalKnownHostsFile=/dev/null"]
        return _o(
            *options, f"StrictHostKeyChecking={checked}", f"HostKeyAlias={self.target.instance}", "UpdateHostKeys=no", "CheckHostIP=no",
            f'IdentityFile="{self.key}"', "IdentitiesOnly=yes", "BatchMode=yes", f'ControlPath="{_escaped(self.control)}"',
        )  # fmt: skip

    def riding(self) -> list[str]:
        """Further options of what goes through the open session only."""
        return _o(f"ProxyCommand=echo {shlex.quote(GONE)} >&2; exit 1", "ControlMaster=no", "ControlPersist=no")

    def opening(self, session: proxy.Session) -> list[str]:
        """Further options of the master. What the plugin says before sshd answers is noted, and no command that is run later."""
        proxy_command = shlex.join(session.command).replace("%", "%%")
        return [
            *_o(
                f"ProxyCommand={proxy_command}", "ControlMaster=yes", f"ControlPersist={self.persist}",
                f"ConnectTimeout={self.seconds}", f"ServerAliveInterval={KEEP_ALIVE_SECONDS}", "ServerAliveCountMax=3",
                # The plugin sends less than 1 MB/s, and a module is base64.
                "Compression=yes",
                "IgnoreUnknown=LogVerbose", "LogVerbose=kex.c:kex_exchange_identification():*",
            ),
            "-E", str(self.log), "-f", "-N",
        ]  # fmt: skip

    def is_open(self) -> bool:
        """Whether a master listens."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(str(self.control))
            except OSError:
                return False
        return True

    def forget(self) -> None:
        """Removes what an earlier connection has left, and of hosts to which there is none any more."""
        for file in (self.control, self.record, self.log):
            file.unlink(missing_ok=True)
        for record in self.control.parent.glob("*.session"):
            if time.time() - record.stat().st_mtime > 3600 and not record.with_suffix("").exists():
                record.unlink(missing_ok=True)
                record.with_suffix(".log").unlink(missing_ok=True)

    def recorded(self) -> dict[str, Any]:
        """Of the session that was started last; empty where none was."""
        try:
            found: dict[str, Any] = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def last_words(self) -> str:
        """Why the master has ended, by its log: what the plugin said, and ssh's last line."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        said = [found[1].strip() for found in BANNER.finditer(text)]
        lines = [line.strip() for line in text.splitlines() if not NOT_SAID.search(line)]
        return "; ".join(
            dict.fromkeys(text.rstrip(".") for text in [*said[-2:], *lines[-1:]] if not NOT_SAID.search(text))
        )


def _o(*options: str) -> list[str]:
    return [word for option in options for word in ("-o", option)]


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """One process at a time."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def key_pair(folder: Path) -> Path:
    """The private key of this run, made at the first call; its public half is beside it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = folder / "id_ed25519"
    with alone(folder / "lock"):
        if not key.exists():
            new = folder / "new"
            new.unlink(missing_ok=True)
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ansible", "-f", str(new)]
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
            folder.joinpath("new.pub").replace(f"{key}.pub")
            new.replace(key)
    return key


def persist(*arguments: str | None) -> str:
    """The ControlPersist that the user's own arguments ask for; a minute where they don't."""
    found = [match[1].strip("'\"") for text in arguments if text for match in KEPT.finditer(text)]
    return next((value for value in found if value.lower() not in ("no", "false")), "60s")


@dataclass(frozen=True)
class Failure:
    """Why no connection was opened. ``passes``: whether a new try may do."""

    message: str
    passes: bool


def opening_failure(connection: Connection, started: proxy.Session, code: int, now: float) -> Failure:
    """Of a master that ended with ``code`` although its session was started."""
    target, words = connection.target, connection.last_words()
    through = f"session {started.id}"
    if (
        "Host key verification failed" in words
        or "HOST IDENTIFICATION HAS CHANGED" in words
        or "host key is known for" in words
    ):
        published = (
            f"none of those that it has published ({connection.host_keys}/{target.instance})"
            if connection.known_hosts
            else "not the one that was accepted"
        )
        return Failure(
            f"The host key of {target} is {published}: another machine answers, or its keys were changed. Nothing was run ({through}). If "
            "its keys were changed on purpose, let the host publish them again (a reboot does).",
            False,
        )
    if "Permission denied" in words:
        age = now - started.pushed
        if age >= proxy.KEY_SECONDS:
            return Failure(
                f"The key that was pushed to {target} expired before its sshd asked for it, {age:.0f} s later ({through}).",
                True,
            )
        return Failure(
            f"sshd of {target} refused the key that was pushed {age:.0f} s before, for user {target.user} ({through}): {words}. Is "
            "ec2-instance-connect installed there, and its program the AuthorizedKeysCommand of `sshd -T`?",
            True,  # a host that has just booted has no such user yet
        )
    return Failure(
        f"{through[0].upper()}{through[1:]} to {target} ended before sshd had let us in: {words or f'no reason was given (ssh: {code})'}.",
        True,
    )


def lost(connection: Connection) -> str:
    """The message about a session that ended while something ran on the host."""
    session = connection.recorded().get("session_id", "of an earlier run")
    words = connection.last_words()
    return (
        f"Session {session} to {connection.target} ended while a command ran there{f': {words}' if words else ''}. Whether it has "
        "finished is not known; it was not started again. Look at the host, then run the same again."
    )


def spliced(command: Sequence[bytes], binary: bytes, options: Sequence[str]) -> list[bytes]:
    """The command with ``options`` before all others: ssh takes the first value that it finds. But it would try every key, so a stored one
    (ansible_ssh_private_key_file) is left out."""
    at = list(command).index(binary) + 1
    left = list(command[at:])
    for number in reversed(range(1, len(left))):
        if left[number - 1] == b"-o" and left[number].startswith(b"IdentityFile="):
            del left[number - 1 : number + 1]
    return [*command[:at], *(option.encode() for option in options), *left]
