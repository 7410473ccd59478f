"""amazon-ssm-agent: registers, says every minute that it is there, and takes messages one long poll after the other."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import subprocess
import sys
import threading
import time
from typing import Any

from ssm_standin import VERSION
from ssm_standin.aws import AwsError, Client, Metadata
from ssm_standin.cli import SERVICES
from ssm_standin.commands import Commands
from ssm_standin.host import Identity, identity, information
from ssm_standin.paths import DATA, ERROR_FILE, LOG_FILE, RUNTIME
from ssm_standin.state import Store
from ssm_standin.worker import new_state

log = logging.getLogger("agent")

HEARTBEAT_SECONDS = 60
LONGEST_BACKOFF_SECONDS = 30
COMMAND_WORKERS = 5
VISIBILITY_SECONDS = 10
LOG_BYTES = 30_000_000
CREDENTIALS_REFUSED = ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException")


class Agent:
    def __init__(self) -> None:
        self.metadata = Metadata()
        self.who = self._identity()
        self.client = Client(self.who.region, self.metadata)
        self.commands = Commands(self.client, self.who, Store(DATA, self.who.instance_id), COMMAND_WORKERS, self.reboot)
        self._down = threading.Event()
        self._registered = False

    def _identity(self) -> Identity:
        backoff = Backoff()
        while True:
            try:
                return identity(self.metadata)
            except AwsError as error:
                log.warning("This host does not know which instance it is: %s", error)
                backoff.wait()

    def run(self) -> None:
        log.info("amazon-ssm-agent - v%s (stand-in) on %s in %s", VERSION, self.who.instance_id, self.who.region)
        self._write_state()
        self._heartbeat()
        self.commands.resume()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        backoff = Backoff()
        while not self._down.is_set():
            try:
                self._poll()
                backoff = Backoff()
            except AwsError as error:
                self._failed("Asking for messages", error)
                backoff.wait()
        threading.Event().wait()

    def _beat(self) -> None:
        while not self._down.wait(HEARTBEAT_SECONDS):
            self._heartbeat()

    def reboot(self) -> None:
        """In a minute. Until then the agent runs and does nothing; what it was doing is taken up again when it starts, also if that is
        before the machine goes down."""
        if not self._down.is_set():
            self._down.set()
            done = subprocess.run(
                ["/sbin/shutdown", "-r", "+1"], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
            )
            if done.returncode:
                log.error("Rebooting: shutdown ended with %d: %s", done.returncode, done.stderr.strip())

    def _heartbeat(self) -> None:
        """UpdateInstanceInformation until it is taken."""
        backoff = Backoff()
        while True:
            try:
                self.client.call("ssm", "UpdateInstanceInformation", information(self.who))
            except AwsError as error:
                self._failed("Registering", error)
                backoff.wait()
            else:
                if not self._registered:
                    log.info("Registered with Systems Manager")
                self._registered = True
                return

    def _failed(self, doing: str, error: AwsError) -> None:
        log.warning("%s: %s", doing, error)
        if error.code in CREDENTIALS_REFUSED:
            self.client.forget_credentials()

    def _poll(self) -> None:
        request = {
            "Destination": self.who.instance_id,
            "MessagesRequestId": f"{self.who.instance_id}-{time.time_ns()}",
            "VisibilityTimeoutInSeconds": VISIBILITY_SECONDS,
        }
        for message in self.client.call("ec2messages", "GetMessages", request).get("Messages", []):
            try:
                self._handle(message)
            except (KeyError, TypeError, ValueError) as error:
                log.warning("Message %s can't be read: %r", message.get("MessageId"), error)
                failed = {"MessageId": message["MessageId"], "FailureType": "InternalHandlerException"}
                self.client.call("ec2messages", "FailMessage", failed)

    def _handle(self, message: dict[str, Any]) -> None:
        payload = json.loads(message["Payload"])
        if message["Topic"].startswith("aws.ssm.cancelCommand"):
            command_id = payload["CancelMessageId"].split(".")[2]
            self.commands.cancel(message["MessageId"], command_id)
        elif message["Topic"].startswith("aws.ssm.sendCommand"):
            self.commands.accept(new_state(message["MessageId"], self.who.instance_id, self.who.region, payload))
        else:
            raise ValueError(f"unexpected topic {message['Topic']}")

    def _write_state(self) -> None:
        """What ssm-cli reads."""
        state = {
            "pid": os.getpid(),
            "endpoints": {service: self.client.endpoint(service) for service in (*SERVICES, "sts")},
        }
        RUNTIME.parent.mkdir(exist_ok=True)
        partial = RUNTIME.with_suffix(".new")
        partial.write_text(json.dumps(state))
        partial.replace(RUNTIME)


class Backoff:
    """1, 2, 4, … seconds."""

    def __init__(self) -> None:
        self._next = 1.0

    def wait(self) -> None:
        time.sleep(self._next)
        self._next = min(self._next * 2, LONGEST_BACKOFF_SECONDS)


def start_logging() -> None:
    LOG_FILE.parent.mkdir(parents=True, exist_ok=True)
    shape = logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)s [%(name)s] %(message)s", "%Y-%m-%d %H:%M:%S")
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for path, level in ((LOG_FILE, logging.INFO), (ERROR_FILE, logging.WARNING)):
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=5)
        handler.setLevel(level)
        handler.setFormatter(shape)
        root.addHandler(handler)
    journal = logging.StreamHandler(sys.stderr)
    journal.setFormatter(logging.Formatter("%(levelname)s [%(name)s] %(message)s"))
    root.addHandler(journal)


def main(argv: list[str]) -> int:
    if argv in (["-version"], ["--version"]):
        print(f"SSM Agent version: {VERSION}")
        return 0
    if argv:
        print(f"amazon-ssm-agent (stand-in) knows -version only, not {' '.join(argv)}", file=sys.stderr)
        return 1
    if os.geteuid() != 0:
        print(
            "amazon-ssm-agent has to run as root; it is started by: systemctl start amazon-ssm-agent", file=sys.stderr
        )
        return 1
    start_logging()
    Agent().run()
    return 0
