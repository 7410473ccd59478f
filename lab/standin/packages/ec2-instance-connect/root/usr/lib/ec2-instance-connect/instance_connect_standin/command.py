"""Prints the keys that were pushed to this instance for a user, and writes to the log who pushed them: sshd's AuthorizedKeysCommand."""

from __future__ import annotations

import base64
import pwd
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from instance_connect_standin import entries
from instance_connect_standin.metadata import Metadata, MetadataError
from instance_connect_standin.signer import Signer, SignerError

KEYS = "managed-ssh-keys"
INSTANCE = re.compile(r"i-[0-9a-f]{8,32}")
ZONE = re.compile(r"(([a-z]+-){2,3}[0-9])[a-z]")
DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "c2s.ic.gov", "sc2s.sgov.gov")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of its own is made there


def main(argv: list[str]) -> int:
    """`USER [FINGERPRINT]`. 0 also where there is no key: sshd goes on to others."""
    if not argv or not argv[0]:
        log("was invoked without a user and does nothing")
        return 1
    user, offered = argv[0], argv[1] if len(argv) > 1 else ""
    try:
        pwd.getpwnam(user)
    except KeyError:
        return 0
    try:
        for key in accepted(Metadata(), user, offered):
            print(key)
    except (MetadataError, SignerError) as error:
        log(f"trusts no key: {error}")
        return 255
    return 0


def accepted(metadata: Metadata, user: str, offered: str) -> Iterator[str]:
    text = metadata.get(f"{KEYS}/active-keys/{user}/")
    if not text:
        return
    instance = (metadata.get("instance-id") or "").strip()
    if not INSTANCE.fullmatch(instance):
        raise MetadataError("the instance metadata have no instance id")
    with tempfile.TemporaryDirectory(prefix="eic-", dir=SHARED_MEMORY) as folder:
        signer = Signer(
            expected_name(metadata), metadata.get(f"{KEYS}/signer-cert/") or "", answers(metadata), Path(folder)
        )
        for entry in entries.read(text):
            shown = entries.fingerprint(entry.key)
            if not shown or offered not in ("", shown):
                continue
            if entry.values.get("Instance") != instance or entry.expires <= time.time():
                continue
            if signer.signed(entry.signed, entry.signature):
                who = f"request-id: {entry.values.get('Request', '')}, for IAM principal: {entry.values.get('Caller', '')}"
                log(f"provides the SSH key with fingerprint {shown}, {who}")
                yield entry.key


def expected_name(metadata: Metadata) -> str:
    zone = ZONE.fullmatch((metadata.get("placement/availability-zone") or "").strip())
    domain = (metadata.get("services/domain") or "").strip()
    if zone is None or domain not in DOMAINS:
        raise MetadataError("the instance metadata have no zone, or no domain of AWS")
    return f"managed-ssh-signer.{zone.group(1)}.{domain}"


def answers(metadata: Metadata) -> dict[str, bytes]:
    names = (metadata.get(f"{KEYS}/signer-ocsp/") or "").split()
    return {name: base64.b64decode(metadata.get(f"{KEYS}/signer-ocsp/{name}") or "") for name in names}


def log(sentence: str) -> None:
    """To the security log, as everything about logins."""
    text = f"EC2 Instance Connect {sentence}"
    subprocess.run(["/usr/bin/logger", "-i", "-p", "authpriv.info", text], stdin=subprocess.DEVNULL, check=False)
