# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""authselect(8), which may own PAM's stacks on Amazon Linux 2023: asked what it owns and can do, and undone as a whole.

Whether an image uses it differs; a stack is its own if it is a link into its directory ("authselect opt-out" leaves plain files).
"""

from __future__ import absolute_import, division, print_function

import os

from ..._host.errors import HostError

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Optional  # noqa: F401

    from ..host import Host  # noqa: F401

DIRECTORY = "/etc/authselect"
WRITTEN = (
    DIRECTORY + "/*", "/var/lib/authselect/*", "/etc/pam.d/*-auth", "/etc/pam.d/postlogin", "/etc/nsswitch.conf",
    "/etc/dconf/db/distro.d/20-authselect", "/etc/dconf/db/distro.d/locks/20-authselect",
)  # fmt: skip
"""What a change of its features writes: its configuration, what it generates, copies that it compares with, and the links to it."""


def owns(host, path):
    # type: (Host, str) -> bool
    real = host.system.real(path)
    if not os.path.islink(real):
        return False
    target = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(real)))
    return target.startswith(DIRECTORY + "/")


def enable(host, feature, what):
    # type: (Host, Optional[str], str) -> None
    """Have the feature enabled in the profile that is selected. ``what``: what is to be changed. Raises HostError where that is no way."""
    current = host.system.run(["authselect", "current", "-r"])
    words = current.out.split()
    if current.code != 0 or not words:
        raise HostError(
            "%s is a link to authselect's directory, and authselect does not say which profile is selected: %s. See what authselect "
            "check says, then select one (authselect select)" % (what, current.output or "no output")
        )
    profile, enabled = words[0], words[1:]
    available = host.system.run(["authselect", "list-features", profile]).out.split()
    if feature is None or feature in enabled or feature not in available:
        raise HostError(
            "authselect owns %s, and no feature of its profile %s does this. Make a profile of your own (authselect create-profile "
            "fleet -b %s), change it below %s/custom/fleet and select it (authselect select custom/fleet%s)"
            % (what, profile, profile, DIRECTORY, "".join(" " + word for word in enabled))
        )
    for path in [path for pattern in WRITTEN for path in host.system.glob(pattern)]:
        if os.path.islink(host.system.real(path)) or not os.path.isdir(host.system.real(path)):
            host.system.keep(path)
    host.system.do(["authselect", "enable-feature", feature])
