# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports answer to another network, tried from one that is made on the host for this: a packet filter's input chains see such
connections as those of the world. What goes over loopback they let pass, and an agent's connection goes out, whatever they let in.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, List, Optional  # noqa: F401

    from .host import Host  # noqa: F401

NETWORK = "fleet-proof"
HERE, THERE = NETWORK + "0", NETWORK + "1"
ADDRESS, OTHER_ADDRESS = "198.18.255.253", "198.18.255.254"
"""Of the range that RFC 2544 keeps for tests inside a network."""
SUFFIX = " from another network"
TRY = 'for port; do (timeout 2 bash -c "exec 3<>/dev/tcp/%s/$port" 2>/dev/null && echo "$port") & done; wait' % ADDRESS


def paths(host, ports):
    # type: (Host, List[int]) -> Optional[Dict[str, bool]]
    """ "port N from another network" -> whether a connection to it opens. None where no network can be made, so that nothing is known."""
    _take_away(host)  # what a killed run has left
    try:
        if not all(host.system.run(["ip"] + words.split()).code == 0 for words in _steps()):
            return None
        inside = ["nsenter", "--net=/run/netns/" + NETWORK, "bash", "-c", TRY, "bash"]
        done = host.system.run(inside + ["%d" % port for port in ports])
        answered = done.out.split()
        return {"port %d%s" % (port, SUFFIX): "%d" % port in answered for port in ports} if done.code == 0 else None
    finally:
        _take_away(host)


def _steps():
    # type: () -> List[str]
    """The words of `ip` that make a network of two addresses, one of them the host's."""
    return [
        "netns add " + NETWORK,
        "link add %s type veth peer name %s netns %s" % (HERE, THERE, NETWORK),
        "addr add %s/30 dev %s" % (ADDRESS, HERE),
        "link set %s up" % HERE,
        "-n %s addr add %s/30 dev %s" % (NETWORK, OTHER_ADDRESS, THERE),
        "-n %s link set %s up" % (NETWORK, THERE),
    ]


def _take_away(host):
    # type: (Host) -> None
    for words in ("link delete " + HERE, "netns delete " + NETWORK):
        host.system.run(["ip"] + words.split())
