"""The keys that were pushed: which instances have which, for whom, and until when."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from lab.cloud.instance_connect.signer import Signer
from lab.metadata.tree import InstanceMetadata, ManagedKeys

KEY_SECONDS = 60
"""SendSSHPublicKey (EC2 Instance Connect API Reference): the key remains for 60 seconds."""


@dataclass(frozen=True)
class Pushed:
    instance_id: str
    user: str
    entry: str
    ends: float


class PushedKeys:
    """`signer_of` gives a region's signer. `clock`: seconds since the epoch. They end with the process, like credentials."""

    def __init__(self, signer_of: Callable[[str], Signer], clock: Callable[[], float] = time.time) -> None:
        self._signer_of = signer_of
        self._clock = clock
        self._pushed: list[Pushed] = []
        self._change = threading.Lock()

    def push(self, region: str, instance_id: str, user: str, key: str, caller: str) -> str:
        """Gives an instance a key for a user; the same key once more begins its minute anew. Returns the request's id."""
        request_id = str(uuid.uuid4())
        ends = self._clock() + KEY_SECONDS
        entry = self._signer_of(region).sign(
            expires=math.ceil(ends), instance_id=instance_id, caller=caller, request_id=request_id, key=key
        )
        with self._change:
            self._pushed = [p for p in self._pushed if p.ends > self._clock()]
            self._pushed.append(Pushed(instance_id, user, entry, ends))
        return request_id

    def of(self, meta: InstanceMetadata) -> ManagedKeys:
        """What the instance's metadata show now: keys by user, oldest first."""
        signer, now = self._signer_of(meta.region), self._clock()
        active: dict[str, str] = {}
        with self._change:
            for pushed in self._pushed:
                if pushed.instance_id == meta.instance_id and pushed.ends > now:
                    active[pushed.user] = active.get(pushed.user, "") + pushed.entry
        return ManagedKeys(active, signer.certificate, signer.ocsp())
