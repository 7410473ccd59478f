"""Homes: a person's own is closed; what others may need, because it is shared or the system's, is reported."""

from __future__ import annotations

import os

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce

OPEN_HOMES = {"check": "open_homes"}
DAEMON = 1
"""A user and a group that the machine which runs the tests has: there, the owner's name is asked."""


def homes(
    machine: Machine, *entries: tuple[str, str], owner: int = DAEMON, group: int = DAEMON, mode: int = 0o755
) -> None:
    """People who are `daemon` to the kernel, each with a home that exists."""
    rows = ["root:x:0:0::/root:/bin/bash", "nginx:x:990:990::/var/lib/nginx:/sbin/nologin"]
    rows += [f"{name}:x:{1000 + number}:1::{home}:/bin/bash" for number, (name, home) in enumerate(entries)]
    machine.put("/etc/passwd", "".join(row + "\n" for row in rows))
    machine.put("/etc/group", "root:x:0:\ndaemon:x:1:\n")
    for _name, home in entries:
        real = machine.root / home.strip("/")
        real.mkdir(parents=True, exist_ok=True)
        os.chown(real, owner, group)
        real.chmod(mode)


def mode(machine: Machine, path: str) -> int:
    return (machine.root / path.lstrip("/")).stat().st_mode & 0o7777


@pytest.mark.parametrize(
    "home",
    ["/home/daemon", "/home/staff/d.aemon", "/home/other-name", "/srv/daemon", "/data/homes/daemon", "/home/daemon/"],
)
@pytest.mark.parametrize("before", [0o755, 0o777, 0o751, 0o705, 0o2755])
def test_a_home_of_ones_own_is_closed(machine: Machine, home: str, before: int) -> None:
    homes(machine, ("daemon", home), mode=before)
    enforce(machine.host(), "account_list", OPEN_HOMES)
    assert mode(machine, home) == before & 0o750


@pytest.mark.parametrize(
    "home",
    [
        "/usr/share/nginx/html",
        "/var/www/daemon",
        "/var/lib/daemon",
        "/opt/daemon",
        "/etc",
        "/tmp",  # noqa: S108 - below a test's directory
        "/home",
        "/home/../usr/share",
        "/srv/www",
        "/srv",
        "/daemon",
    ],
)  # fmt: skip
def test_a_directory_of_the_system_is_left_and_reported(machine: Machine, home: str) -> None:
    (machine.root / "home").mkdir()
    homes(machine, ("daemon", home))
    with pytest.raises(HostError, match="needs a person"):
        enforce(machine.host(), "account_list", OPEN_HOMES)
    assert mode(machine, home) == 0o755
    told = [what for what, _desired, _found in differences(machine.host(), "account_list", OPEN_HOMES)]
    assert (
        len(told) == 1
        and "a directory of the system or of a service" in told[0]
        and "give daemon a home of its own" in told[0]
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"owner": 0}, "it belongs to root"),
        ({"mode": 0o1777}, "it is shared: 1777"),
        ({"mode": 0o2755, "group": 0}, "it is shared: 2755 daemon:root"),
        ({"mode": 0o775, "group": 0}, "it is shared: 0775 daemon:root"),
    ],
)
def test_what_is_not_the_users_alone_is_left(machine: Machine, settings: dict[str, int], reason: str) -> None:
    homes(machine, ("daemon", "/home/daemon"), **settings)
    before = mode(machine, "/home/daemon")
    told = differences(machine.host(), "account_list", OPEN_HOMES)[0][0]
    assert reason in told
    with pytest.raises(HostError, match="needs a person"):
        enforce(machine.host(), "account_list", OPEN_HOMES)
    assert mode(machine, "/home/daemon") == before


@pytest.mark.parametrize("other", ["/home/daemon", "/home/daemon/second", "/home/daemon/./second/"])
def test_a_home_that_others_live_in_is_left(machine: Machine, other: str) -> None:
    homes(machine, ("daemon", "/home/daemon"), ("second", other))
    assert "the home of second is in it" in differences(machine.host(), "account_list", OPEN_HOMES)[0][0]


def test_where_a_link_leads_counts_and_so_does_what_is_declared(machine: Machine) -> None:
    homes(machine, ("daemon", "/srv/www"))
    (machine.root / "home").mkdir()
    (machine.root / "home/daemon").symlink_to("../srv/www")
    machine.put("/etc/passwd", "daemon:x:1000:1::/home/daemon:/bin/bash\n")
    assert "directory of the system" in differences(machine.host(), "account_list", OPEN_HOMES)[0][0]
    homes(machine, ("daemon", "/data/daemon"))
    host = machine.host(in_use={"mounts": ["/data/daemon"]})
    assert "declared in use" in differences(host, "account_list", OPEN_HOMES)[0][0]


def test_one_that_is_left_does_not_keep_the_others_open(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "access_paths", lambda *_host: {"Session Manager": True})
    homes(machine, ("webedit", "/usr/share/nginx/html"), ("daemon", "/home/daemon"))
    result = evaluate([{"id": "h", "type": "account_list", "state": OPEN_HOMES}], machine.host(), True, {})[0]
    assert (mode(machine, "/usr/share/nginx/html"), mode(machine, "/home/daemon")) == (0o755, 0o750)
    assert result["status"] == "fail" and "webedit's home /usr/share/nginx/html" in result["reason"]
    assert "/home/daemon" not in result["reason"]


def test_dot_files_are_looked_at_wherever_the_home_is(machine: Machine) -> None:
    homes(machine, ("daemon", "/srv/daemon"))
    machine.put("/srv/daemon/.netrc", "")
    told = [what for what, _desired, _found in differences(machine.host(), "probe", {"probe": "home_files"})]
    assert told == ["/srv/daemon/.netrc exists"]
