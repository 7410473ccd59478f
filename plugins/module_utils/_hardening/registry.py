# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resource types by name."""

from __future__ import absolute_import, division, print_function

from .resources.accounts import AccountList, EmptyGroup, PasswordAging, SystemAccounts
from .resources.audit import AuditCompiled, AuditRule
from .resources.boot import BootArgument, CryptoPolicy
from .resources.files import File, Lines, Setting
from .resources.firewall import Firewall
from .resources.kernel import KernelModule, Sysctl
from .resources.mounts import Mount
from .resources.partitions import Partition
from .resources.privilege import PamRule, SudoDefault, SudoRules
from .resources.probes import Probe
from .resources.selinux import SelinuxMode
from .resources.shipping import LogShipping, RsyslogForward
from .resources.software import Package, Service
from .resources.sshd import SshdSetting, SshdUsers
from .resources.walk import FileWalk

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict  # noqa: F401

    from .resources.base import Resource  # noqa: F401

_ALL = (
    AccountList(), AuditCompiled(), AuditRule(), BootArgument(), CryptoPolicy(), EmptyGroup(), File(), FileWalk(), Firewall(),
    KernelModule(), Lines(), LogShipping(), Mount(), Package(), PamRule(), Partition(), PasswordAging(), Probe(),
    RsyslogForward(), SelinuxMode(), Service(), Setting(), SshdSetting(), SshdUsers(), SudoDefault(), SudoRules(), Sysctl(),
    SystemAccounts(),
)  # fmt: skip
TYPES = {resource.name: resource for resource in _ALL}  # type: Dict[str, Resource]
