#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: swap_file
short_description: A swap file of a given size, or none
description:
  - Writes the file (mode 0600, without holes), formats it, switches it on and enters it in /etc/fstab. Another size replaces it.
  - Refuses if the file system would be filled. Old and new file are there together, since the old one is switched off only when the kernel
    has taken the new one. When a step fails, file, use and C(/etc/fstab) are as they were before.
  - In a container the kernel's swap is not the host's to set. That is returned in RV(not_applied), and nothing is written.
version_added: 0.2.0
options:
  path: {description: The file., type: path, default: /swapfile}
  size_mib: {description: Size in MiB. V(0) switches the file off and deletes it., type: int, required: true}
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode: {support: full, description: Changes nothing.}
  diff_mode: {support: full, description: Shows the sizes.}
"""

EXAMPLES = r"""
- name: Give a worker 2 GiB of swap
  ecommerce.fleet.swap_file:
    size_mib: 2048
"""

RETURN = r"""
not_applied:
  description: Why nothing was done here, empty otherwise.
  returned: always
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.survey import text_of
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.swap import SwapFile


def main():
    module = AnsibleModule(
        argument_spec=dict(path=dict(type="path", default="/swapfile"), size_mib=dict(type="int", required=True)),
        supports_check_mode=True,
    )
    path, mib = module.params["path"], module.params["size_mib"]
    if mib < 0 or not os.path.isabs(path):
        module.fail_json(
            msg="size_mib is %s and path '%s'; a size of 0 or more and an absolute path are needed" % (mib, path)
        )
    container = text_of("/run/systemd/container").strip()
    if container:
        reason = "this is a container (%s); swap belongs to its machine" % container
        module.exit_json(changed=False, not_applied=reason)
    swap = SwapFile(path, module.run_command)
    if swap.is_right(mib):
        module.exit_json(changed=False, not_applied="")
    diff = dict(before="%s: %s MiB in use\n" % (path, swap.active_mib()), after="%s: %s MiB in use\n" % (path, mib))
    try:
        if not module.check_mode:
            if mib:
                swap.create(mib)
            else:
                swap.remove()
    except (HostError, IOError, OSError) as error:
        module.fail_json(msg="No swap file of %s MiB: %s." % (mib, error))
    module.exit_json(changed=True, not_applied="", diff=diff)


if __name__ == "__main__":
    main()
