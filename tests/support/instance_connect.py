"""EC2 Instance Connect without a lab: pushed keys behind a metadata service on loopback, and the host's program in this process."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from lab.cloud.instance_connect.pushed_keys import PushedKeys
from lab.cloud.instance_connect.signer import Signer
from lab.metadata.server import MetadataServer, Service
from lab.standin.authority import Signed, authority
from tests.support.metadata import Instance, issue

LIBRARY = (
    Path(__file__).resolve().parents[2] / "lab/standin/packages/ec2-instance-connect/root/usr/lib/ec2-instance-connect"
)
CALLER = "arn:aws:iam::000000000000:user/lab"


@dataclass
class Clock:
    """Seconds since the epoch that a test moves."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Pushing:
    """`keys` of one instance, which `address` serves."""

    keys: PushedKeys
    signed_by: Signed
    bundle: Path
    address: str = ""
    instance: Instance = field(default_factory=lambda: Instance(address="127.0.0.1"))


@contextmanager
def program() -> Iterator[ModuleType]:
    """The host's program as it imports itself."""
    sys.path.insert(0, str(LIBRARY))
    try:
        yield importlib.import_module("instance_connect_standin.command")
    finally:
        sys.path.remove(str(LIBRARY))


@contextmanager
def serving(cache: Path, clock: Clock) -> Iterator[Pushing]:
    """A metadata service on loopback, and the file of certificates that a host would trust."""
    signed_by = authority(cache)
    bundle = cache / "bundle.crt"
    bundle.write_text(signed_by.chain[-1].pem)
    signers: dict[str, Signer] = {}
    keys = PushedKeys(lambda region: signers.setdefault(region, Signer(signed_by, region)), clock)
    made = Pushing(keys, signed_by, bundle)
    server = MetadataServer(Service(lambda address: made.instance, issue, keys_of=keys.of), "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    made.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def key_pair(folder: Path, kind: str = "ed25519", bits: int = 0) -> tuple[Path, str]:
    """A new private key's file and its public key, type and base64 only."""
    file = folder / f"key-{kind}-{bits}"
    words = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(file), *(["-b", str(bits)] if bits else [])]
    subprocess.run(words, check=True, timeout=60)
    return file, " ".join(Path(f"{file}.pub").read_text().split()[:2])
