"""What gives a host its address is left alone.

On Amazon Linux 2 dhclient runs in the unit network.service (its script calls ifup): a restart of that takes the address away for a while.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.base import listed
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.firewall import ruleset
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.host import without_suffix

from tests.support.hardening.cases import REGISTER

ROOT = Path(__file__).parents[3]
NETWORK = {"network", "NetworkManager", "systemd-networkd", "systemd-resolved", "dhclient", "cloud-init"}


def test_no_control_stops_restarts_or_removes_it() -> None:
    states = [(control.id, state) for control in REGISTER for state in [control.state, *control.per_os.values()]]
    named = {
        identity: [
            *listed(state.get("restart")),
            *listed(state.get("reload")),
            *(listed(state.get("name")) if state.get("running") is False or state.get("state") == "absent" else []),
        ]
        for identity, state in states
    }
    assert {
        identity: units for identity, units in named.items() if NETWORK & {without_suffix(unit) for unit in units}
    } == {}


def test_no_role_restarts_or_limits_it() -> None:
    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/handlers/*.yml")]:
        for task in yaml.safe_load(path.read_text()) or []:
            for name in ("ansible.builtin.systemd_service", "ansible.builtin.systemd", "ansible.builtin.service"):
                assert without_suffix(str((task.get(name) or {}).get("name", ""))) not in NETWORK, path
    drop_ins = {path.parent.name for path in ROOT.glob("roles/*/templates/etc/systemd/system/*.d/*")}
    assert not {name for name in drop_ins if re.split(r"[.@]", name)[0] in NETWORK}


def test_the_packet_filter_lets_the_answers_of_dhcp_in() -> None:
    """A renewal is answered to the socket on port 68; where the lease ran out by broadcast, from whoever serves."""
    rules = ruleset([22, 80])
    assert "udp sport 67 udp dport 68 accept" in rules
    assert "udp sport 547 udp dport 546 accept" in rules
    assert rules.index("udp dport 68 accept") > rules.index("policy drop")
