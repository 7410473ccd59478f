# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardening engine: evaluates controls on a host. Runs on the hosts, under Python 2.7 and 3.6+, standard library only."""
