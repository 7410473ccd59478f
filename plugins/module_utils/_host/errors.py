# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on a host, in words for the person who has to act. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

from .encoding import printable

__metaclass__ = type


class HostError(Exception):
    """Says what was being done, on what, what happened and what to do next. Its text can be shown anywhere."""

    def __str__(self):
        # type: () -> str
        # Under Python 2 "%s" takes it as it is: text, not bytes.
        return printable("%s" % self.args, keep="\n")

    __unicode__ = __str__


class NotInstalledError(HostError):
    """What was asked about is not installed on this host."""
