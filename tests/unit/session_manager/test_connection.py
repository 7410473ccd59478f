"""The connection plugin with an ssh that does what a test asks for: its command lines, and what is started how often."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._session_manager import proxy, ssh

INSTANCE = "i-0123456789abcdef0"

SSH = r"""#!/usr/bin/env python3
import json, os, pathlib, socket, subprocess, sys
folder = pathlib.Path("__FOLDER__")
options = {}
for word, value in zip(sys.argv, sys.argv[1:]):
    if word == "-o":
        options.setdefault(value.partition("=")[0], value.partition("=")[2].strip('"'))
control = options["ControlPath"]
opening = "-N" in sys.argv
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(["open" if opening else "run", sys.argv]) + "\n")
if opening:
    turn = folder / "opening"
    lines = turn.read_text().splitlines() if turn.exists() else []
    turn.write_text("\n".join(lines[1:]))
    plan = json.loads(lines[0]) if lines else {}
    (folder / "response").write_text(os.environ["AWS_SSM_START_SESSION_RESPONSE"])
    pathlib.Path(control + ".log").write_text(plan.get("log", ""))
    if plan.get("code"):
        sys.exit(plan["code"])
    listening = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(flush=True)"
    listening += "; time.sleep(30)"
    command = [sys.executable, "-c", listening, control]
    master = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    master.stdout.readline()
    with (folder / "masters").open("a") as masters:
        masters.write(f"{master.pid}\n")
    sys.exit()
end = 'kill $(tail -n 1 "__FOLDER__/masters"); rm -f "$CONTROL"; '
plans = (folder / "running").read_text().splitlines() if (folder / "running").exists() else []
(folder / "running").write_text("\n".join(plans[1:]))
command = plans[0] if plans else "echo done"
sys.exit(subprocess.call(["sh", "-c", command.replace("END_SESSION", end)], env={**os.environ, "CONTROL": control}))
"""


class Host:
    """One host, and what was started for it."""

    def __init__(self, folder: Path, sockets: str) -> None:
        self.folder, self.sockets = folder, sockets
        self.asked: list[tuple[Any, ...]] = []
        self.answers: list[proxy.ProxyError | float] = []
        """What comes of the next starts of a session: an error, or when its key was pushed."""
        program = folder / "ssh"
        program.write_text(SSH.replace("__FOLDER__", str(folder)))
        program.chmod(0o755)

    def connection(self, **variables: Any) -> Any:
        context = PlayContext()
        context.remote_addr = INSTANCE
        made = connection_loader.get("ecommerce.fleet.session_manager_ssh", context, os.devnull)
        given = {
            "inventory_hostname": INSTANCE, "ansible_session_manager_region": "us-east-1", "ansible_user": "ec2-user",
            "ansible_ssh_executable": str(self.folder / "ssh"), "ansible_control_path_dir": self.sockets,
            "ansible_ssh_retries": 2, "ansible_pipelining": True,
        }  # fmt: skip
        made.set_options(var_options={**given, **variables})
        made.set_become_plugin(become_loader.get("ansible.builtin.sudo"))
        return made

    def start(self, *given: Any) -> proxy.Session:
        """In the place of AWS."""
        self.asked.append(given)
        answer = self.answers.pop(0) if self.answers else time.time()
        if isinstance(answer, proxy.ProxyError):
            raise answer
        words = ("/bin/session-manager-plugin", proxy.RESPONSE_VARIABLE, "us-east-1", "StartSession", "")
        command = [*words, '{"a b": "100%"}', ""]
        return proxy.Session("alice-1", command, {proxy.RESPONSE_VARIABLE: "secret-token"}, answer)

    def opens(self, *plans: str) -> None:
        (self.folder / "opening").write_text("\n".join(plans))

    def runs(self, *commands: str) -> None:
        (self.folder / "running").write_text("\n".join(commands))

    @property
    def calls(self) -> list[tuple[str, list[str]]]:
        file = self.folder / "calls"
        return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def started(self) -> list[str]:
        return [kind for kind, _arguments in self.calls]

    def end_masters(self) -> None:
        masters = self.folder / "masters"
        for pid in masters.read_text().split() if masters.exists() else []:
            try:
                os.kill(int(pid), signal.SIGTERM)
            except ProcessLookupError:
                continue


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "tmp"))
    monkeypatch.setattr("random.uniform", lambda _least, _most: 0.0)  # no pauses
    # A socket's path is 108 characters at most.
    with tempfile.TemporaryDirectory() as sockets:
        made = Host(tmp_path, sockets)
        monkeypatch.setattr(proxy, "connect", made.start)
        yield made
        made.end_masters()


def options(arguments: list[str]) -> dict[str, str]:
    """As ssh reads them: the first value of each counts."""
    found: dict[str, str] = {}
    for word, value in pairwise(arguments):
        if word == "-o":
            found.setdefault(value.partition("=")[0], value.partition("=")[2].strip('"'))
    return found


def failure(connection: Any) -> str:
    with pytest.raises(AnsibleConnectionFailure) as caught:
        connection.exec_command("true", sudoable=False)
    return str(caught.value)


def test_a_host_costs_one_session_however_much_is_run_on_it(host: Host) -> None:
    connection = host.connection()
    for _task in range(3):
        assert connection.exec_command("true", sudoable=False)[:2] == (0, b"done\n")
    assert host.started == ["open", "run", "run", "run"]


def test_the_master_connects_through_the_plugin_and_verifies_the_published_key(host: Host) -> None:
    host.connection().exec_command("true", sudoable=False)
    arguments = host.calls[0][1]
    found = options(arguments)
    run = host.folder / "tmp" / "session-manager"
    target = proxy.Target(INSTANCE, "ec2-user", 22, "us-east-1")
    asked = (target, run / "id_ed25519.pub", "session-manager-plugin", run / "known_hosts", "/fleet/host-keys")
    assert host.asked == [asked]
    words = "/bin/session-manager-plugin AWS_SSM_START_SESSION_RESPONSE us-east-1 StartSession ''"
    assert found["ProxyCommand"] == f"""{words} '{{"a b": "100%%"}}' ''"""
    assert (host.folder / "response").read_text() == "secret-token"
    assert (found["StrictHostKeyChecking"], found["UserKnownHostsFile"]) == ("yes", f"{run}/known_hosts")
    assert (found["HostKeyAlias"], found["IdentityFile"], found["IdentitiesOnly"]) == (
        INSTANCE,
        f"{run}/id_ed25519",
        "yes",
    )
    assert (found["ControlMaster"], found["ControlPersist"], found["ServerAliveInterval"]) == ("yes", "60s", "10")
    assert arguments[-1] == INSTANCE


def test_what_is_run_goes_through_the_open_session_or_not_at_all(host: Host) -> None:
    host.connection().exec_command("true", sudoable=False)
    found = options(host.calls[1][1])
    assert found["ProxyCommand"] == f"echo '{ssh.GONE}' >&2; exit 1"
    assert (found["ControlMaster"], found["ControlPersist"]) == ("no", "no")
    assert found["ControlPath"] == options(host.calls[0][1])["ControlPath"]


def test_settings_of_a_user_do_not_weaken_the_check_of_host_keys(host: Host) -> None:
    connection = host.connection(
        ansible_ssh_args="-o StrictHostKeyChecking=no -o ControlPersist=5m", ansible_ssh_common_args="-o UserKnownHostsFile=/dev/null",
        ansible_host_key_checking=False,
    )  # fmt: skip
    connection.exec_command("true", sudoable=False)
    for _kind, arguments in host.calls:
        found = options(arguments)
        assert (found["StrictHostKeyChecking"], found["UserKnownHostsFile"]) != ("no", "/dev/null")
        assert found["StrictHostKeyChecking"] == "yes"
    assert options(host.calls[0][1])["ControlPersist"] == "5m"


def test_a_stored_key_is_not_offered(host: Host) -> None:
    host.connection(ansible_ssh_private_key_file="/stored/key").exec_command("true", sudoable=False)
    own = host.folder / "tmp" / "session-manager" / "id_ed25519"
    for _kind, arguments in host.calls:
        assert [word for word in arguments if "IdentityFile" in word] == [f'IdentityFile="{own}"']
        assert arguments.count("-o") == sum(1 for word in arguments if re.match(r"[A-Z]\w+=", word))


def test_accept_new_reads_no_published_keys_and_refuses_another_key_later(host: Host) -> None:
    host.connection(ansible_session_manager_host_key_checking="accept_new").exec_command("true", sudoable=False)
    found = options(host.calls[0][1])
    assert found["StrictHostKeyChecking"] == "accept-new"
    assert host.asked[0][3] is None
    assert "UserKnownHostsFile" not in found


def test_the_key_of_a_run_is_made_once_and_nobody_else_reads_it(host: Host) -> None:
    connection = host.connection()
    connection.exec_command("true", sudoable=False)
    key = host.folder / "tmp/session-manager/id_ed25519"
    first = key.read_bytes()
    assert (stat.S_IMODE(key.stat().st_mode), stat.S_IMODE(key.parent.stat().st_mode)) == (0o600, 0o700)
    assert ssh.key_pair(key.parent).read_bytes() == first
    assert key.with_suffix(".pub").read_text().startswith("ssh-ed25519 ")


def test_a_session_that_drops_in_a_task_is_one_error_with_host_and_session_and_nothing_is_started_twice(
    host: Host,
) -> None:
    host.opens('{"log": "client_loop: send disconnect: Broken pipe\\n"}')
    host.runs("END_SESSION exit 255")
    message = failure(host.connection())
    assert f"Session alice-1 to {INSTANCE} in us-east-1 ended while a command ran there: client_loop" in message
    assert "it was not started again" in message
    assert host.started == ["open", "run"]


def test_a_session_that_drops_under_a_pipelined_module_is_not_started_again_either(host: Host) -> None:
    host.runs("cat >/dev/null; END_SESSION exit 255")
    with pytest.raises(AnsibleConnectionFailure, match="it was not started again"):
        host.connection().exec_command("python3", in_data=b"module", sudoable=False)
    assert host.started == ["open", "run"]


def test_a_session_that_is_gone_before_a_command_begins_is_opened_anew(host: Host) -> None:
    host.runs(f"END_SESSION echo '{ssh.GONE}' >&2; exit 255")
    assert host.connection().exec_command("true", sudoable=False)[0] == 0
    assert host.started == ["open", "run", "open", "run"]


def test_a_session_that_always_goes_before_a_command_begins_is_given_up(host: Host) -> None:
    host.runs(*[f"END_SESSION echo '{ssh.GONE}' >&2; exit 255"] * 9)
    assert "ended 3 times before the command could be started" in failure(host.connection())


def test_exit_code_255_of_a_command_is_the_commands_own(host: Host) -> None:
    host.runs("exit 255")
    assert host.connection().exec_command("false", sudoable=False)[0] == 255
    assert host.started == ["open", "run"]


def test_opening_is_tried_again_as_often_as_asked_for_what_may_pass(host: Host) -> None:
    host.answers = [proxy.ProxyError("i-1 is not connected", passes=True)] * 9
    assert failure(host.connection()) == "i-1 is not connected"
    assert (len(host.asked), host.started) == (3, [])


def test_what_does_not_pass_is_not_tried_again(host: Host) -> None:
    host.answers = [proxy.ProxyError("denied")] * 9
    assert failure(host.connection()) == "denied"
    assert (len(host.asked), host.started) == (1, [])


def test_a_host_that_refuses_at_first_is_let_in_at_the_next_try(host: Host) -> None:
    host.opens('{"code": 255, "log": "ec2-user@i: Permission denied (publickey).\\n"}')
    assert host.connection().exec_command("true", sudoable=False)[0] == 0
    assert host.started == ["open", "open", "run"]


def test_a_changed_host_key_is_named_and_not_tried_again(host: Host) -> None:
    host.opens(*['{"code": 255, "log": "Host key verification failed.\\n"}'] * 9)
    message = failure(host.connection())
    assert (
        f"The host key of {INSTANCE} in us-east-1 is none of those that it has published (/fleet/host-keys/{INSTANCE})"
        in message
    )
    assert "session alice-1" in message
    assert host.started == ["open"]


def test_a_key_that_expired_before_sshd_asked_is_pushed_again(host: Host) -> None:
    host.answers = [1.0]
    host.opens('{"code": 255, "log": "Permission denied (publickey).\\n"}')
    assert host.connection().exec_command("true", sudoable=False)[0] == 0
    assert host.started == ["open", "open", "run"]


def test_what_the_session_manager_says_before_sshd_answers_is_in_the_message(host: Host) -> None:
    banner = "debug1: banner line 2: SessionId: alice-1 : Connection to destination port failed"
    host.opens(*[f'{{"code": 255, "log": "{banner}\\n"}}'] * 9)
    assert "ended before sshd had let us in: Connection to destination port failed" in failure(host.connection())


def test_a_session_that_was_idle_too_long_or_too_old_is_opened_anew_for_the_next_task(host: Host) -> None:
    connection = host.connection()
    connection.exec_command("true", sudoable=False)
    host.end_masters()
    while ssh.Connection(proxy.Target("i", "u", 22, "r"), connection._session().control, Path(), None).is_open():
        pass
    assert connection.exec_command("true", sudoable=False)[0] == 0
    assert host.started == ["open", "run", "open", "run"]


def test_reset_connection_finds_the_session_although_it_gets_variables_as_they_are_written(host: Host) -> None:
    host.connection().exec_command("true", sudoable=False)
    templates = {
        "ansible_session_manager_region": "{{ placement.region }}",
        "ansible_session_manager_host_key_checking": "{{ x }}",
    }
    host.connection(**templates).reset()
    reset = [arguments for kind, arguments in host.calls if "-O" in arguments]
    assert [arguments[arguments.index("-O") + 1] for arguments in reset] == ["check", "stop"]
    assert {options(arguments)["ControlPath"] for arguments in reset} == {options(host.calls[0][1])["ControlPath"]}


def test_a_misspelt_check_of_host_keys_is_refused_with_the_nearest(host: Host) -> None:
    from ansible.errors import AnsibleError

    with pytest.raises(AnsibleError, match="did you mean accept_new"):
        host.connection(ansible_session_manager_host_key_checking="accept-new").exec_command("true")


def test_a_region_that_is_not_known_is_an_error_that_names_the_option(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    from ansible.errors import AnsibleError

    with pytest.raises(AnsibleError, match="region"):
        host.connection(ansible_session_manager_region=None)
