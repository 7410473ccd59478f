"""Titles of controls state the desired state in the benchmark's terms, so that an auditor finds a recommendation by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control, load

REGISTER = load([Path(__file__).parents[2] / "controls"])
STATES = re.compile(r"\b(is|are|has|have|exists?|includes?|do(es)? not|must)\b")
"""A title is a sentence about a state, and says it with one of these."""
FORBIDDEN = re.compile(r"\b(holds?|nobody|everybody|somebody|anybody|people|wanted)\b", re.IGNORECASE)
"""In a title: it names settings, not persons."""
LONGEST = 80
TERMS = """
    1.1 filesystems: cramfs kernel module; usb-storage kernel module; separate partition; nodev; nosuid; noexec; /var/log/audit
    1.2 updates: gpgcheck; GPG keys
    1.3 integrity: AIDE; filesystem integrity
    1.4 boot and processes: address space layout randomization; ptrace_scope; core dump storage; core dump backtraces; core dumps
        rescue mode; bootloader configuration
    1.5 mandatory access control: SELinux policy; SELinux mode; unconfined services; setroubleshoot; mcstrans
    1.6 banners: message of the day; login warning banner
    1.9 cryptography: crypto policy
    2 services: time synchronization; chrony; X Window System; Avahi; print server; DHCP server; DNS server; FTP server; HTTP proxy
        IMAP and POP3; Samba; NIS server; SNMP; Telnet client; TFTP server; LDAP client; mail transfer agent; rpcbind; NFS server; rsync
    3 network: packet redirect sending; IPv4 forwarding; source routed; ICMP redirects; secure ICMP redirects; suspicious packets
        broadcast ICMP; bogus ICMP; reverse path filtering; TCP SYN cookies; router advertisements; wireless interfaces; dccp; sctp
        nftables; loopback traffic; default policy is deny; established connections
    4 access: cron daemon; /etc/crontab; authorized users; sshd_config; PermitRootLogin; MaxAuthTries; LoginGraceTime; Banner; Ciphers
        MACs; KexAlgorithms; ClientAliveInterval; PermitEmptyPasswords; sudo log file; use_pty; re-authentication; su command
        password expiration; password expiration warning; inactive password lock; pam_faillock; pam_pwquality; password history
        password hashing algorithm; minimum password length; umask; shell timeout; system accounts
    5 logging: rsyslog; journald; remote log host; persistent storage; logrotate; auditd; audit_backlog_limit; audit log storage
        sudoers; date and time; network environment; privileged commands; file deletion; kernel module loading; immutable; chcon
    6 maintenance: /etc/passwd; /etc/shadow; world writable; sticky bit; unowned files; SUID and SGID; duplicate UIDs
        shadowed passwords; home directories; dot files; PATH integrity
"""
"""Terms of the benchmarks by section."""


def terms() -> list[str]:
    return [term.strip() for line in TERMS.strip().splitlines() for term in line.split(": ", 1)[-1].split(";")]


def test_a_hundred_terms_are_looked_up() -> None:
    assert len(set(terms())) >= 100


@pytest.mark.parametrize("term", terms())
def test_an_auditor_finds_a_control_by_the_term_of_the_benchmark(term: str) -> None:
    assert any(term.lower() in control.title.lower() for control in REGISTER)


@pytest.mark.parametrize("control", REGISTER, ids=lambda control: control.id)
def test_a_title_is_a_short_sentence_about_a_state(control: Control) -> None:
    assert STATES.search(control.title), f"{control.title!r} does not say what is or is not"
    assert not FORBIDDEN.search(control.title), f"{control.title!r}: docs/glossary.md has the words to use"
    assert len(control.title) <= LONGEST
    assert not control.title.endswith(".")
