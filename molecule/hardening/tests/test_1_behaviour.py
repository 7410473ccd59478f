"""What a hardened host does, seen from outside and by its own programs."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import load
from fleet import EPHEMERAL, HOSTS, address, fresh_login, machine
from fleet_testing import login_by_pushed_key

REGISTER = Path(__file__).parents[3] / "controls"

LOG_HOST = urlsplit(os.environ["AWS_ENDPOINT_URL"]).hostname

names = pytest.mark.parametrize("name", HOSTS)


@names
def test_the_key_still_opens_a_session_and_sudo_still_makes_root(name):
    assert fresh_login(name, "sudo -n id -u").stdout.strip() == "0"


def test_a_key_that_instance_connect_pushed_opens_a_session(host, tmp_path):
    opened = login_by_pushed_key(host, tmp_path, command="sudo -n id -u")
    assert opened.stdout.strip() == "0", opened.stderr


def test_sshd_still_asks_instance_connect_as_its_own_account(host):
    shown = host.check_output("sshd -T -C user=ec2-user,host=localhost,addr=127.0.0.1")
    assert "authorizedkeyscommand /opt/aws/bin/eic_run_authorized_keys %u %f" in shown
    assert "authorizedkeyscommanduser ec2-instance-connect" in shown


@names
def test_a_login_by_password_is_not_offered(name):
    answer = fresh_login(
        name, "true", "PubkeyAuthentication=no", "PreferredAuthentications=password,keyboard-interactive"
    )
    assert answer.returncode == 255
    assert "Permission denied (publickey)" in answer.stderr


@names
@pytest.mark.parametrize(
    "weak", ["Ciphers=aes128-cbc", "MACs=hmac-sha1", "KexAlgorithms=diffie-hellman-group14-sha256"]
)
def test_a_client_with_weak_algorithms_is_refused(name, weak):
    answer = fresh_login(name, "true", weak)
    assert answer.returncode == 255
    assert "no matching" in answer.stderr


@names
def test_the_warning_is_shown_before_the_login(name):
    assert "Authorised use only" in fresh_login(name, "true").stderr


@names
def test_ports_are_not_forwarded(name):
    answer = fresh_login(name, "true", "ExitOnForwardFailure=yes", "RemoteForward=5999 127.0.0.1:1")
    assert answer.returncode == 255


def test_what_is_done_with_sudo_is_in_its_log(host):
    host.check_output("true")
    assert "COMMAND=" in host.file("/var/log/sudo.log").content_string


def test_the_kernel_does_not_route_and_takes_no_redirects(host):
    for name in ("ip_forward", "conf.all.accept_redirects", "conf.default.accept_source_route"):
        assert host.check_output(f"sysctl -n net.ipv4.{name}") == "0"


def test_modprobe_would_refuse_the_modules(host):
    desired = {c.state["name"].replace("-", "_") for c in load([REGISTER]) if c.type == "kernel_module"}
    shown = host.check_output("modprobe --showconfig | grep '^install .* /bin/false'").splitlines()
    assert desired <= {line.split()[1] for line in shown}


@names
def test_a_port_that_nobody_declared_is_not_reachable_from_outside(name):
    machine(name).check_output("systemd-run --unit=h-web python3 -m http.server 9998")
    try:
        here = "until curl -s -o /dev/null http://127.0.0.1:9998; do sleep 0.1; done"
        machine(name).check_output(f"timeout 20 sh -c '{here}'")
        with pytest.raises(OSError, match="timed out"):
            socket.create_connection((address(name), 9998), timeout=1.0).close()
        socket.create_connection((address(name), 22), timeout=5.0).close()
    finally:
        machine(name).check_output("systemctl stop h-web")


def test_a_login_shell_writes_private_files_and_times_out(host):
    assert host.check_output("su - ec2-user -c 'umask; echo $TMOUT'").split() == ["0027", "900"]


def test_nobody_may_use_su_but_a_member_of_its_empty_group(host):
    su = "runuser -u ec2-user -- sh -c 'echo right | su target -c id\\ -un'"
    host.check_output("useradd -M -d / -s /bin/bash -p $(openssl passwd -6 right) target")
    try:
        assert host.run(su).rc != 0
        host.check_output("usermod -a -G sugroup ec2-user")
        assert host.check_output(su) == "target"
    finally:
        host.check_output("gpasswd -d ec2-user sugroup; userdel target")


@names
def test_an_account_that_appears_later_has_no_access(name):
    host = machine(name)
    host.check_output(
        "useradd -m -s /bin/bash later && cp -r /home/ec2-user/.ssh /home/later/ && chown -R later: /home/later"
    )
    try:
        assert fresh_login(name, "true", user="later").returncode == 255
        assert "User later from " in host.check_output("journalctl -t sshd --since=-1m | grep AllowUsers")
        assert fresh_login(name, "true").returncode == 0
    finally:
        host.check_output("userdel -r later")


@names
def test_what_is_logged_reaches_the_log_host(name):
    """rsyslog tries again every half a minute; what was logged before somebody listened waits in its queue."""
    words = f"hardening-{name}-{time.monotonic_ns()}"
    machine(name).check_output(f"logger -p authpriv.notice {words}")
    with socket.create_server((LOG_HOST, 5514)) as server:
        server.settimeout(60)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            connection, (client, _port) = server.accept()
            with connection:
                connection.settimeout(5)
                if client == address(name) and words in _until_silent(connection):
                    return
    raise AssertionError(f"{words} did not arrive")


def _until_silent(connection: socket.socket) -> str:
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except TimeoutError:
        pass
    return received.decode(errors="replace")


def test_the_journal_runs_and_keeps_its_history(host):
    assert host.service("systemd-journald").is_running
    assert host.check_output("ls -d /var/log/journal/*")


@names
def test_the_report_is_there_in_every_form(name):
    for path in (
        EPHEMERAL / "reports" / f"{owner}.{kind}"
        for owner in (name, "fleet")
        for kind in ("json", "xml", "csv", "html")
    ):
        assert path.stat().st_size > 100
    report = json.loads((EPHEMERAL / "reports" / f"{name}.json").read_text())
    assert not report["summary"].keys() & {"fail", "error"}
    assert len(report["controls"]) >= 390
    if target := os.environ.get("HARDENING_REPORT_COPY"):
        Path(target).write_text((EPHEMERAL / "reports" / "fleet.html").read_text())
