"""Who signs pushed keys, so that a host can tell them from what somebody else put before it.

The format is what Amazon's package on the host reads (aws-ec2-instance-connect-config, README, "Key Processing"): lines of metadata, the
key, and the signature of them all (RSA-PSS, SHA-256, 32 bytes of salt) by a certificate whose name has the region.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from lab.standin.authority import Signed, pem

RENEWED_SECONDS = 3600.0
SALT_BYTES = 32


class Signer:
    """Signs for one region. A certificate of its own, and OCSP answers that are renewed every hour."""

    def __init__(self, authority: Signed, region: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._signed = authority.issue(f"managed-ssh-signer.{region}.amazonaws.com")
        self._clock = clock
        self._answers: tuple[float, dict[str, str]] | None = None
        self._change = threading.Lock()

    @property
    def certificate(self) -> str:
        """The chain in PEM, the signer's own first."""
        return pem(self._signed.chain)

    def ocsp(self) -> dict[str, str]:
        """SHA-1 fingerprint of each certificate below the root (hexadecimal, capitals) → its OCSP answer, in base64."""
        with self._change:
            if self._answers is None or self._clock() - self._answers[0] >= RENEWED_SECONDS:
                made = {
                    signed.certificate.fingerprint(hashes.SHA1()).hex().upper(): _base64(signed.ocsp())  # noqa: S303
                    for signed in self._signed.chain[:-1]
                }
                self._answers = (self._clock(), made)
            return self._answers[1]

    def sign(self, *, expires: int, instance_id: str, caller: str, request_id: str, key: str) -> str:
        """One entry of what the host reads: it ends with an empty line. `expires`: seconds since the epoch."""
        text = f"#Timestamp={expires}\n#Instance={instance_id}\n#Caller={caller}\n#Request={request_id}\n{key}\n"
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), SALT_BYTES)
        return f"{text}{_base64(self._signed.key.sign(text.encode(), pss, hashes.SHA256()))}\n\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
