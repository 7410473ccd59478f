"""The one loop that makes machines and load balancers match moto's records, and writes back what it sees.

API handlers change records and wake the loop; only its parts have side effects. A part compares and decides under the lock (`settle`).
What takes time (boot a machine, copy a file system) runs in a small pool; its outcome is written back under the lock.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from lab.settings import Settings

log = logging.getLogger("lab.reconcile")

T = TypeVar("T")
READS = ("Describe", "Get", "List")
"""How the names of actions begin that change no record."""
TICK_SECONDS = 0.5
RETRY_SECONDS = 2.0
CATCH_UP_SECONDS = 0.1

lock = threading.RLock()
"""Held by whoever reads or writes moto's EC2, Auto Scaling and ELB records: handlers, this loop, IMDS."""
_changed = threading.Event()


def wake() -> None:
    """A record has changed: the loop runs at once."""
    _changed.set()


def require_no_records(backends: Any) -> None:
    """Raises RuntimeError when moto has made records of a service already: the lab's own must be in place first."""
    if any(account for account in backends.values()):
        raise RuntimeError(f"The lab's {backends.service_name} was installed after moto's first record")


class LockedRequests:
    """Mixed into a moto response class: its requests see and change records under the lock, and wake the loop."""

    def call_action(self) -> Any:
        with lock:
            answer = super().call_action()  # type: ignore[misc]
        if not self._get_action().startswith(READS):  # type: ignore[attr-defined]
            wake()
        return answer


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
        loop, which would look again at once, and so on without end.
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

    def wait(self) -> None:
        """Returns once nothing is running; the caller sees to it that nothing starts."""
        while self._running:
            time.sleep(0.02)

    def close(self) -> None:
        """Waits for what is running; nothing new starts."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Part(Protocol):
    """One kind of record and the things in the world that belong to it."""

    def settle(self, actions: Actions) -> None:
        """Writes the actual state into the records and starts what is missing; the lock is held."""

    def close(self) -> None:
        """Undoes everything that this part has made in the world."""


class Reconciler(threading.Thread):
    """Runs its parts in order, every half second and whenever it is woken. A failing part does not stop the others."""

    def __init__(self, settings: Settings, parts: Sequence[Part]) -> None:
        super().__init__(name=f"reconciler-{settings.name}", daemon=True)
        self._parts = tuple(parts)
        self._actions = Actions()
        self._stopping = threading.Event()
        self._turn = threading.Lock()
        """Held during a pass over the parts, and by whoever pauses the loop."""

    def run(self) -> None:
        while not self._stopping.is_set():
            _changed.wait(TICK_SECONDS)
            _changed.clear()
            with self._turn:
                self._pass_all(self._parts)

    def part(self, kind: type[T]) -> T:
        """The part of this kind."""
        return next(part for part in self._parts if isinstance(part, kind))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No pass is made meanwhile, and no action runs at the beginning."""
        with self._turn:
            self._actions.wait()
            yield

    def catch_up(self, ready: Callable[[], bool], timeout: float, *, without: type | None = None) -> bool:
        """While paused: passes over all parts but those of one kind until `ready`; False when it is not in time."""
        parts = [part for part in self._parts if without is None or not isinstance(part, without)]
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not self._stopping.is_set():
            self._pass_all(parts)
            with lock:
                done = ready()
            if done:
                self._actions.wait()
                return True
            _changed.wait(CATCH_UP_SECONDS)
            _changed.clear()
        return False

    def _pass_all(self, parts: Sequence[Part]) -> None:
        for part in parts:
            self._pass(part)

    def _pass(self, part: Part) -> None:
        try:
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
