# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbolic links that say which of several directories is in use. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import os

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Optional  # noqa: F401


def target(link):
    # type: (str) -> Optional[str]
    """What the link names, as it was written; None where there is no link."""
    return os.readlink(link) if os.path.islink(link) else None


def switch(link, name):
    # type: (str, Optional[str]) -> None
    """Makes the link name `name` by one rename, so that it always names something; None removes the link."""
    if name is None:
        if os.path.islink(link):
            os.unlink(link)
        return
    scratch = "%s.%d" % (link, os.getpid())
    if os.path.lexists(scratch):
        os.unlink(scratch)
    os.symlink(name, scratch)
    os.rename(scratch, link)
