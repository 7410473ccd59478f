"""Logins as the scenario's administrators, from outside, with and without codes; and runs of its playbook."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml
from fleet_testing import address

EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
SCENARIO = Path(__file__).parents[1]
PEOPLE = yaml.safe_load((SCENARIO / "vars.yml").read_text())
SECRETS = {name: PEOPLE[f"__{name}"]["totp_secret"] for name in ("alice", "bob")}
STEP_SECONDS = 30


def code(name: str, steps: int = 0) -> str:
    """The person's one-time code now (RFC 6238), or so many steps later."""
    counter = struct.pack(">Q", int(time.time()) // STEP_SECONDS + steps)
    mac = hmac.new(base64.b32decode(SECRETS[name]), counter, hashlib.sha1).digest()
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 1000000:06d}"


def login(
    host: Any, name: str, command: str = "true", *, answer: str | None = None, key: str | None = None
) -> subprocess.CompletedProcess[str]:
    """A connection of its own. `answer` is what the person types when asked; None: nobody is there to answer."""
    asked = EPHEMERAL / "askpass"
    if not asked.exists():
        asked.write_text('#!/bin/sh\necho "$LOGIN_ANSWER"\n')
        asked.chmod(0o700)
    options = [
        "ControlPath=none",
        "IdentitiesOnly=yes",
        f"UserKnownHostsFile={EPHEMERAL}/known_hosts",
        "NumberOfPasswordPrompts=1",
    ]
    options += ["BatchMode=yes"] if answer is None else []
    words = [word for option in options for word in ("-o", option)]
    argv = ["ssh", *words, "-i", key or str(EPHEMERAL / "admin"), f"{name}@{address(host)}", command]
    environment = {
        **os.environ,
        "SSH_ASKPASS": str(asked),
        "SSH_ASKPASS_REQUIRE": "force",
        "LOGIN_ANSWER": answer or "",
    }
    return subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )


def ansible(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [argv[0], "-i", INVENTORY, *argv[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def look(host: Any, **arguments: Any) -> subprocess.CompletedProcess[str]:
    """The module by itself in check mode: what it finds on the host."""
    name = host.backend.get_hostname()
    return ansible(
        "ansible",
        name,
        "-b",
        "--check",
        "--diff",
        "-vvv",
        "-m",
        "ecommerce.fleet.admin_access",
        "-a",
        json.dumps({"totp": "off", **arguments}),
    )
