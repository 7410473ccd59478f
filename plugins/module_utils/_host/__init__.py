# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one library about a host: processes, files, units, accounts, sshd, metadata. Runs on the hosts, under Python 2.7 and 3.7+."""
