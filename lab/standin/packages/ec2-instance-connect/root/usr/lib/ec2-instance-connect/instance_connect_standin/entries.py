"""The pushed keys as the metadata service shows them (aws-ec2-instance-connect-config, README, "Key Processing"). Pure.

An entry is lines of metadata (`#Name=value`), the key, the signature in base64, and an empty line. The signature is of all lines before it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    values: dict[str, str]
    key: str
    signed: bytes
    signature: bytes

    @property
    def expires(self) -> int:
        """Seconds since the epoch; 0 for one that does not say."""
        text = self.values.get("Timestamp", "")
        return int(text) if text.isascii() and text.isdigit() else 0


def read(text: str) -> Iterator[Entry]:
    """Entries that can be read; others are skipped."""
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line]
        about = [line for line in lines if line.startswith("#")]
        rest = lines[len(about) :]
        if lines[: len(about)] != about or len(rest) < 2 or not rest[0].startswith("ssh"):
            continue
        try:
            signature = base64.b64decode("".join(rest[1:]), validate=True)
        except (binascii.Error, ValueError):
            continue
        values = dict(line[1:].partition("=")[::2] for line in about)
        yield Entry(values, rest[0], "".join(f"{line}\n" for line in [*about, rest[0]]).encode(), signature)


def fingerprint(key: str) -> str:
    """As sshd's %f shows it: `SHA256:` and base64 without padding; empty for what is no key."""
    words = key.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error, ValueError):
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
