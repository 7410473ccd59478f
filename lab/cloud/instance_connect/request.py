"""A request of SendSSHPublicKey and what makes it invalid (EC2 Instance Connect API Reference, "SendSSHPublicKey"). Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INSTANCE_ID = re.compile(r"i-[a-f0-9]{8,30}")
OS_USER = re.compile(
    r"[A-Za-z_][A-Za-z0-9@._-]{0,30}[A-Za-z0-9$_-]?|(?=.{2,32}\Z)[0-9]{1,32}[A-Za-z@._-][A-Za-z0-9@._-]*[A-Za-z0-9$_-]?",
    re.ASCII,
)
ZONE = re.compile(r"(\w+-){2,3}\d+\w+", re.ASCII)
KEY_LENGTH = range(80, 4097)
RSA_BITS = (2048, 4096)
"""EC2 User Guide, "Requirements for key pairs": the lengths for the Instance Connect API. Key pairs may also have 1024."""
ED25519_BYTES = 32


class InvalidArgsError(ValueError):
    """What is wrong with which parameter."""


@dataclass(frozen=True)
class PushRequest:
    """`key`: type and base64, without a comment. `zone`: None when the caller did not say."""

    instance_id: str
    user: str
    key: str
    zone: str | None


def read_request(body: Mapping[str, Any]) -> PushRequest:
    """Raises InvalidArgsError."""
    zone = body.get("AvailabilityZone")
    return PushRequest(
        _matching(body, "InstanceId", INSTANCE_ID),
        _matching(body, "InstanceOSUser", OS_USER),
        public_key(body.get("SSHPublicKey")),
        None if zone is None else _matching(body, "AvailabilityZone", ZONE),
    )


def _matching(body: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or len(value) > 32 or not pattern.fullmatch(value):
        raise InvalidArgsError(f"Invalid {name}: {value!r} does not match {pattern.pattern}")
    return value


def public_key(text: Any) -> str:
    """An OpenSSH public key as the host gets it. ED25519 and RSA only: the host's package takes no line that does not begin with `ssh`."""
    if not isinstance(text, str) or len(text) not in KEY_LENGTH:
        raise InvalidArgsError(f"Invalid SSHPublicKey: it has {KEY_LENGTH.start} to {KEY_LENGTH.stop - 1} characters")
    lines = text.strip().splitlines()
    words = lines[0].split() if len(lines) == 1 else []
    try:
        kind, fields = words[0], _fields(base64.b64decode(words[1], validate=True))
    except (IndexError, binascii.Error, ValueError) as error:
        raise InvalidArgsError("Invalid SSHPublicKey: it is no public key in OpenSSH's format, on one line") from error
    if not fields or fields[0] != kind.encode() or not _supported(kind, fields):
        sizes = " or ".join(map(str, RSA_BITS))
        raise InvalidArgsError(
            f"Invalid SSHPublicKey: {kind!r} of this size is not supported, but ED25519 and RSA of {sizes} bits"
        )
    return f"{kind} {words[1]}"


def _supported(kind: str, fields: list[bytes]) -> bool:
    if kind == "ssh-ed25519":
        return len(fields) == 2 and len(fields[1]) == ED25519_BYTES
    return kind == "ssh-rsa" and len(fields) == 3 and int.from_bytes(fields[2]).bit_length() in RSA_BITS


def _fields(blob: bytes) -> list[bytes]:
    """The strings of a key (RFC 4253, 6.6). Raises ValueError when lengths and bytes do not agree."""
    fields = []
    while blob:
        size = int.from_bytes(blob[:4])
        if len(blob) < 4 + size:
            raise ValueError("a field is longer than the key")
        fields.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return fields
