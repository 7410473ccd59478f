"""The one loop that makes machines and load balancers match moto's records, and writes back what it sees.

API handlers change records and ring the bell (`wake`); only the parts of this loop have side effects. A part looks at
the world without the lock (`observe`), then compares and decides under the lock (`settle`). What takes time (boot a
machine, copy a file system) runs in a small pool; its outcome is written back under the lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

from lab.settings import Settings

log = logging.getLogger("lab.reconcile")

T = TypeVar("T")
TICK_SECONDS = 0.5
RETRY_SECONDS = 2.0

lock = threading.RLock()
"""Held by whoever reads or writes moto's EC2, Auto Scaling and ELB records: handlers, this loop, IMDS."""
_bell = threading.Event()


def wake() -> None:
    """A record has changed: the loop should look at once."""
    _bell.set()


class Actions:
    """Work that takes time: at most one piece per key at once, a few keys in parallel."""

    def __init__(self, workers: int = 6) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="action")
        self._running: set[Hashable] = set()
        self._not_before: dict[Hashable, float] = {}

    def busy(self, key: Hashable) -> bool:
        return key in self._running

    def start(
        self,
        key: Hashable,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        *,
        pause: float = 0.0,
    ) -> bool:
        """Runs `work` without the lock, then `done` or `failed` with it. False if the key is busy or has just failed.

        `pause`: seconds until the key may start again. Work that only looks needs one: each end of an action wakes the
        loop, which would look again at once, and so on without rest.
        """
        if key in self._running or time.monotonic() < self._not_before.get(key, 0):
            return False
        self._running.add(key)
        self._pool.submit(self._run, key, work, done, failed, pause)
        return True

    def _run(
        self,
        key: Hashable,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        pause: float,
    ) -> None:
        try:
            result = work()
        except Exception as error:
            log.exception("%s failed", key)
            with lock:
                self._not_before[key] = time.monotonic() + RETRY_SECONDS
                self._finish(key, partial(failed, error))
        else:
            with lock:
                self._not_before[key] = time.monotonic() + pause
                self._finish(key, partial(done, result))
        wake()

    def _finish(self, key: Hashable, write_back: Callable[[], None]) -> None:
        try:
            write_back()
        except Exception:
            log.exception("The outcome of %s could not be recorded", key)
        finally:
            self._running.discard(key)

    def close(self) -> None:
        """Waits for what is running; nothing new starts."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Part(Protocol):
    """One kind of record and the things in the world that belong to it."""

    def observe(self) -> None:
        """Looks at the world, without the lock."""

    def settle(self, actions: Actions) -> None:
        """Writes what was seen into the records and starts what is missing; the lock is held."""

    def close(self) -> None:
        """Undoes everything that this part has made in the world."""


class Reconciler(threading.Thread):
    """Runs its parts in order, every half second and whenever the bell rings. A failing part does not stop the others."""

    def __init__(self, settings: Settings, parts: Sequence[Part]) -> None:
        super().__init__(name=f"reconciler-{settings.name}", daemon=True)
        self._parts = tuple(parts)
        self._actions = Actions()
        self._stopping = threading.Event()

    def wake(self) -> None:
        wake()

    def run(self) -> None:
        while not self._stopping.is_set():
            _bell.wait(TICK_SECONDS)
            _bell.clear()
            for part in self._parts:
                self._pass(part)

    def _pass(self, part: Part) -> None:
        try:
            part.observe()
            with lock:
                if not self._stopping.is_set():
                    part.settle(self._actions)
        except Exception:
            log.exception("A pass of %s failed; the next one tries again", type(part).__name__)

    def stop(self) -> None:
        """Ends the loop, waits for running actions, then takes everything down, last part first."""
        self._stopping.set()
        wake()
        if self.is_alive():
            self.join()
        self._actions.close()
        for part in reversed(self._parts):
            try:
                part.close()
            except Exception:
                log.exception("Could not take down everything of %s", type(part).__name__)
