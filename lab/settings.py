"""Where a lab keeps its things and how it is reached: names, paths and addresses that do not change while it runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lab.errors import LabError

OperatingSystem = Literal["al2", "al2023"]
OPERATING_SYSTEMS: tuple[OperatingSystem, ...] = get_args(OperatingSystem)

ACCOUNT_ID = "000000000000"
ACCESS_KEY = "AKIAFLEETLAB00000000"
SECRET_KEY = "fleetlab" * 5
"""Fixed and public: they open nothing but a lab."""
REGIONS = ("us-east-1", "us-west-2")
DEFAULT_REGION = REGIONS[0]

BRIDGE = "lab0"
BRIDGE_MAC = "02:00:0a:00:00:01"
GATEWAY = "10.0.0.1"
PREFIX_LENGTH = 16
IMDS_ADDRESS = "169.254.169.254"
API_PORT = 4566
CHANNEL_PORT = 4567
"""Of Session Manager's data channels; AWS has them at ssmmessages.<region>.amazonaws.com."""
REPOSITORY_PORT = 8080
STATES = Path("/var/lib/ecommerce-fleet")
"""Where a lab keeps its state, in a folder of its name, unless LAB_STATE says otherwise."""
SOCKET_PATH_LENGTH = 107 - len("/0123456789.0123456789abcdef")
"""Characters that a folder of ssh's sockets may have: less the name of a socket while it is made."""


@dataclass(frozen=True)
class Settings:
    """One lab. Two labs with different names share nothing but the cache."""

    name: str
    state: Path
    """Everything of this lab; `lab down` deletes it."""
    cache: Path
    """Base images and packages, by digest; survives `lab down`."""
    oses: tuple[OperatingSystem, ...] = OPERATING_SYSTEMS
    """The operating systems that this lab has base images and repositories for."""
    bases: tuple[str, ...] = ()
    """Names of imported images that take the place of the stand-ins; each has its operating system in its own record."""

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """From LAB_NAME, LAB_STATE, LAB_CACHE, LAB_OS (`al2`, `al2023` or `both`) and LAB_BASE (names, separated by commas)."""
        env = os.environ if environ is None else environ
        name = env.get("LAB_NAME") or "lab"
        if not re.fullmatch(r"[a-z0-9]{1,8}", name):
            raise LabError(f"LAB_NAME is {name!r}", hint="It takes 1 to 8 lower-case letters or digits.")
        state = Path(env.get("LAB_STATE") or STATES / name)
        cache = Path(env.get("LAB_CACHE") or "/var/cache/ecommerce-fleet")
        for variable, path in (("LAB_STATE", state), ("LAB_CACHE", cache)):
            if not path.is_absolute() or re.search(r"[\s:,\\]", str(path)):
                raise LabError(
                    f"{variable} is {str(path)!r}",
                    hint="It takes an absolute path without blanks, colons, commas or backslashes (mount options).",
                )
        bases = tuple(name.strip() for name in env.get("LAB_BASE", "").split(",") if name.strip())
        return cls(name, state, cache, operating_systems(env.get("LAB_OS") or "both"), bases)

    @property
    def netns(self) -> str:
        return f"fleet-{self.name}"

    @property
    def netns_path(self) -> Path:
        return Path("/run/netns") / self.netns

    @property
    def endpoint(self) -> str:
        return f"http://{GATEWAY}:{API_PORT}"

    @property
    def machines_dir(self) -> Path:
        return self.state / "machines"

    @property
    def images_dir(self) -> Path:
        return self.state / "images"

    @property
    def repositories_dir(self) -> Path:
        """What port 8080 serves: one directory (or link) per operating system."""
        return self.state / "repositories"

    @property
    def balancers_dir(self) -> Path:
        return self.state / "balancers"

    @property
    def logs_dir(self) -> Path:
        return self.state / "logs"

    @property
    def ssh_key(self) -> Path:
        """The private key that `lab ssh` and `lab run` offer; its public half is beside it (`.pub`)."""
        return self.state / "ssh" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.state / "ssh" / "known_hosts"

    @property
    def control_path_dir(self) -> Path:
        """Where ssh keeps connections open: in the state folder, or if that has too long a name for a socket, beside it in /run."""
        folder = self.state / "ssh" / "cp"
        return folder if len(str(folder)) <= SOCKET_PATH_LENGTH else Path("/run") / f"{self.netns}-ssh"

    @property
    def hosts_file(self) -> Path:
        """Bound over /etc/hosts for everything that `lab run` starts."""
        return self.state / "hosts"

    @property
    def control_socket(self) -> Path:
        """Where the daemon takes commands; in /run, since a state folder may have too long a name for a socket."""
        return Path("/run") / f"{self.netns}.control"

    @property
    def status_file(self) -> Path:
        return self.state / "status.json"

    def machine_environment(self) -> dict[str, str]:
        """What every process on a machine finds in its environment: as on EC2, plus where AWS is."""
        return {"AWS_ENDPOINT_URL": self.endpoint}


def operating_systems(text: str) -> tuple[OperatingSystem, ...]:
    """`al2`, `al2023` or `both` as a tuple."""
    if text == "both":
        return OPERATING_SYSTEMS
    for known in OPERATING_SYSTEMS:
        if text == known:
            return (known,)
    raise LabError(f"Unknown operating system {text!r}", hint=f"Use one of: {', '.join(OPERATING_SYSTEMS)}, both.")
