"""What `lab list` shows: every lab on this machine, running or left by a killed one."""

from __future__ import annotations

from dataclasses import replace

from lab.daemon import lifecycle, status_file
from lab.settings import STATES, Settings


def known_labs(settings: Settings) -> list[tuple[str, str]]:
    """(name, what is of it) of every lab on this machine, by network namespace and by state folder, the running ones first."""
    names = {path.name.removeprefix("fleet-") for path in settings.netns_path.parent.glob("fleet-*")}
    names |= {path.parent.name for path in STATES.glob(f"*/{lifecycle.MARK}")}
    states = {name: replace(settings, name=name, state=STATES / name) for name in names} | (
        {settings.name: settings} if settings.name in names or (settings.state / lifecycle.MARK).exists() else {}
    )
    found = [(name, _known(lab)) for name, lab in states.items()]
    return sorted(found, key=lambda item: (not item[1].startswith("up"), item))


def _known(settings: Settings) -> str:
    daemon = status_file.read(settings)
    if daemon is not None:
        return f"up since {daemon.started}, {', '.join(daemon.oses)}, {settings.state}"
    if not settings.state.exists():
        elsewhere = settings.control_socket.exists()
        return (
            "up; its state is where its LAB_STATE says" if elsewhere else "a network namespace is left of it: lab down"
        )
    return f"not up; {settings.state} is left of it: lab up starts anew, lab down removes it"
