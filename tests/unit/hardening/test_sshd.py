"""Settings of the SSH daemon: what it uses counts, and ours is what it reads first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.base import NotApplicableError
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.sshd import (
    with_setting,
    without_setting,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce

SSHD_CONFIG = "Include /etc/ssh/sshd_config.d/*.conf\nX11Forwarding yes\n"


def sshd(machine: Machine) -> None:
    """An sshd that reads the main file and where it includes them the drop-ins; the first value counts, Match blocks hold for others."""

    def lines(path: str) -> Iterator[str]:
        for line in (machine.system.read(path) or "").splitlines():
            if line.startswith("Match"):
                return
            if line.startswith("Include"):
                for drop_in in machine.system.glob("/etc/ssh/sshd_config.d/*.conf"):
                    yield from lines(drop_in)
            yield line

    def effective(argv: list[str], stdin: str | None) -> tuple[int, str]:
        settings = {"port": "22", "x11forwarding": "no", "maxauthtries": "6"}
        seen = set()
        for line in lines("/etc/ssh/sshd_config"):
            name, _, value = line.strip().partition(" ")
            if name.lower() in settings and name.lower() not in seen:
                seen.add(name.lower())
                settings[name.lower()] = value
        return 0, "".join(f"{name} {value}\n" for name, value in settings.items())

    machine.answers["sshd -T"] = effective


def test_an_sshd_setting_goes_before_all_others_in_a_drop_in(machine: Machine) -> None:
    machine.put("/etc/ssh/sshd_config", SSHD_CONFIG)
    sshd(machine)
    enforce(machine.host(), "sshd", {"option": "X11Forwarding", "value": "no"})
    assert machine.text("/etc/ssh/sshd_config.d/00-fleet-hardening.conf") == "X11Forwarding no\n"
    assert machine.text("/etc/ssh/sshd_config") == SSHD_CONFIG


def test_an_option_that_sshd_states_by_two_names_is_set_by_both(machine: Machine) -> None:
    """OpenSSH 7.4 turns the dialogue on again as long as ChallengeResponseAuthentication is."""
    machine.put("/etc/ssh/sshd_config", "ChallengeResponseAuthentication yes\n")

    def stated(_argv: list[str], _stdin: str | None) -> tuple[int, str]:
        text = machine.text("/etc/ssh/sshd_config")
        off = all(
            f"\n{name} no" in text for name in ("ChallengeResponseAuthentication", "KbdInteractiveAuthentication")
        )
        return 0, "".join(
            f"{name} {'no' if off else 'yes'}\n"
            for name in ("challengeresponseauthentication", "kbdinteractiveauthentication")
        )

    machine.answers["sshd -T"] = stated
    state = {"option": "KbdInteractiveAuthentication", "alias": "ChallengeResponseAuthentication", "value": "no"}
    enforce(machine.host("al2"), "sshd", state)


def test_lines_that_sshd_reads_before_ours_become_comments(machine: Machine) -> None:
    """A line above the Include or in a drop-in with an earlier name would hold instead of ours; what a Match block says is left alone."""
    earlier = "/etc/ssh/sshd_config.d/00-cloud.conf"
    machine.put("/etc/ssh/sshd_config", "X11Forwarding yes\n" + SSHD_CONFIG)
    machine.put(earlier, "x11forwarding yes\nMatch User a\n  X11Forwarding yes\n")
    sshd(machine)
    enforce(machine.host(), "sshd", {"option": "X11Forwarding", "value": "no"})
    assert machine.text("/etc/ssh/sshd_config") == "# X11Forwarding yes\n" + SSHD_CONFIG
    assert machine.text(earlier) == "# x11forwarding yes\nMatch User a\n  X11Forwarding yes\n"


def test_where_sshd_has_no_drop_ins_it_goes_to_the_top_of_the_file(machine: Machine) -> None:
    machine.put("/etc/ssh/sshd_config", "X11Forwarding yes\nMatch User a\n  X11Forwarding yes\n")
    sshd(machine)
    enforce(machine.host(), "sshd", {"option": "X11Forwarding", "value": "no"})
    assert machine.text("/etc/ssh/sshd_config").splitlines()[:3] == [
        "# BEGIN fleet hardening",
        "X11Forwarding no",
        "# END fleet hardening",
    ]


def test_the_block_at_the_top_is_changed_and_not_doubled() -> None:
    twice = with_setting(with_setting("Port 22\n", "MaxAuthTries", "4"), "MaxAuthTries", "3")
    assert twice == "# BEGIN fleet hardening\nMaxAuthTries 3\n# END fleet hardening\nPort 22\n"


def test_an_option_whose_last_value_counts_is_silenced_elsewhere() -> None:
    text = with_setting("MaxStartups 100:30:200\nPort 22\n", "MaxStartups", "10:30:60")
    assert without_setting(text, "MaxStartups") == (
        "# BEGIN fleet hardening\nMaxStartups 10:30:60\n# END fleet hardening\n# MaxStartups 100:30:200\nPort 22\n"
    )


def test_an_option_that_this_sshd_does_not_have_is_not_applicable(machine: Machine) -> None:
    machine.put("/etc/ssh/sshd_config", SSHD_CONFIG)
    sshd(machine)
    with pytest.raises(NotApplicableError, match="no option UsePrivilegeSeparation"):
        differences(machine.host(), "sshd", {"option": "UsePrivilegeSeparation", "value": "sandbox"})


def test_a_broken_sshd_configuration_is_told_in_its_own_words(machine: Machine) -> None:
    machine.answers["sshd -T"] = (255, "/etc/ssh/sshd_config line 3: Bad configuration option: Prot")
    with pytest.raises(HostError, match="line 3: Bad configuration option"):
        differences(machine.host(), "sshd", {"option": "X11Forwarding", "value": "no"})


ODD = 'Port 22\r\n\t"PermitRootLogin"\tyes\r\npermitrootlogin=no\n#PermitRootLogin yes\nPermitRootLoginX\u2028 a\x0c\ncaf\udce9'


def test_only_lines_that_set_the_option_change_whatever_else_is_there() -> None:
    quiet = without_setting(ODD, "PermitRootLogin")
    assert quiet == ODD.replace('\t"Perm', '# \t"Perm').replace("permitrootlogin=", "# permitrootlogin=")
    assert without_setting(quiet, "PermitRootLogin") == quiet
    assert without_setting(ODD, "Banner") == ODD
