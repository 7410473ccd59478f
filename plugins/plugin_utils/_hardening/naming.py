# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a host's report are called. Pure."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from ...module_utils._host.encoding import printable

FLEET = "fleet"
LONGEST = 200
"""Characters of a name that file systems take (255 bytes), less what a suffix and a temporary file need."""


def stem(host: str) -> str:
    """The files' name without its suffix: the host's, in which what a file or an address can't have is encoded as in addresses.

    No host's name leads out of the folder, and none is that of the fleet's files or of another host's.
    """
    name = quote(printable(host), safe="")
    if name == FLEET:
        return f"%{ord(name[0]):X}{name[1:]}"
    if len(name) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode("ascii")).hexdigest()[:16]
    return f"{name[: LONGEST - len(digest) - 1]}-{digest}"
