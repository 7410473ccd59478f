"""A machine's own name, address and environment. A layer of its own, of which nothing gets into an image of the machine."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from lab.machines.spec import MachineSpec
from lab.settings import GATEWAY, IMDS_ADDRESS, PREFIX_LENGTH

MARK = "# this machine"


def prepare(spec: MachineSpec, directory: Path) -> None:
    """Writes the lab's layer of a machine and makes the directories of the others. A machine's second start keeps what it wrote itself."""
    lab = directory / "lab"
    shutil.rmtree(lab, ignore_errors=True)
    shutil.rmtree(directory / "work", ignore_errors=True)
    for made in ("upper", "work", "root", "lab"):
        (directory / made).mkdir(parents=True, exist_ok=True)
    for path, text in _files(spec).items():
        target = lab / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    units = lab / "etc/systemd/system"
    # The stop job of user@.service hangs in a container and with it every reboot.
    _link(units / "user@.service", "/dev/null")
    _link(
        units / "multi-user.target.wants/systemd-networkd.service", "/usr/lib/systemd/system/systemd-networkd.service"
    )


def strip(layer: Path, spec: MachineSpec) -> None:
    """Takes the lab's line out of /etc/hosts and the lab's host name out of a copied layer, where the machine has changed those files."""
    hosts = layer / "etc/hosts"
    if hosts.is_file():
        kept = [line for line in hosts.read_text().splitlines(keepends=True) if not line.rstrip().endswith(MARK)]
        hosts.write_text("".join(kept))
    hostname = layer / "etc/hostname"
    if hostname.is_file() and hostname.read_text().strip() == spec.hostname:
        hostname.unlink()


def _files(spec: MachineSpec) -> dict[str, str]:
    short = spec.hostname.split(".")[0]
    environment = "".join(f"{k}={v}\n" for k, v in spec.environment.items())
    defaults = " ".join(f'"{k}={v}"' for k, v in spec.environment.items())
    return {
        "etc/hostname": f"{spec.hostname}\n",
        "etc/hosts": f"{_hosts_below(spec.layers)}{spec.address} {spec.hostname} {short} {MARK}\n",
        "etc/resolv.conf": "",
        "etc/environment.d/10-platform.conf": environment,
        "etc/systemd/system.conf.d/10-platform.conf": f"[Manager]\nDefaultEnvironment={defaults}\n",
        "etc/systemd/network/10-host0.network": (
            f"[Match]\nName=host0\n[Link]\nMACAddress={spec.mac}\n"
            f"[Network]\nAddress={spec.address}/{PREFIX_LENGTH}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
            f"[Route]\nGateway={GATEWAY}\n"
            f"[Route]\nDestination={IMDS_ADDRESS}/32\nScope=link\n"
        ),
    }


def _hosts_below(layers: Sequence[Path]) -> str:
    """The image's own /etc/hosts, topmost layer first."""
    for layer in layers:
        hosts = layer / "etc/hosts"
        if hosts.is_file():
            text = hosts.read_text()
            return text if text.endswith("\n") or not text else f"{text}\n"
    return "127.0.0.1 localhost\n::1 localhost\n"


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
