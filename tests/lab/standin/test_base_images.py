"""The stand-ins as machines: who they say they are, and packages that come signed from their repository."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.daemon.web import FileServer
from lab.machines.machine import Machine
from lab.machines.spec import MachineSpec
from lab.network import namespaces
from lab.run import Completed, run
from lab.settings import Settings
from lab.standin.build import System, base_image, lab_repository, publish_advisory, withdraw_advisory
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab
RELEASES = {"al2": "2", "al2023": "2023"}
ADDRESSES = {"al2": "10.0.32.11", "al2023": "10.0.32.12"}


@dataclass(frozen=True)
class Host:
    """A booted stand-in and the repository that it takes packages from."""

    system: System
    machine: Machine
    repository: Path

    def do(self, command: str, timeout: float = 240) -> Completed:
        return self.machine.exec(["bash", "-c", command], timeout=timeout)

    def says(self, command: str) -> str:
        done = self.do(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def served(bare: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("repositories")
    server = namespaces.call(bare.netns_path, lambda: FileServer(folder, "10.0.0.1", 8080))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module", params=["al2", "al2023"])
def host(request: pytest.FixtureRequest, bare: Settings, served: Path) -> Iterator[Host]:
    system: System = request.param
    root = base_image(system, bare.cache, lambda message: print(message, file=sys.stderr))
    repository = lab_repository(system, bare.cache, served / system, lambda message: print(message, file=sys.stderr))
    address = ADDRESSES[system]
    name = f"ip-{address.replace('.', '-')}"
    spec = MachineSpec(
        name=f"i-{RELEASES[system]:0>17}",
        address=address,
        mac=f"0a:00:0a:00:20:{address[-2:]}",
        layers=(root,),
        hostname=f"{name}.ec2.internal",
        environment={},
    )
    machine = Machine(bare, spec)
    machine.start()
    wait_for(f"SSH daemon on {spec.name}; console: {machine.console}", lambda: machine.booted)
    yield Host(system, machine, repository)
    machine.destroy()


@pytest.fixture
def with_nginx(host: Host) -> Host:
    host.do("if command -v amazon-linux-extras; then amazon-linux-extras enable nginx1; fi")
    host.says("rpm -q nginx || dnf -q -y install nginx")
    host.says("systemctl start nginx")
    return host


def test_a_second_call_takes_the_image_from_the_cache_within_a_second(host: Host, bare: Settings) -> None:
    begin = time.monotonic()
    base_image(host.system, bare.cache, lambda message: pytest.fail(f"built again: {message}"))
    assert time.monotonic() - begin < 1


def test_the_machine_says_that_it_is_amazon_linux_and_a_stand_in(host: Host) -> None:
    release = host.says("cat /etc/os-release")
    assert '\nID="amzn"\n' in release
    assert f'VERSION_ID="{RELEASES[host.system]}"' in release
    assert "STAND-IN" in release
    assert host.says("cat /etc/system-release").startswith(f"Amazon Linux release {RELEASES[host.system]}")


def test_nothing_of_debians_package_management_is_in_sight(host: Host) -> None:
    assert host.do("command -v dpkg apt-get yum").stdout == ""
    assert host.do("ls /var/lib/dpkg /etc/apt /etc/debian_version").stdout == ""


def test_every_dependency_of_the_rpm_database_is_met(host: Host) -> None:
    assert host.says("rpm -Va --nofiles --nodigest") == ""


def test_a_file_is_owned_by_the_package_of_its_amazon_name(host: Host) -> None:
    owners = host.says(
        "rpm -qf --qf '%{NAME}\\n' /usr/sbin/sshd /etc/ssh/sshd_config /usr/bin/sudo /etc/chrony.conf /etc/os-release"
    )
    assert owners.split() == ["openssh-server", "openssh-server", "sudo", "chrony", "system-release"]


def test_ec2_user_becomes_root_without_a_password_and_cloud_init_is_done(host: Host) -> None:
    wait_for("cloud-init", lambda: "status: done" in host.do("cloud-init status").stdout)
    assert host.says("runuser -u ec2-user -- sudo -n id -u") == "0"
    assert "wheel" in host.says("id -nG ec2-user")
    assert host.says("hostname") == host.machine.spec.hostname


NEWER = {
    "systemctl show --value -p Id sshd": "unrecognized option '--value'",
    "systemd-run --collect true": "unrecognized option '--collect'",
    "systemd-analyze cat-config systemd/journald.conf": "Unknown operation 'cat-config'",
    "journalctl --grep=x": "unrecognized option '--grep'",
    "nft add table inet x '{ chain c { type filter hook input priority filter; }; }'": "syntax error",
    "sshd -T -o RequiredRSASize=2048": "Bad configuration option: RequiredRSASize",
    "echo 'Defaults log_subcmds' >/tmp/newer; visudo -cf /tmp/newer": "syntax error",
}
"""What came after Amazon Linux 2's releases of these programs, and its words about it."""


@pytest.mark.parametrize("command", NEWER)
def test_amazon_linux_2_refuses_what_its_old_programs_do_not_know(host: Host, command: str) -> None:
    done = host.do(command)
    if host.system == "al2":
        assert done.returncode != 0
        assert NEWER[command] in done.stderr
    else:
        assert NEWER[command] not in done.stderr


def test_amazon_linux_2_names_a_units_directive_that_systemd_219_does_not_know(host: Host) -> None:
    host.says(
        "printf '[Service]\\nExecStart=/bin/true\\nRuntimeMaxSec=5\\n' >/etc/systemd/system/newer.service; systemctl daemon-reload"
    )
    said = "Unknown lvalue 'RuntimeMaxSec' in section 'Service'" in host.says(
        "journalctl -t systemd -o cat --since -1min"
    )
    assert said == (host.system == "al2")


def test_the_log_is_where_the_release_keeps_it(host: Host) -> None:
    there = host.do("test -e /var/log/messages && test -e /var/log/secure").returncode == 0
    assert there == (host.system == "al2")
    assert (host.do("systemctl is-active rsyslog").stdout.strip() == "active") == (host.system == "al2")


def test_nginx_from_the_signed_repository_serves_a_page(with_nginx: Host) -> None:
    assert "Welcome to nginx!" in with_nginx.says("curl -s http://localhost/")
    assert with_nginx.says("rpm -V nginx") == ""
    assert "Key ID" in with_nginx.says("rpm -qi nginx | grep ^Signature")


def test_an_unsigned_package_is_refused(host: Host) -> None:
    repository = host.repository.parent / "unsigned"
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir()
    signed = next(host.repository.glob("core/**/aide-*.rpm"))
    shutil.copy(signed, repository)
    run(["rpmsign", "--delsign", repository / signed.name], timeout=60)
    run(["createrepo_c", "--quiet", repository], timeout=60)
    done = host.do(
        "dnf -y --disablerepo='*' --repofrompath=u,http://10.0.0.1:8080/unsigned --setopt=u.gpgcheck=1 --enablerepo=u install aide"
    )
    assert done.returncode != 0
    assert "not signed" in done.stdout + done.stderr
    assert host.do("rpm -q aide").returncode != 0


def test_a_security_update_appears_when_published_is_installed_and_shows_what_needs_a_restart(with_nginx: Host) -> None:
    host, listing = with_nginx, "dnf -q --refresh updateinfo list security"
    assert host.says(listing) == ""
    publish_advisory(host.repository)
    try:
        assert {line.split()[0] for line in host.says(listing).splitlines()} == {
            f"ALAS{RELEASES[host.system]}-2026-001"
        }
        before = host.says("stat -c %i /usr/lib/*/libcrypto.so.3")
        host.says("sleep 1; dnf -q -y upgrade --security")
        assert host.says("stat -c %i /usr/lib/*/libcrypto.so.3") != before
        assert host.says("rpm -q --qf '%{RELEASE}\\n' nginx openssl-libs | cut -d. -f1").split() == ["2", "2"]
        assert "sshd.service" in host.says("needs-restarting -s").split()
        host.says("systemctl restart sshd")
        assert "sshd.service" not in host.says("needs-restarting -s").split()
        assert "Welcome to nginx!" in host.says("curl -s http://localhost/")
        assert host.says(listing) == ""
    finally:
        withdraw_advisory(host.repository)
