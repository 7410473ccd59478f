"""Health checks of load balancer targets: one probe per target and group, with the load balancer's counting rules.

The probes are the lab's own and HAProxy gets the result: a new target becomes healthy after one good answer and
unhealthy after `unhealthy_count` bad ones, which HAProxy's own checks can't express (Application Load Balancers,
"Health checks for target groups").
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.network import namespaces

State = Literal["initial", "healthy", "unhealthy"]


@dataclass(frozen=True)
class Check:
    """What to ask and how to count. `codes` is a matcher such as `200`, `200-399` or `200,404`; times in seconds."""

    address: str
    port: int
    tls: bool
    path: str
    codes: str
    interval: float
    timeout: float
    healthy_count: int
    unhealthy_count: int


@dataclass(frozen=True)
class Health:
    """A state, and for one that is not healthy the reason and description that DescribeTargetHealth shows."""

    state: State
    reason: str = ""
    description: str = ""


INITIAL = Health("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
HEALTHY = Health("healthy")


def matches(codes: str, status: int) -> bool:
    """Whether a status is in a matcher: single codes and ranges, separated by commas."""
    for part in codes.split(","):
        low, _, high = part.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def ask(check: Check) -> Health:
    """Makes one request and checks the answer."""
    connection: http.client.HTTPConnection
    if check.tls:
        unverified = ssl._create_unverified_context()  # noqa: S323 - load balancers do not verify targets' certificates
        connection = http.client.HTTPSConnection(check.address, check.port, timeout=check.timeout, context=unverified)
    else:
        connection = http.client.HTTPConnection(check.address, check.port, timeout=check.timeout)
    try:
        connection.request("GET", check.path, headers={"User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"})
        status = connection.getresponse().status
    except TimeoutError:
        return Health("unhealthy", "Target.Timeout", "Request timed out")
    except (OSError, http.client.HTTPException):
        return Health("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
    finally:
        connection.close()
    if matches(check.codes, status):
        return HEALTHY
    return Health("unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]")


class Tally:
    """Turns answers into a target's state."""

    def __init__(self, healthy_count: int, unhealthy_count: int) -> None:
        self._needed = {"healthy": healthy_count, "unhealthy": unhealthy_count}
        self._run = 0
        self._last: State = "initial"
        self.health = INITIAL

    def count(self, answer: Health) -> None:
        self._run = self._run + 1 if answer.state == self._last else 1
        self._last = answer.state
        first_success = self.health.state == "initial" and answer.state == "healthy"
        if answer.state == self.health.state or first_success or self._run >= self._needed[answer.state]:
            self.health = answer


class Probe(threading.Thread):
    """Asks one target at once and then every interval, until stopped. `changed` is called when its state changes."""

    def __init__(self, check: Check, namespace: Path, changed: Callable[[], None]) -> None:
        super().__init__(name=f"probe-{check.address}:{check.port}", daemon=True)
        self.check = check
        self._namespace = namespace
        self._changed = changed
        self._tally = Tally(check.healthy_count, check.unhealthy_count)
        self._stopped = threading.Event()
        self.start()

    @property
    def health(self) -> Health:
        return self._tally.health

    def run(self) -> None:
        namespaces.enter_network(self._namespace)
        while not self._stopped.is_set():
            before = self.health.state
            self._tally.count(ask(self.check))
            if self.health.state != before:
                self._changed()
            self._stopped.wait(self.check.interval)

    def stop(self) -> None:
        """Returns at once; a request that is under way ends by itself."""
        self._stopped.set()
