# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's own connection plugin ssh, through a session of Session Manager."""

from __future__ import annotations

DOCUMENTATION = r"""
name: session_manager_ssh
short_description: SSH through Session Manager with a key that lives a minute
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - Ansible's own connection plugin ssh over a session of AWS Systems Manager Session Manager (document C(AWS-StartSSHSession)), carried by
    AWS's session-manager-plugin. The host needs no open port and has no stored key.
  - A key pair is made for the run. Whenever a connection is opened its public half is pushed by EC2 Instance Connect, for a minute.
  - A host costs one session, which is kept open (ControlPersist) and used by every task. Pipelining and files work as with ssh.
  - The host's key is compared with those that the host has published in Parameter Store.
  - A command is never started twice. Opening a session is tried again (O(reconnection_retries)); where one ends while a command runs, that
    host is unreachable, with the session's id in the message.
notes:
  - "Needs on the control node: OpenSSH, session-manager-plugin 1.2.764.0 or newer, and botocore for the Python of Ansible."
  - "Needs on the host: the Systems Manager agent and ec2-instance-connect."
  - "Needs of the credentials in use: C(ssm:StartSession) on the instance and on document C(AWS-StartSSHSession), C(ssm:TerminateSession)
    and C(ssm:ResumeSession) on own sessions, C(ec2-instance-connect:SendSSHPublicKey), and C(ssm:GetParameter) on the published host keys."
  - "All further options are those of Ansible's connection plugin ssh."
extends_documentation_fragment:
  - ecommerce.fleet.ssh_options
  - connection_pipelining
options:
  instance_id:
    description: The host's instance id.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: instance_id
      - name: ansible_session_manager_instance_id
  region:
    description: The host's region.
    type: str
    required: true
    vars:
      - name: ansible_session_manager_region
    env:
      - name: AWS_REGION
      - name: AWS_DEFAULT_REGION
  profile:
    description: Profile of the AWS credentials. Without it, those that AWS's libraries find.
    type: str
    default: ""
    vars:
      - name: ansible_session_manager_profile
  host_key_checking:
    description:
      - V(published) compares the host's key with those that the host has published under O(host_keys_path), and refuses a host
        that has published none.
      - V(accept_new) accepts the key that the host shows at the first connection, keeps it in ssh's C(known_hosts), and refuses another one
        later.
    type: str
    default: published
    vars:
      - name: ansible_session_manager_host_key_checking
    env:
      - name: ANSIBLE_SESSION_MANAGER_HOST_KEY_CHECKING
    ini:
      - section: session_manager_ssh
        key: host_key_checking
  host_keys_path:
    description: Path of Parameter Store under which a host's keys are, in a parameter of its instance id.
    type: str
    default: /fleet/host-keys
    vars:
      - name: ansible_session_manager_host_keys_path
  session_seconds:
    description:
      - Time for sshd to answer through a session that was started.
      - A call of AWS that is throttled or not answered is tried 12 times before that, with pauses of up to 20 seconds.
    type: int
    default: 120
    vars:
      - name: ansible_session_manager_session_seconds
  plugin:
    description: The program that carries a session, by its path or by its name on E(PATH).
    type: str
    default: session-manager-plugin
    vars:
      - name: ansible_session_manager_plugin
"""

EXAMPLES = r"""
# In the group_vars of hosts that amazon.aws.aws_ec2 finds
ansible_connection: ecommerce.fleet.session_manager_ssh
ansible_session_manager_region: "{{ placement.region }}"
ansible_user: ec2-user
"""

import getpass
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection.ssh import AnsibleControlPersistBrokenPipeError
from ansible.plugins.connection.ssh import Connection as SshConnection
from ansible.utils.display import Display
from ansible.utils.path import makedirs_safe, unfrackpath
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs.names import suggestion
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._session_manager import proxy, ssh

display = Display()

CHECKS = ("published", "accept_new")
"""Of host_key_checking. Not choices of the documentation: Ansible would compare a template with them."""
MOST_TURNS = 3
"""How often a command finds its session gone before it has begun, until that is an error."""


class Connection(SshConnection):  # type: ignore[misc]
    """ssh, whose master is opened before anything is run, so that only opening it is ever tried again."""

    transport = "ecommerce.fleet.session_manager_ssh"

    def _session(self) -> ssh.Connection:
        """What is connected to, by the options of this host."""
        target = proxy.Target(
            instance=self._value("instance_id") or str(self._play_context.remote_addr),
            user=self._value("remote_user") or self._play_context.remote_user or getpass.getuser(),
            port=int(self.get_option("port") or 22),
            region=self._value("region"),
            profile=self._value("profile"),
        )
        checking = self._value("host_key_checking") or CHECKS[0]
        if checking not in CHECKS:
            raise AnsibleError(
                f"host_key_checking is '{checking}'; allowed: {', '.join(CHECKS)}{suggestion(checking, CHECKS)}."
            )
        run = Path(constants.DEFAULT_LOCAL_TMP) / "session-manager"
        return ssh.Connection(
            target=target,
            control=self._control(target),
            key=ssh.key_pair(run),
            known_hosts=run / "known_hosts" if checking == "published" else None,
            host_keys=str(self.get_option("host_keys_path")),
            plugin=str(self.get_option("plugin")),
            persist=ssh.persist(self.get_option("ssh_args"), self.get_option("ssh_common_args")),
            seconds=int(self.get_option("session_seconds")),
        )

    def _value(self, option: str) -> str:
        """Of an option; empty for a template: `meta: reset_connection` hands the variables on as they are written."""
        value = str(self.get_option(option) or "")
        return "" if "{{" in value else value

    def _control(self, target: proxy.Target) -> Path:
        folder = unfrackpath(self.get_option("control_path_dir"))
        makedirs_safe(folder, 0o700)
        path = self.get_option("control_path") or self._create_control_path(
            target.instance, target.port, target.user, connection="session_manager_ssh"
        )
        return Path(path % {"directory": folder})

    def _build_command(self, binary: str, subsystem: str, *other_args: bytes | str) -> list[bytes]:
        """Ansible's command for what goes through the open session."""
        session = self._session()
        command = super()._build_command(binary, subsystem, *other_args)
        return ssh.spliced(command, binary.encode(), [*session.common(), *session.riding()])

    def _open(self) -> ssh.Connection:
        """The open session to the host. Raises AnsibleConnectionFailure with the reason that there is none."""
        session = self._session()
        if session.is_open():
            return session
        tries = int(self.get_option("reconnection_retries")) + 1
        with ssh.alone(Path(f"{session.control}.lock")):
            for number in range(1, tries + 1):
                if session.is_open():  # another process of this run has opened it
                    return session
                failure = self._open_once(session)
                if failure is None:
                    return session
                if number == tries or not failure.passes:
                    raise AnsibleConnectionFailure(failure.message)
                # With jitter: many hosts at once are refused at once.
                pause = min(2.0 ** (number - 1), 30) * random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
                display.vv(
                    f"opening a session, try {number} of {tries}: {failure.message} Pausing for {pause:.1f} s",
                    host=self.host,
                )
                time.sleep(pause)
        raise AssertionError("a last try returns or raises")

    def _open_once(self, session: ssh.Connection) -> ssh.Failure | None:
        """None if the session is open now."""
        session.forget()
        try:
            started = session.start()
        except (proxy.ProxyError, OSError) as error:
            return ssh.Failure(str(error), getattr(error, "passes", False))
        binary = self.get_option("ssh_executable")
        command = super()._build_command(binary, "ssh", self.host)
        command = ssh.spliced(command, binary.encode(), [*session.common(), *session.opening(started)])
        display.vvv(f"SSH: OPEN {b' '.join(command).decode(errors='replace')}", host=self.host)
        # A file: a pipe would have no end before that of the master in the background.
        with tempfile.TemporaryFile() as said:
            try:
                code = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    env={**os.environ, **started.environment},
                    timeout=session.seconds + 60,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                return ssh.Failure(
                    f"No session to {session.target} after {session.seconds + 60} s: {session.last_words()}", True
                )
            said.seek(0)
            own = said.read().decode(errors="replace").strip()
        if code == 0 and session.is_open():
            display.vvv(f"session {started.id} is open", host=self.host)
            return None
        failure = ssh.opening_failure(session, started, code, time.time())
        return ssh.Failure(f"{failure.message} ssh: {own}", failure.passes) if own else failure

    def _run(
        self, cmd: list[bytes], in_data: bytes | None, sudoable: bool = True, checkrc: bool = True
    ) -> tuple[int, bytes, bytes]:
        """Instead of Ansible's, which runs a command again after any failure of the connection."""
        for _turn in range(MOST_TURNS):
            session = self._open()
            try:
                done: tuple[int, bytes, bytes] = self._bare_run(cmd, in_data, sudoable=sudoable, checkrc=False)
            except AnsibleControlPersistBrokenPipeError:
                continue  # the master went before it took the command
            if done[0] != 255:
                return done
            if ssh.GONE.encode() in done[2]:
                continue
            if session.is_open():
                return done  # the command's own exit code
            raise AnsibleConnectionFailure(ssh.lost(session))
        raise AnsibleConnectionFailure(
            f"{ssh.GONE} to {session.target}: it ended {MOST_TURNS} times before the command could be started."
        )

    def _file_transport_command(self, in_path: str, out_path: str, sftp_action: str) -> tuple[int, bytes, bytes]:
        """Ansible's without its retries. A copy that was cut may be made again: it is the same file."""
        transfer = SshConnection._file_transport_command.__wrapped__  # Ansible's own, undecorated
        for turn in range(1, MOST_TURNS + 1):
            session = self._open()
            try:
                done: tuple[int, bytes, bytes] = transfer(self, in_path, out_path, sftp_action)
            except AnsibleConnectionFailure:
                if turn < MOST_TURNS and not session.is_open():
                    continue
                raise
            return done
        raise AssertionError("a last turn returns or raises")
