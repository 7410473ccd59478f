"""What a load balancer has to do, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Server:
    """One target. `ready` takes requests; `maint` takes no new ones, sticky or not, and finishes what it has."""

    name: str
    address: str
    port: int
    state: Literal["ready", "maint"]


@dataclass(frozen=True)
class Pool:
    """A group of servers. `sticky_seconds` is the life of the balancer's own cookie, None for no stickiness."""

    name: str
    tls: bool = False
    algorithm: Literal["roundrobin", "leastconn"] = "roundrobin"
    sticky_seconds: int | None = None


@dataclass(frozen=True)
class Condition:
    """True when any of the values matches. `path`, `host`, `header` take `*` and `?` as wildcards, `source` takes CIDRs."""

    kind: Literal["path", "host", "header", "method", "source"]
    values: tuple[str, ...]
    header: str = ""


@dataclass(frozen=True)
class Forward:
    pools: tuple[tuple[str, int], ...]
    """(pool, weight); weights are relative."""


@dataclass(frozen=True)
class Answer:
    """A fixed response."""

    status: int
    content_type: str
    body: str


@dataclass(frozen=True)
class Redirect:
    """`location` may contain #{protocol}, #{host}, #{port}, #{path} and #{query} of the request."""

    status: int
    location: str


@dataclass(frozen=True)
class Rule:
    """Applies when all conditions are true; the last rule of a listener has none."""

    conditions: tuple[Condition, ...]
    action: Forward | Answer | Redirect


@dataclass(frozen=True)
class Listener:
    port: int
    certificate: Path | None
    """A PEM file with key and chain for HTTPS, None for HTTP."""
    tls_minimum: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Plan:
    address: str
    idle_seconds: int
    forwarded_for: Literal["append", "preserve", "remove"]
    listeners: tuple[Listener, ...]
    pools: tuple[Pool, ...]
