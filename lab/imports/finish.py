"""The last part of an import: what makes a machine of the lab of a container image's root, and the repository that such machines use."""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path

from lab.errors import LabError
from lab.imports.packages import enter
from lab.run import run
from lab.settings import OperatingSystem
from lab.standin import amazon, build, rpms
from lab.standin.keys import SigningKey
from lab.standin.packages import load_packages
from lab.standin.repository import Build, Progress, build_package

COMMON = amazon.FILES / "common"
LAID = ("etc/sudoers.d/90-cloud-init-users", "etc/systemd/network/99-host0.network")
KEY = "etc/pki/rpm-gpg/RPM-GPG-KEY-lab"
ANCHOR = "etc/pki/ca-trust/source/anchors/lab.pem"
ASIDE = "usr/share/lab/yum.repos.d"
"""Where the image's own repository files are: a machine of the lab can't reach what they name."""
INSIDE = "var/tmp/lab-agents"
CLOUD_INIT = (
    "cloud-init is the lab's own: in a container the real one sees no DMI, asks the metadata service without a token, is refused (401), "
    "and waits 120 s at each boot"
)
"""What an import says, since a machine with the real one only seems to hang."""
AFTER_CLOUD_INIT = "[Unit]\nAfter=cloud-init.service\n"
ADDRESS_UNIT = """\
[Unit]
Description=Address of the machine, for an image without systemd-networkd
ConditionPathExists=!/usr/lib/systemd/systemd-networkd
DefaultDependencies=no
After=local-fs.target
Before=network.target cloud-init.service
Wants=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/libexec/lab-address

[Install]
WantedBy=multi-user.target
"""
ADDRESS_SCRIPT = """\
#!/bin/sh
# Does what systemd-networkd would do with the lab's file.
file=/etc/systemd/network/10-host0.network
value() { sed -n "s/^$1=//p" "$file" | head -n 1; }
ip link set host0 address "$(value MACAddress)"
ip link set host0 up
ip address add "$(value Address)" dev host0
ip route add default via "$(value Gateway)"
ip route add "$(value Destination)" dev host0 scope link
"""
ENABLED = (
    "sshd.service",
    "cloud-init.service",
    "cloud-final.service",
    "amazon-ssm-agent.service",
    "lab-address.service",
)


def agents(system: OperatingSystem, cache: Path, key: SigningKey, work: Path, progress: Progress) -> dict[str, Path]:
    """The lab's own programs for machines (cloud-init, the agents) as signed packages, by name; packed so that every rpm can read them."""
    programs = build.programs(cache, progress)
    own = [package for package in load_packages(system) if not package.debian]
    made = {
        package.name: build_package(
            Build(package, system, update=False), programs, work / package.name, payload="w6.gzdio"
        )
        for package in own
    }
    rpms.sign(made.values(), key)
    return made


def make_machine(root: Path, system: OperatingSystem, packages: dict[str, Path], key: SigningKey, trusted: str) -> None:
    """Turns a root with systemd and sshd into one that boots as a machine of the lab. `trusted`: a root certificate, in PEM."""
    (root / KEY).parent.mkdir(parents=True, exist_ok=True)
    (root / KEY).write_text(key.public)
    preinstalled = [package.name for package in load_packages(system) if system in package.preinstalled]
    _install_agents(root, [file for name, file in packages.items() if name in preinstalled])
    _trust(root, trusted)
    for name in LAID:
        amazon.lay(COMMON / name, root / name)
    _repositories(root, system)
    (root / "usr/lib/systemd/system/lab-address.service").write_text(ADDRESS_UNIT)
    script = root / "usr/libexec/lab-address"
    script.write_text(ADDRESS_SCRIPT)
    script.chmod(0o755)
    keygen = root / "etc/systemd/system/sshd-keygen@.service.d/10-lab.conf"
    keygen.parent.mkdir(parents=True, exist_ok=True)
    keygen.write_text(AFTER_CLOUD_INIT)
    users = (
        f"getent group wheel >/dev/null || groupadd -r wheel; id ec2-user >/dev/null 2>&1 || {amazon.ADD_DEFAULT_USER}"
    )
    _do(root, "making the user ec2-user", ["bash", "-c", users])
    _do(root, "enabling services", ["systemctl", "enable", *ENABLED])
    _do(root, "setting the default target", ["systemctl", "set-default", "multi-user.target"])
    amazon.mask_units(root)
    amazon.set_modes(root)
    _without_identity(root)


def make_repository(
    target: Path, downloaded: Path, packages: dict[str, Path], system: OperatingSystem, root: Path
) -> None:
    """Lays out what port 8080 of the lab serves for this operating system, as the stand-in's repository is."""
    release = _releasever(root) if system == "al2023" else ""
    core = target / "core" / release
    core.mkdir(parents=True)
    for file in downloaded.glob("*.rpm"):
        shutil.move(file, core / file.name)
    for file in packages.values():
        shutil.copy(file, core)
    run(["createrepo_c", "--quiet", "--no-database", core], timeout=300)
    if release:
        (target / "core/latest").symlink_to(release)
    else:
        (target / "extras").mkdir()
        (target / "extras/nginx1").symlink_to("../core")


def _install_agents(root: Path, files: list[Path]) -> None:
    inside = root / INSIDE
    inside.mkdir()
    for file in files:
        shutil.copy(file, inside)
    command = f"rpm --import /etc/pki/rpm-gpg/* && rpm -U --replacepkgs --oldpackage --replacefiles /{INSIDE}/*.rpm"
    try:
        _do(root, "installing the lab's agents", ["bash", "-c", command])
    finally:
        shutil.rmtree(inside)


def _trust(root: Path, certificate: str) -> None:
    """What is made of a stand-in trusts it already."""
    done = enter(root, ["cat", "/etc/pki/tls/certs/ca-bundle.crt"])
    if certificate in done.stdout:
        return
    (root / ANCHOR).parent.mkdir(parents=True, exist_ok=True)
    (root / ANCHOR).write_text(certificate)
    _do(root, "trusting the lab's certificates", ["update-ca-trust"])


def _repositories(root: Path, system: OperatingSystem) -> None:
    there, aside = root / "etc/yum.repos.d", root / ASIDE
    aside.mkdir(parents=True, exist_ok=True)
    for file in there.glob("*.repo"):
        shutil.move(file, aside / file.name)
    for source in (amazon.FILES / system / "etc/yum.repos.d").glob("*.repo"):
        amazon.lay(source, there / source.name)


def _without_identity(root: Path) -> None:
    """As an AMI: nothing of the machine that made it."""
    for file in (root / "etc/ssh").glob("ssh_host_*"):
        file.unlink()
    for name in ("etc/machine-id", "etc/resolv.conf"):
        (root / name).unlink(missing_ok=True)
        (root / name).touch()
    (root / "etc/hostname").write_text("localhost\n")
    if not (root / "etc/hosts").is_file() or not (root / "etc/hosts").read_text().strip():
        amazon.lay(COMMON / "etc/hosts", root / "etc/hosts")
    for cache in ("dnf", "yum"):
        shutil.rmtree(root / "var/cache" / cache, ignore_errors=True)


def _releasever(root: Path) -> str:
    """What dnf puts for $releasever, as its package says."""
    done = enter(root, ["rpm", "-q", "--provides", "--whatprovides", "system-release(releasever)"])
    found = re.search(r"^system-release\(releasever\) = (\S+)$", done.stdout, re.MULTILINE)
    return found.group(1) if found else "2023"


def _do(root: Path, what: str, argv: list[str]) -> None:
    done = enter(root, argv)
    if done.returncode != 0:
        output = (done.stderr or done.stdout).strip()[-600:]
        raise LabError(f"Import on {platform.machine()}: {what} failed: {output}")
