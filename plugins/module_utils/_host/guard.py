# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock-out guard: changes that could cut an access path are checked by the program itself, proven by a new session, else undone."""

from __future__ import absolute_import, division, print_function

import os
import re
import shutil
import socket
import tempfile
import time

from . import sshd, systemd
from .accounts import NO_LOGIN, has_keys, passwd
from .errors import HostError
from .sshd import effective

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, List, Optional  # noqa: F401

    from .host import Host  # noqa: F401

CHECKERS = {"sshd": ["sshd", "-t"], "sudo": ["visudo", "-c"]}
DEFAULT_USER = "ec2-user"
SESSION_USER = "ssm-user"
"""Session Manager's sessions run as this user; its agent makes the account and its sudo rule at the first session, and never again."""
AGENT = "amazon-ssm-agent"
AGENT_SETTLED_SECONDS = 10.0
ENDPOINT_SECONDS = 2.0
INSTANCE_CONNECT = "EC2 Instance Connect"
INSTANCE_CONNECT_PROGRAM = "/opt/aws/bin/eic_run_authorized_keys"
"""What the package ec2-instance-connect has sshd ask for keys."""
KEY_COMMAND_SECONDS = 10.0
NO_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
NO_FINGERPRINT = "SHA256:" + "A" * 43
KEY_SOURCES = ("key of ", "key command of ", INSTANCE_CONNECT + " of ", "certificate of ")
"""How the access paths begin by which sshd lets a user in with a key."""
SSH_OPTIONS = [
    "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null", "BatchMode=yes",
    "LogLevel=ERROR", "ConnectTimeout=10",
]  # fmt: skip


def access_paths(host, before=None):
    # type: (Host, Optional[Dict[str, bool]]) -> Dict[str, bool]
    """Every access path to the host that can be tried from here -> whether it works now. ``before``: what was found first.

    "SSH port N" answers; "SSH on A": sshd listens on the address; "SSH session of U": a new session opens, through the configuration and
    PAM stacks that are in place now, for a key made for this; "sudo of U": root by it, without a terminal or a password, of Session
    Manager's user too; "key of U": sshd finds and takes an authorised key of the user in a file; "EC2 Instance Connect of U" or "key
    command of U": the command that it asks for keys answers; "certificate of U": it takes a user certificate; "Session Manager": its agent
    runs; "endpoint E": the host reaches what was declared in use, such as Systems Manager and the metadata. (One that did not answer
    ``before`` is not waited for again.)

    SSH through Session Manager is the agent, the port, the session and EC2 Instance Connect together: each is kept by itself.

    Raises HostError where no account can be read: whose access has to be kept is not known then.
    """
    if not passwd(host):
        raise HostError(
            "/etc/passwd has no account that can be read, so who gets in here is not known. Restore it, from /etc/passwd- say"
        )
    paths = {"Session Manager": agent_runs(host)}
    for endpoint in host.in_use.get("endpoints", []):
        path = "endpoint %s" % endpoint
        paths[path] = (before is None or before.get(path, False)) and endpoint_answers("%s" % endpoint)
    for user in people(host, SESSION_USER):
        paths["sudo of " + user] = host.system.run(["runuser", "-u", user, "--", "sudo", "-n", "true"]).code == 0
    try:
        settings = effective(host)
        active = sshd.is_active(host)
        for port in settings.get("port", "22").split():
            paths["SSH port " + port] = active and port_answers(int(port))
        # What is tried here goes over loopback; whether sshd listens for others, it has to say itself.
        for address in settings.get("listenaddress", "").split():
            paths["SSH on " + address] = active
        for user in people(host):
            paths.update(key_sources(host, user))
            paths["SSH session of " + user] = session_opens(host, user)
    except HostError:
        # No sshd, or one that can't read its configuration: no access path over SSH. What worked before counts as lost then.
        return paths
    return paths


def agent_runs(host):
    # type: (Host) -> bool
    """Whether Session Manager's agent runs and did not just start: one that fails and is started over and over is no access path."""
    values = systemd.Unit(host.system.command, AGENT).show(("ActiveState", "ActiveEnterTimestampMonotonic"))
    uptime = float(((host.system.read("/proc/uptime") or "").split() or ["0"])[0])
    started = float(values.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    return values.get("ActiveState") == "active" and uptime - started >= AGENT_SETTLED_SECONDS


def people(host, *more):
    # type: (Host, *str) -> List[str]
    """Who logs in: the users declared in use, ec2-user and ``more``, if they have a shell."""
    desired = ["%s" % user for user in host.in_use.get("users", [])] + [DEFAULT_USER] + list(more)
    return [a["name"] for a in passwd(host) if a["name"] in desired and a["shell"] not in NO_LOGIN]


def port_answers(port, seconds=5.0):
    # type: (int, float) -> bool
    """Whether an SSH daemon greets on this machine's port within the time."""
    deadline, pause = time.time() + seconds, 0.02
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=2.0)
            try:
                if connection.recv(4) == b"SSH-":
                    return True
            finally:
                connection.close()
        except (OSError, IOError):
            pass
        if time.time() + pause > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.5)


def endpoint_answers(endpoint):
    # type: (str) -> bool
    """Whether a TCP connection to ``name:port`` opens."""
    name, _colon, port = endpoint.rpartition(":")
    try:
        socket.create_connection((name, int(port)), timeout=ENDPOINT_SECONDS).close()
    except (OSError, IOError):
        return False
    return True


def key_sources(host, user):
    # type: (Host, str) -> Dict[str, bool]
    """By what sshd could let the user in with a key, see access_paths: each by itself, or a lost file would hide behind a command."""
    settings = effective(host, user)
    return {
        "key of " + user: bool(key_files_taken(host, user)),
        "%s of %s" % (key_command(settings), user): key_command_answers(host, settings, user),
        "certificate of " + user: settings.get("trustedusercakeys", "none") != "none",
    }


def key_command(settings):
    # type: (Dict[str, str]) -> str
    """What the command that sshd asks for keys is called in messages."""
    program = settings.get("authorizedkeyscommand", "").split()[:1]
    return INSTANCE_CONNECT if program == [INSTANCE_CONNECT_PROGRAM] else "key command"


def key_command_answers(host, settings, user):
    # type: (Host, Dict[str, str], str) -> bool
    """Whether sshd would run its AuthorizedKeysCommand for the user, and it ends well as the account that it runs as.

    Of EC2 Instance Connect that proves the package, its account and the way to the metadata. That a pushed key lets in can't be proven
    from here: a host may not push one to itself.
    """
    words = settings.get("authorizedkeyscommand", "none").split()
    runs_as = settings.get("authorizedkeyscommanduser", "none")
    accounts = {account["name"]: account for account in passwd(host)}
    if words[:1] in ([], ["none"]) or user not in accounts or runs_as not in accounts:
        return False
    # sshd wants program and folders to be root's alone, whatever StrictModes says.
    if not trusted(host, words[0], "root", "/"):
        return False
    arguments = [_argument(word, accounts[user]) for word in words[1:]] or [user]
    argv = ["runuser", "-u", runs_as, "--", words[0]] + arguments
    return host.system.run(argv, timeout=KEY_COMMAND_SECONDS).code == 0


def _argument(word, account):
    # type: (str, Dict[str, str]) -> str
    """An argument of the command, its tokens replaced (sshd_config(5), "TOKENS") as for a key that nobody has."""
    values = {"%u": account["name"], "%U": account["uid"], "%h": account["home"], "%%": "%"}
    values.update({"%f": NO_FINGERPRINT, "%t": "ssh-ed25519", "%k": NO_KEY})
    return re.sub("%.", lambda found: values.get(found.group(0), ""), word)


def key_files_taken(host, user):
    # type: (Host, str) -> List[str]
    """The files with a key in them that sshd reads for the user and trusts."""
    settings = effective(host, user)
    account = next(a for a in passwd(host) if a["name"] == user)
    found = [path for path in sshd.key_files(settings, account) if has_keys(host, path)]
    if settings.get("strictmodes") != "no":
        found = [path for path in found if trusted(host, path, user, account["home"])]
    # sshd reads it as the user.
    return [path for path in found if host.system.run(["runuser", "-u", user, "--", "test", "-r", path]).code != 1]


def trusted(host, path, user, home):
    # type: (Host, str, str, str) -> bool
    """Whether sshd's StrictModes would take keys from there: all up to the home (else /) is root's or the user's, others can't write."""
    while True:
        there = host.system.stat(path)
        if there is None or there["owner"] not in ("root", user) or there["mode"] & 0o022:
            return False
        if path in (home, "/"):
            return True
        path = os.path.dirname(path)


def session_opens(host, user):
    # type: (Host, str) -> bool
    """Open a session as the user over an sshd of our own, which reads the configuration in place but takes a key made for this.

    No port and nobody's files are touched: the client talks to the daemon over a pipe. Without an SSH client there is no proof: False.
    """
    try:
        folder = tempfile.mkdtemp(prefix="fleet-hardening-", dir="/run" if os.path.isdir("/run") else None)
    except EnvironmentError:  # a full disk, say
        return False
    try:
        os.chmod(folder, 0o755)  # noqa: S103 - sshd must reach the public key in it
        key = folder + "/key"
        made = host.system.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        if made.code != 0:
            return False
        # sshd reads it as the user, whatever the umask of a hardened host made of its mode.
        os.chmod(key + ".pub", 0o644)  # noqa: S103
        daemon = "%s -i -e -o AuthorizedKeysFile=%s.pub -o AuthorizedKeysCommand=none" % (_program("sshd"), key)
        options = ["ProxyCommand=" + daemon, "IdentityFile=" + key] + SSH_OPTIONS
        argv = ["ssh", "-F", "/dev/null"] + [word for option in options for word in ("-o", option)]
        done = host.system.run(argv + ["%s@hardening" % user, "echo session-open"], timeout=20)
        return "session-open" in done.out
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name):
    # type: (str) -> str
    return next((p for p in ("/usr/sbin/" + name, "/usr/bin/" + name) if os.path.exists(p)), name)


def refusal(group, before):
    # type: (str, Dict[str, bool]) -> Optional[str]
    """Why nothing of the group may be changed, before anything is; None if it may. Pure.

    A daemon that greets but lets nobody in by a key is reached by a password or not at all: closing that would close the last
    access path. Where none greets and Session Manager's agent does not run, the console is all there is, and no change can be proven there.
    """
    if group not in ("sshd", "pam", "accounts") or before.get("Session Manager"):
        return None
    keys = [works for name, works in before.items() if name.startswith(KEY_SOURCES)]
    if keys and not any(keys):
        return (
            "refused: no user has an SSH key and Session Manager's agent does not run, so a password may be the last access path. Add "
            "a key for %s or start %s first" % (DEFAULT_USER, AGENT)
        )
    if not any(works for name, works in before.items() if name.startswith("SSH port ")):
        return (
            "refused: no SSH daemon answers and Session Manager's agent does not run, so the console is the last access path and a change "
            "there can't be proven. Start sshd or %s first" % AGENT
        )
    return None


def lost(before, after):
    # type: (Dict[str, bool], Dict[str, bool]) -> List[str]
    """The access paths that worked and work no more. Pure."""
    return sorted(name for name, works in before.items() if works and not after.get(name, False))


def check(group, host):
    # type: (str, Host) -> Optional[str]
    """What the program's own checker reports about the files in place; None if they are good."""
    if group not in CHECKERS:
        return None
    done = host.system.run(CHECKERS[group])
    return None if done.code == 0 else "%s: %s" % (" ".join(CHECKERS[group]), done.output)


def restore_sshd(host, before):
    # type: (Host, Dict[str, bool]) -> None
    """After its files were restored: have sshd read them, or start it if the change has ended it. Raises HostError."""
    if not any(works for name, works in before.items() if name.startswith("SSH port ")):
        return
    if sshd.is_active(host):
        sshd.reload(host)
    else:
        host.system.do(["systemctl", "restart", "sshd"])


def forget_sshd(host):
    # type: (Host) -> None
    """Have sshd asked for its settings anew."""
    host.system.forget_all("sshd")
