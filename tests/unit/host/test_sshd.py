from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.sshd import parse, ports, reads_drop_in


@pytest.mark.parametrize(
    ("main", "reads"),
    [
        ("Include /etc/ssh/sshd_config.d/*.conf\n", True),
        ("  include sshd_config.d/*.conf\n", True),
        ("#Include /etc/ssh/sshd_config.d/*.conf\n", False),
        ("Match User a\n  Include /etc/ssh/sshd_config.d/*.conf\n", False),
        ("Port 22\n", False),
    ],
)
def test_drop_ins_are_used_only_where_sshd_reads_them(main: str, reads: bool) -> None:
    assert reads_drop_in(main) is reads


def test_repeated_options_of_sshd_are_joined() -> None:
    assert parse("Port 22\nport 2222\nusepam yes\n") == {"port": "22 2222", "usepam": "yes"}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("port 22\n", ["22"]),
        ("port 22\nlistenaddress 0.0.0.0:2222\nlistenaddress [::]:2222\n", ["2222"]),
        ("port 22\nlistenaddress 10.0.0.1:22\nlistenaddress [fe80::1%eth0]:24 rdomain x\n", ["22", "24"]),
        ("", ["22"]),
    ],
)
def test_the_ports_are_those_of_the_addresses(output: str, expected: list[str]) -> None:
    assert ports(parse(output)) == expected
