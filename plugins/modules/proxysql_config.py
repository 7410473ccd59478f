#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: proxysql_config
short_description: Configure ProxySQL without breaking its connections, and restore the file unless it runs as desired
description:
  - Fills the passwords of a file that only root can read on the host into the configuration. They are no argument of the module, so they
    are in no argument list, log, diff or fact.
  - Loads a changed file through the admin port - applications keep their connections. What only a restart changes is restarted for.
  - Asks ProxySQL what it runs with. Unless that is the desired state, the files from before are put back, it is restarted with them, and
    the module fails with the differences.
  - When nothing has changed it still asks, and fixes what somebody changed by hand, passwords and administrators included.
version_added: 0.2.0
options:
  content:
    description: The configuration. C(@secret:admin@), C(@secret:monitor@) and C(@secret:users.NAME@) stand for passwords.
    type: str
    required: true
  credentials_file:
    description: JSON with C(admin), C(monitor) and C(users). Owned by root, mode 0600.
    type: path
    required: true
  unit_settings:
    description: Content of the unit's drop-in file.
    type: str
    required: true
  admin_port: {description: The admin port on 127.0.0.1., type: int, required: true}
  desired:
    description:
      - What a running ProxySQL must answer. All that is named is compared, and no other row may be in a table that is named.
      - Passwords are as in O(content).
    type: dict
    required: true
    suboptions:
      variables: {description: Name and value., type: dict, required: true}
      tables:
        description: Rows, each as columns and values, of the tables C(mysql_servers), C(mysql_users), C(mysql_query_rules) and
          C(mysql_replication_hostgroups).
        type: dict
        required: true
  timeout_seconds: {description: How long a start may take., type: int, default: 20}
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode: {support: full, description: Compares; changes nothing.}
  diff_mode: {support: partial, description: "Shows the drop-in file. The configuration has passwords: only that it changes is shown."}
"""

EXAMPLES = r"""
- name: Configure ProxySQL
  ecommerce.fleet.proxysql_config:
    content: "{{ values | ecommerce.fleet.proxysql_text }}"
    desired: "{{ values | ecommerce.fleet.proxysql_wanted }}"
    credentials_file: /etc/fleet/secrets/proxysql.json
    unit_settings: "{{ lookup('ansible.builtin.template', 'proxysql.conf.j2') }}"
    admin_port: 6032
"""

RETURN = r"""
applied:
  description: How the files came into effect - V(load), V(restart) or V(none).
  returned: success
  type: str
restored:
  description: Whether ProxySQL runs with the files from before.
  returned: failure
  type: bool
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.file_set import FileSet
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.systemd import LIFE, Unit, do, has_ended
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.undo import outcome as not_restored
from ansible_collections.ecommerce.fleet.plugins.module_utils._proxysql.admin import (
    KEYS,
    Admin,
    CredentialsError,
    fill,
    filled,
    read_credentials,
)

CONFIGURATION = "/etc/proxysql.cnf"
DROP_IN = "/etc/systemd/system/proxysql.service.d/60-fleet.conf"
UNIT = "proxysql"
POLL_SECONDS = 0.2
SETTLE_SECONDS = 1


def files_of(module, text):
    common = dict(owner="root", validate=[])
    return [
        dict(common, path=CONFIGURATION, content=text, mode="0640", group="proxysql", show_diff=False),
        dict(common, path=DROP_IN, content=module.params["unit_settings"], mode="0644", group="root", show_diff=True),
    ]


def previous_password(before):
    """The admin password of the file that is in use, to log in with when it is to be changed; None without one."""
    for line in to_text(before or b"", errors="replace").splitlines():
        name, _equals, value = line.partition("=")
        if name.strip() == "admin_credentials" and value.count('"') >= 2:
            quoted = value[value.index('"') + 1 : value.rindex('"')]
            return quoted.split(";")[0].partition(":")[2].replace('\\"', '"').replace("\\\\", "\\")
    return None


class Proxy:
    """The running program: loaded, restarted and asked."""

    def __init__(self, module, unit, passwords, desired):
        self.module = module
        self.unit = unit
        self.admin = Admin(module.params["admin_port"], passwords)
        self.desired = desired

    def error(self):
        return self.admin.error(self.desired)

    def restart(self, accept=None):
        """Returns None once it runs as desired (or as `accept` says), else a sentence about what is wrong."""
        accept = accept or self.error
        do(self.module.run_command, "daemon-reload")
        # Starts that failed count against systemd's limit, also those with the file that is being replaced.
        self.unit.do("reset-failed")
        self.unit.mark()
        refused = self.unit.do("restart")
        if refused:
            return refused
        deadline = time.time() + self.module.params["timeout_seconds"]
        while True:
            error = accept()
            if error is None or has_ended(self.unit.show(LIFE)) or time.time() > deadline:
                return error
            time.sleep(POLL_SECONDS)

    def bring_into_effect(self, can_load):
        """Returns (how, None or a sentence about what is wrong)."""
        if can_load and self.admin.load() is None and self.error() is None:
            return "load", None
        return "restart", self.restart()

    def last_output(self):
        """What the program itself printed last, without systemd's lines about it."""
        return "; ".join(self.unit.journal(2))

    def settled(self):
        """None if it goes on running; for the files from before, of which nothing else is known."""
        return self.unit.settle(SETTLE_SECONDS, self.module.params["timeout_seconds"])


def give_up(module, files, proxy, violation):
    output = proxy.last_output()
    had_files = files.before[CONFIGURATION] is not None
    left = files.restore()
    again = proxy.restart(proxy.settled)
    if left:
        outcome = "%s.%s" % (not_restored(left), " ProxySQL does not run with them: %s." % again if again else "")
    elif again:
        outcome = "The files from before were put back, but ProxySQL does not run with them either: %s." % again
    else:
        outcome = "The files from before were put back and ProxySQL runs with them."
    module.fail_json(
        msg="ProxySQL does not run as desired with its new configuration: %s. %s%s"
        % (violation, "Its output: %s. " % output if output else "", outcome),
        restored=had_files and not again and not left,
    )


def main():
    module = AnsibleModule(
        argument_spec=dict(
            content=dict(type="str", required=True),
            credentials_file=dict(type="path", required=True, no_log=False),
            unit_settings=dict(type="str", required=True),
            admin_port=dict(type="int", required=True),
            desired=dict(
                type="dict",
                required=True,
                options=dict(variables=dict(type="dict", required=True), tables=dict(type="dict", required=True)),
            ),
            timeout_seconds=dict(type="int", default=20),
        ),
        supports_check_mode=True,
    )
    path = module.params["credentials_file"]
    unknown = sorted(set(module.params["desired"]["tables"]) - set(KEYS))
    if unknown:
        module.fail_json(msg="desired.tables has %s; allowed: %s." % (", ".join(unknown), ", ".join(sorted(KEYS))))
    try:
        secrets = read_credentials(path)
        text = fill(module.params["content"], secrets, path)
        desired = filled(module.params["desired"], secrets)
    except CredentialsError as error:
        module.fail_json(msg="%s. Nothing was changed." % error, restored=False)
    files, unit = FileSet(module, files_of(module, text)), Unit(module.run_command, UNIT)
    rewritten, diff, steps = files.rewritten, files.diff(), unit.missing_steps(True, True)
    passwords = [secrets["admin"], previous_password(files.before[CONFIGURATION])]
    proxy = Proxy(module, unit, [each for each in passwords if each], desired)
    needed = bool(rewritten or "start" in steps) or proxy.error() is not None
    if module.check_mode:
        changed = files.attributes_differ() or needed or bool(steps)
        module.exit_json(changed=changed, applied="none", diff=diff)
    files.validate()
    changed, how = files.swap() or needed or bool(steps), "none"
    if needed:
        # A new admin password, drop-in or a program that does not run needs a start.
        can_load = "start" not in steps and DROP_IN not in rewritten and passwords[0] == passwords[1]
        how, violation = proxy.bring_into_effect(can_load)
        if violation:
            give_up(module, files, proxy, violation)
    if "enable" in steps:
        refused = unit.do("enable")
        if refused:
            module.fail_json(msg="ProxySQL runs as desired, but %s." % refused, restored=False)
    module.exit_json(changed=changed, applied=how, diff=diff)


if __name__ == "__main__":
    main()
