"""A copy of all of moto's records, taken and put back within this process."""

from __future__ import annotations

import io
import pickle
import threading
import types
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from moto.core.base_backend import AccountSpecificBackend, BackendDict

Backends = dict[str, dict[str, dict[str, Any]]]
"""Service → account → region → the records."""
SHARED = (
    types.FunctionType,
    types.ModuleType,
    type,
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    BackendDict,
    AccountSpecificBackend,
)
"""What records refer to and a copy shares with its original: it is no data."""
SHARED_LIBRARY = "cryptography."
"""Its keys do not change and cannot be pickled."""


@dataclass(frozen=True)
class Records:
    """One copy. It can be put back any number of times, in the process that took it."""

    pickled: bytes
    shared: tuple[Any, ...]
    """What the copy only refers to, by its number in ``pickled``."""


def copy_of(backends: Backends) -> Records:
    """The caller sees to it that nobody changes the records meanwhile."""
    shared: list[Any] = []
    numbers: dict[int, int] = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: Any) -> int | None:
            if not isinstance(thing, SHARED) and not type(thing).__module__.startswith(SHARED_LIBRARY):
                return None
            if id(thing) not in numbers:
                numbers[id(thing)] = len(shared)
                shared.append(thing)
            return numbers[id(thing)]

        def reducer_override(self, thing: Any) -> Any:
            """A kind of defaultdict that is made with other arguments than its own reducer knows."""
            if isinstance(thing, defaultdict) and type(thing) is not defaultdict:
                made = (_empty, (type(thing), thing.default_factory), thing.__dict__)
                return (*made, None, iter(dict.items(thing)))
            return NotImplemented

    buffer = io.BytesIO()
    Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(backends)
    return Records(buffer.getvalue(), tuple(shared))


def _empty(kind: type[defaultdict[Any, Any]], default_factory: Any) -> defaultdict[Any, Any]:
    made = kind.__new__(kind)
    made.default_factory = default_factory
    return made


def original_of(records: Records) -> Backends:
    """The records anew, each time others."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, number: Any) -> Any:
            return records.shared[number]

    found: Backends = Unpickler(io.BytesIO(records.pickled)).load()  # what this process has pickled itself
    return found


def current() -> Backends:
    """The records of every service that has any, not copied."""
    return {
        service.service_name: {account: dict(regions) for account, regions in service.items()}
        for service in list(BackendDict._instances)
    }


def put_back(backends: Backends) -> None:
    """Puts them in the place of all records that there are. A service that has none in them begins anew."""
    for service in list(BackendDict._instances):
        accounts = backends.get(service.service_name, {})
        for account, regions in service.items():
            regions.clear()
            regions.update(accounts.get(account, {}))
