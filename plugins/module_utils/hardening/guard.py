"""The lock-out guard: changes that could cut the way in are checked by the program itself, proven by a new session, else undone."""

from __future__ import absolute_import, division, print_function

import os
import shutil
import socket
import tempfile
import time

from .resources import firewall
from .resources.accounts import NO_LOGIN, holds_keys, passwd
from .resources.base import NotApplicableError
from .resources.sshd import effective
from .system import HardeningError

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, List, Optional  # noqa: F401

    from .host import Host  # noqa: F401

CHECKERS = {"sshd": ["sshd", "-t"], "sudo": ["visudo", "-c"]}
DEFAULT_USER = "ec2-user"
AGENT = "amazon-ssm-agent"
AGENT_SETTLED_SECONDS = 10.0
RELOAD_SECONDS = 5.0
ENDPOINT_SECONDS = 2.0
SSH_OPTIONS = [
    "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null", "BatchMode=yes",
    "LogLevel=ERROR", "ConnectTimeout=10",
]  # fmt: skip


def ways_in(host, before=None):
    # type: (Host, Optional[Dict[str, bool]]) -> Dict[str, bool]
    """Every way into the host that can be tried from here -> whether it works now. ``before``: what was found first.

    "SSH port N" answers; "SSH on A": sshd listens on the address; "SSH session of U": a new session opens, through the configuration and
    PAM stacks that are in place now, for a key made for this; "sudo of U": root by it, without a terminal or a password; "key of U": sshd
    finds and takes an authorised key of the user; "Session Manager": its agent runs; "endpoint E": the host reaches what was declared in
    use, such as Systems Manager and the metadata. (One that did not answer ``before`` is not waited for again.)
    """
    ways = {"Session Manager": agent_runs(host)}
    for endpoint in host.in_use.get("endpoints", []):
        way = "endpoint %s" % endpoint
        ways[way] = (before is None or before.get(way, False)) and endpoint_answers("%s" % endpoint)
    for user in people(host):
        ways["sudo of " + user] = host.system.run(["runuser", "-u", user, "--", "sudo", "-n", "true"]).code == 0
    try:
        settings = effective(host)
        active = sshd_is_active(host)
        for port in settings.get("port", "22").split():
            ways["SSH port " + port] = active and port_answers(int(port))
        # What is tried here goes over loopback; whether sshd listens for others, it has to say itself.
        for address in settings.get("listenaddress", "").split():
            ways["SSH on " + address] = active
        for user in people(host):
            ways["key of " + user] = has_key(host, user)
            ways["SSH session of " + user] = session_opens(host, user)
    except (NotApplicableError, HardeningError):
        # No sshd, or one that can't read its configuration: no way in over SSH. What worked before counts as lost then.
        return ways
    return ways


def agent_runs(host):
    # type: (Host) -> bool
    """Whether Session Manager's agent runs and did not just start: one that fails and is started over and over is no way in."""
    names = "ActiveState,ActiveEnterTimestampMonotonic"
    done = host.system.run(["systemctl", "show", "-p", names, AGENT])
    values = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
    uptime = float((host.system.read("/proc/uptime") or "0").split()[0])
    started = float(values.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    return values.get("ActiveState") == "active" and uptime - started >= AGENT_SETTLED_SECONDS


def sshd_is_active(host):
    # type: (Host) -> bool
    return host.system.run(["systemctl", "is-active", "sshd"]).out.strip() in ("active", "reloading")


def people(host):
    # type: (Host) -> List[str]
    """Who logs in: the users declared in use and ec2-user, if they have a shell."""
    wanted = ["%s" % user for user in host.in_use.get("users", [])] + [DEFAULT_USER]
    return [a["name"] for a in passwd(host) if a["name"] in wanted and a["shell"] not in NO_LOGIN]


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


def has_key(host, user):
    # type: (Host, str) -> bool
    """Whether sshd has a source of keys for the user: a file with a key in it that it reads and trusts, or a command that is asked."""
    settings = effective(host, user)
    if settings.get("authorizedkeyscommand", "none") != "none":
        return True
    home = next(a["home"] for a in passwd(host) if a["name"] == user)
    for pattern in settings.get("authorizedkeysfile", ".ssh/authorized_keys").split():
        path = pattern.replace("%u", user).replace("%h", home).replace("%%", "%")
        path = path if path.startswith("/") else home + "/" + path
        if holds_keys(host, path) and (settings.get("strictmodes") == "no" or trusted(host, path, user, home)):
            # sshd reads it as the user.
            return host.system.run(["runuser", "-u", user, "--", "test", "-r", path]).code != 1
    return False


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
    folder = tempfile.mkdtemp(prefix="fleet-hardening-", dir="/run" if os.path.isdir("/run") else None)
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

    A daemon that greets but lets nobody in by a key is reached by a password or not at all: closing that would close the last way in. Where
    none greets and Session Manager's agent does not run, the console is all there is, and no change can be proven there.
    """
    if group not in ("sshd", "pam", "accounts") or before.get("Session Manager"):
        return None
    keys = [works for name, works in before.items() if name.startswith("key of ")]
    if keys and not any(keys):
        return (
            "refused: no user has an SSH key and Session Manager's agent does not run, so a password may be the last way in. Add a key for "
            "%s or start %s first" % (DEFAULT_USER, AGENT)
        )
    if not any(works for name, works in before.items() if name.startswith("SSH port ")):
        return (
            "refused: no SSH daemon answers and Session Manager's agent does not run, so the console is the last way in and a change there "
            "can't be proven. Start sshd or %s first" % AGENT
        )
    return None


def lost(before, after):
    # type: (Dict[str, bool], Dict[str, bool]) -> List[str]
    """The ways in that worked and work no more. Pure."""
    return sorted(name for name, works in before.items() if works and not after.get(name, False))


def check(group, host):
    # type: (str, Host) -> Optional[str]
    """What the program's own checker says against the files in place; None if they are good."""
    if group not in CHECKERS:
        return None
    done = host.system.run(CHECKERS[group])
    return None if done.code == 0 else "%s: %s" % (" ".join(CHECKERS[group]), done.said)


def forget_sshd(host):
    # type: (Host) -> None
    """Have sshd asked for its settings anew."""
    for name in ["sshd"] + ["sshd %s" % user for user in people(host)]:
        host.system.forget(name)


def reload_sshd(host):
    # type: (Host) -> None
    """Have sshd read its files again, and wait until it has: a second signal while it starts over would end it."""
    if not sshd_is_active(host):
        return
    shown = host.system.run(["systemctl", "show", "-p", "MainPID", "sshd"]).out
    pid = shown.strip().partition("=")[2] or "0"
    before = _program_image(host, pid)
    done = host.system.run(["systemctl", "reload", "sshd"])
    if done.code != 0:
        raise HardeningError("systemctl reload sshd: %s" % done.said)
    deadline = time.time() + RELOAD_SECONDS
    while before and _program_image(host, pid) == before and time.time() < deadline:
        time.sleep(0.02)


def bring_back(group, host, before):
    # type: (str, Host, Dict[str, bool]) -> None
    """After a group's files were restored: have those who have read them be as they were, too."""
    if group == "firewall" and host.unproven:
        firewall.put_back(host)
    if group == "sshd" and any(works for name, works in before.items() if name.startswith("SSH port ")):
        _bring_sshd_back(host)


def _bring_sshd_back(host):
    # type: (Host) -> None
    """Have it read its files, or start it if the change has ended it."""
    if sshd_is_active(host):
        reload_sshd(host)
    else:
        host.system.run(["systemctl", "restart", "sshd"])


def _program_image(host, pid):
    # type: (Host, str) -> str
    """What tells one execution of a program in a process from the next: where the kernel has put it."""
    try:
        return (host.system.read("/proc/%s/maps" % pid) or "").partition("\n")[0]
    except HardeningError:
        return ""
