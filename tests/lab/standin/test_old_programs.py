"""The programs of the Amazon Linux 2 stand-in refuse what the real, older ones refuse, and take what those take."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access.rules import Policy
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access.texts import sshd_block
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.compare import text
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.firewall import ruleset
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import load

from lab.standin import old

CONTROLS = [
    control
    for control in load([Path(__file__).parents[3] / "controls"])
    if "al2" in control.applies.get("os", ["al2"]) and control.type in ("sshd", "sudo_default")
]
STATES = {control.id: {**control.state, **control.per_os.get("al2", {})} for control in CONTROLS}
TABLE = "table inet t {\n chain c {\n  type filter hook input %s; policy accept;\n  %s\n }\n}\n"


def ran(folder: Path, name: str, *words: str, stdin: str = "", says: str = "") -> subprocess.CompletedProcess[str]:
    """The program in front of one that prints its own words, or `says`."""
    real = folder / "real"
    real.write_text(f"#!/bin/bash\ncat <<'X'\n{says}\nX\n" if says else '#!/bin/bash\nprintf "%s\\n" "taken:" "$@"\n')
    place = folder / name
    place.write_text(old.program(name, str(real)))
    for file in (real, place):
        file.chmod(0o755)
    return subprocess.run([str(place), *words], input=stdin, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("systemctl", "show -p ActiveState,SubState a.service"),
        ("systemctl", "enable --now a.service"),
        ("systemctl", "list-units --plain --no-legend --full --state=failed a*"),
        ("systemctl", "kill --kill-who=main --signal=HUP nginx"),
        ("systemctl", "--no-reload unmask a"),
        ("systemctl", "-l --no-pager status x"),
        ("systemctl", "set-property a.service CPUShares=5"),
        ("systemd-run", "--unit=u --on-active=30 --timer-property=AccuracySec=1s /bin/sh -c x --collect"),
        ("systemd-run", "--unit u -p MemoryLimit=1G -pUser=a cmd --wait --pipe"),
        ("systemd-run", "-qt -- cmd -G"),
        ("systemd-analyze", "verify a.service"),
        ("journalctl", "-n5 -u a -b -1 --output=cat --since -1min -q"),
        ("journalctl", "_SYSTEMD_UNIT=a --lines=5 --quiet --no-pager -o cat"),
        ("nft", "list table inet t"),
        ("nft", "-c -f -"),
        ("nft", "add chain ip h c { type filter hook input priority 10; }"),
        ("nft", "add rule ip h c meta priority set 1"),
        ("sshd", "-D -u0"),
        ("sshd", "-t -f /dev/null -o UseDNS=no"),
        ("sshd", "-T -f /dev/null -C user=a,host=h,addr=1.2.3.4"),
        ("visudo", "-cf /dev/null"),
        ("visudo", "--check --file=/dev/null"),
    ],
)
def test_what_the_old_one_knows_reaches_the_program_as_it_was(tmp_path: Path, name: str, words: str) -> None:
    done = ran(tmp_path, name, *words.split())
    assert (done.returncode, done.stderr) == (0, "")
    if "-T" not in words and "list" not in words:
        assert done.stdout.split() == ["taken:", *words.split()]


@pytest.mark.parametrize(
    ("name", "words", "why"),
    [
        ("systemctl", "show --value -p A x", "unrecognized option '--value'"),
        ("systemctl", "list-units -P Id", "invalid option -- 'P'"),
        ("systemctl", "clean x", "Unknown operation 'clean'"),
        ("systemctl", "try-reload-or-restart x", "Unknown operation"),
        ("systemctl", "kill --kill-whom=main x", "--kill-whom"),
        ("systemctl", "list-units --with-dependencies", "--with-dependencies"),
        ("systemctl", "revert x", "revert"),
        ("systemd-run", "--collect true", "--collect"),
        ("systemd-run", "-G true", "'G'"),
        ("systemd-run", "--wait --pipe true", "--wait"),
        ("systemd-run", "-p RuntimeMaxSec=5 true", "Unknown assignment RuntimeMaxSec=5"),
        ("systemd-run", "--property=ProtectSystem=strict true", "Unknown assignment ProtectSystem"),
        ("systemd-run", "-pDynamicUser=1 true", "DynamicUser"),
        ("systemd-run", "--working-directory=/ true", "--working-directory"),
        ("systemd-analyze", "cat-config systemd/journald.conf", "Unknown operation 'cat-config'"),
        ("systemd-analyze", "security x", "security"),
        ("journalctl", "--grep=x", "--grep"),
        ("journalctl", "-g x", "'g'"),
        ("journalctl", "--rotate", "--rotate"),
        ("nft", "-t list ruleset", "'t'"),
        ("nft", "--terse list ruleset", "--terse"),
        ("nft", "-y list ruleset", "'y'"),
        ("nft", "add chain ip h c { type filter hook input priority filter; }", "priority filter"),
        ("nft", "destroy table ip h", "destroy"),
        ("sshd", "-G", "'G'"),
        ("sshd", "-t -f /dev/null -o Include=/x", "Bad configuration option: Include"),
        ("sshd", "-T -C user=a", "user, host and addr are all required"),
        ("visudo", "-P", "'P'"),
        ("visudo", "--perms", "--perms"),
    ],
)
def test_what_came_later_is_refused_in_the_old_ones_words(tmp_path: Path, name: str, words: str, why: str) -> None:
    done = ran(tmp_path, name, *words.split())
    assert done.returncode != 0
    assert why in done.stderr
    assert "taken:" not in done.stdout


@pytest.mark.parametrize("link", ["reboot", "shutdown", "poweroff"])
def test_a_link_to_systemctl_is_no_systemctl(tmp_path: Path, link: str) -> None:
    ran(tmp_path, "systemctl", "status")
    (tmp_path / link).symlink_to("systemctl")
    done = subprocess.run([str(tmp_path / link), "--value"], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout.split() == ["taken:", "--value"]


@pytest.mark.parametrize("priority", ["0", "-150", "300"])
def test_nft_takes_priorities_that_are_numbers(tmp_path: Path, priority: str) -> None:
    text = TABLE % (f"priority {priority}", "tcp flags & (syn | ack) == ack accept # priority filter;")
    assert ran(tmp_path, "nft", "-f", "-", stdin=text).returncode == 0


@pytest.mark.parametrize(
    ("priority", "rule"),
    [
        ("priority filter", "accept"), ("priority mangle + 5", "accept"), ("priority raw - 1", "accept"), ("priority $p", "accept"),
        ("priority 0", "tcp flags ack / syn,ack accept"), ("priority 0", "meta time < 5 drop"), ("priority 0", "jump { accept }"),
        ("priority 0", "ct state new synproxy mss 1460"), ("priority 0", "osf name Linux drop"),
    ],
)  # fmt: skip
def test_nft_refuses_newer_syntax_in_files_includes_and_input(tmp_path: Path, priority: str, rule: str) -> None:
    text = TABLE % (priority, rule)
    (tmp_path / "main").write_text(f'include "{tmp_path}/part"\n')
    (tmp_path / "part").write_text(text)
    for done in (
        ran(tmp_path, "nft", "-f", "-", stdin=text),
        ran(tmp_path, "nft", "-c", "-f", str(tmp_path / "part")),
        ran(tmp_path, "nft", f"-cf{tmp_path}/main"),
    ):
        assert done.returncode == 1
        assert "Error: syntax error" in done.stderr


def test_nft_lists_as_it_did_so_that_it_takes_what_it_listed(tmp_path: Path) -> None:
    listed = ran(
        tmp_path,
        "nft",
        "list",
        "table",
        "inet",
        "t",
        says=TABLE % ("priority 0", "tcp flags ack,rst / syn,ack,rst accept"),
    )
    assert "tcp flags & (syn | ack | rst) == (ack | rst) accept" in listed.stdout
    assert ran(tmp_path, "nft", "-f", "-", stdin=listed.stdout).returncode == 0


@pytest.mark.parametrize("ports", [[22], [22, 80, 443]])
def test_the_hardenings_filter_is_one_that_the_old_nft_takes(tmp_path: Path, ports: list[int]) -> None:
    assert ran(tmp_path, "nft", "-c", "-f", "-", stdin=ruleset(ports)).returncode == 0


@pytest.mark.parametrize(
    "line",
    ["Include /etc/ssh/sshd_config.d/*.conf", "  PubkeyAcceptedAlgorithms=ssh-ed25519", "PerSourceMaxStartups 5", "SetEnv A=b",
     "KexAlgorithms sntrup761x25519-sha512@openssh.com", "Ciphers -aes128-cbc", "MACs ^hmac-sha2-256",
     'HostKeyAlgorithms "sk-ssh-ed25519@openssh.com"',
     "CASignatureAlgorithms ssh-ed25519", "PermitListen none", "RequiredRSASize 2048", "ChannelTimeout *=5m", "LogVerbose x"],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["-t", "-T", "-D"])
def test_sshd_refuses_keywords_and_algorithms_that_came_later(tmp_path: Path, line: str, mode: str) -> None:
    (tmp_path / "sshd_config").write_text(f"# Include is a comment here\nPort 22\n{line}\n")
    done = ran(tmp_path, "sshd", mode, "-f", str(tmp_path / "sshd_config"))
    assert done.returncode == 255
    assert "line 3" in done.stderr
    assert "terminating, 1 bad configuration options" in done.stderr


def test_sshd_says_its_settings_by_the_names_that_it_had(tmp_path: Path) -> None:
    says = "port 22\npubkeyacceptedalgorithms ssh-ed25519\nkbdinteractiveauthentication no\nrequiredrsasize 1024\n"
    done = ran(tmp_path, "sshd", "-T", "-f", "/dev/null", says=says)
    assert done.stdout.splitlines()[:4] == [
        "port 22", "pubkeyacceptedkeytypes ssh-ed25519", "challengeresponseauthentication no", "kbdinteractiveauthentication no",
    ]  # fmt: skip
    assert "requiredrsasize" not in done.stdout


@pytest.mark.parametrize(
    "line",
    ["@includedir /etc/sudoers.d", "@include /etc/other", "bob ALL=(ALL) INTERCEPT: ALL", "bob ALL=(ALL) CWD=/tmp ALL",
     "bob ALL=(ALL) ^/usr/bin/.*$",
     "Defaults log_subcmds", "Defaults:bob use_pty, !log_allowed", "Defaults runcwd=*"],
)  # fmt: skip
def test_visudo_refuses_what_sudo_learned_later(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "sudoers.d"
    folder.mkdir()
    (folder / "other").write_text(f"Defaults use_pty\n{line}\n")
    (tmp_path / "sudoers").write_text(f"# {line}\n#includedir {folder}\n")
    done = ran(tmp_path, "visudo", "-cf", str(tmp_path / "sudoers"))
    assert done.returncode == 1
    assert f"{folder}/other: syntax error near line 2" in done.stderr


@pytest.mark.parametrize("name", [control.id for control in CONTROLS if control.type == "sshd"])
def test_what_a_control_sets_on_amazon_linux_2_is_taken_by_its_sshd(tmp_path: Path, name: str) -> None:
    state = STATES[name]
    known = old.versions()["sshd"]["keywords"].split()
    options = [option for option in (state["option"], state.get("alias")) if option and option.lower() in known]
    assert options, f"{name} would never apply there"
    (tmp_path / "sshd_config").write_text("".join(f"{option} {text(state['value'])}\n" for option in options))
    done = ran(tmp_path, "sshd", "-t", "-f", str(tmp_path / "sshd_config"))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_administrators_blocks_are_taken_by_amazon_linux_2s_sshd(tmp_path: Path) -> None:
    (tmp_path / "sshd_config").write_text(sshd_block(Policy(totp=True, exempt=["deploy"], locked="ec2-user")))
    done = ran(tmp_path, "sshd", "-t", "-f", str(tmp_path / "sshd_config"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [control.id for control in CONTROLS if control.type == "sudo_default"])
def test_what_a_control_sets_for_sudo_is_taken_by_amazon_linux_2s(tmp_path: Path, name: str) -> None:
    value = STATES[name]["value"]
    word = (
        f"{'' if value else '!'}{STATES[name]['option']}"
        if isinstance(value, bool)
        else f"{STATES[name]['option']}={value}"
    )
    (tmp_path / "sudoers").write_text(f"Defaults {word}\n")
    assert ran(tmp_path, "visudo", "-cf", str(tmp_path / "sudoers")).returncode == 0


def test_visudo_takes_what_sudo_has_had_for_long(tmp_path: Path) -> None:
    text = "Defaults use_pty, !visiblepw, logfile=/var/log/sudo.log\nDefaults secure_path = /sbin:/bin\nbob ALL=(ALL) NOPASSWD: ALL\n"
    (tmp_path / "sudoers").write_text(text)
    assert ran(tmp_path, "visudo", "-c", "-f", str(tmp_path / "sudoers")).returncode == 0


def complaints(folder: Path, unit: str, name: str = "a.service") -> list[str]:
    script = folder / "directives"
    script.write_text(old.directives())
    units = folder / "units"
    units.mkdir(exist_ok=True)
    (units / name).parent.mkdir(exist_ok=True)
    (units / name).write_text(unit)
    done = subprocess.run(["sh", str(script), str(units)], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition("] ")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("Service", "ProtectKernelTunables=yes"), ("Service", "StateDirectory=a"), ("Service", "RuntimeMaxSec = 5"),
        ("Service", "MemoryMax=1G"),
        ("Service", "ReadWritePaths=/x"), ("Service", "StartLimitIntervalSec=0"), ("Unit", "StartLimitIntervalSec=0"),
        ("Service", "LoadCredential=a:/b"), ("Timer", "FixedRandomDelay=yes"), ("Unit", "SuccessAction=none"),
        ("Service", "DynamicUser=yes"),
        ("Socket", "PollLimitBurst=5"), ("Mount", "ReadWriteOnly=yes"), ("Service", "Retart=always"), ("Install", "UpheldBy=a"),
    ],
)  # fmt: skip
def test_a_directive_that_systemd_did_not_know_is_named(tmp_path: Path, section: str, line: str) -> None:
    unit = f"[Unit]\nDescription=a\n[{section}]\n# RuntimeMaxSec=1\n{line}\n"
    assert complaints(tmp_path, unit) == [f"Unknown lvalue '{line.partition('=')[0].strip()}' in section '{section}'"]
    assert complaints(tmp_path, "", "a.service") == []
    assert complaints(tmp_path, unit, "a.service.d/10-x.conf") != []


@pytest.mark.parametrize(
    "line",
    [
        "ProtectSystem=strict",
        "StandardOutput=append:/x",
        "Type=exec",
        "ExecStart=+/bin/true",
        "ExecStartPre=-!/bin/true",
    ],
)
def test_a_value_that_systemd_could_not_parse_is_named(tmp_path: Path, line: str) -> None:
    assert complaints(tmp_path, f"[Service]\n{line}\n") == [f"Failed to parse {line}, ignoring"]


def test_a_unit_for_the_old_systemd_has_nothing_to_be_named(tmp_path: Path) -> None:
    unit = (
        "[Unit]\nAfter=a.service\nStopWhenUnneeded=yes\n[Service]\nType=oneshot\nExecStart=-/bin/sh -c 'a=b; \\\n  X=1'\nMemoryLimit=1G\n"
        "PrivateTmp=yes\nProtectSystem=full\nStartLimitInterval=0\nTasksMax=10\n[Install]\nWantedBy=multi-user.target\n[X-Own]\nA=b\n"
    )
    assert complaints(tmp_path, unit) == []
