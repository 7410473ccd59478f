from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.sshd import parse, reads_drop_in


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
