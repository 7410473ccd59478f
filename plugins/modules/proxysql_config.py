#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# MIT License

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: proxysql_config
short_description: Configure ProxySQL without breaking its connections, and put the file back unless it runs as wanted
description:
  - Fills the passwords of a file that only root can read on the host into the configuration. They are no argument of the module, so they
    are in no argument list, log, diff or fact.
  - Loads a changed file through the admin port - applications keep their connections. What only a restart changes is restarted for.
  - Asks ProxySQL what it runs with. Unless that is what is wanted, the files from before are put back, it is restarted with them, and the
    module fails with what was found.
  - When nothing has changed it still asks, and mends what somebody changed by hand.
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
  wanted:
    description: What a running ProxySQL must say - C(variables), C(servers), C(users), C(rules).
    type: dict
    required: true
  timeout_seconds: {description: How long a start may take., type: int, default: 20}
author:
  - The ecommerce.fleet maintainers
attributes:
  check_mode: {support: full, description: Compares; changes nothing.}
  diff_mode: {support: partial, description: "Shows the drop-in file. The configuration holds passwords: only that it changes is shown."}
"""

EXAMPLES = r"""
- name: Configure ProxySQL
  ecommerce.fleet.proxysql_config:
    content: "{{ values | ecommerce.fleet.proxysql_text }}"
    wanted: "{{ values | ecommerce.fleet.proxysql_wanted }}"
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
from ansible_collections.ecommerce.fleet.plugins.module_utils.file_set import FileSet
from ansible_collections.ecommerce.fleet.plugins.module_utils.proxysql_admin import (
    Admin,
    CredentialsError,
    fill,
    read_credentials,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils.service_state import Unit

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

    def __init__(self, module, unit, passwords):
        self.module = module
        self.unit = unit
        self.admin = Admin(module.params["admin_port"], passwords)
        self.wanted = module.params["wanted"]

    def trouble(self):
        return self.admin.trouble(self.wanted)

    def restart(self, accept=None):
        """Returns None once it runs as wanted (or as `accept` says), else what was last wrong with it."""
        accept = accept or self.trouble
        self.module.run_command(["systemctl", "daemon-reload"])
        # Starts that failed count against systemd's limit, also those with the file that is being replaced.
        self.unit.do("reset-failed")
        refused = self.unit.do("restart")
        if refused:
            return refused
        deadline = time.time() + self.module.params["timeout_seconds"]
        while True:
            trouble = accept()
            if trouble is None or self.ended() or time.time() > deadline:
                return trouble
            time.sleep(POLL_SECONDS)

    def bring_into_effect(self, can_load):
        """Returns (how, None or what is wrong)."""
        if can_load and self.admin.load() is None and self.trouble() is None:
            return "load", None
        return "restart", self.restart()

    def last_words(self):
        """What the program itself said last, without systemd's lines about it."""
        out = self.module.run_command(["journalctl", "-t", UNIT, "-n", "2", "--no-pager", "-q", "-o", "cat"])[1]
        return "; ".join(line.strip() for line in out.splitlines() if line.strip())

    def ended(self):
        """Whether it has ended by itself; systemd may be about to start it again."""
        shown = self.unit.show("ActiveState,SubState")
        return shown.get("ActiveState") in ("failed", "inactive") or shown.get("SubState") == "auto-restart"

    def runs(self):
        """None if it stays; for the files from before, of which nothing else is known."""
        time.sleep(SETTLE_SECONDS)
        return "it ends by itself" if self.ended() else None


def give_up(module, files, proxy, trouble):
    said = proxy.last_words()
    had_files = files.before[CONFIGURATION] is not None
    files.restore()
    again = proxy.restart(proxy.runs)
    if again:
        outcome = "The files from before were put back, but ProxySQL does not run with them either: %s." % again
    else:
        outcome = "The files from before were put back and ProxySQL runs with them."
    module.fail_json(
        msg="ProxySQL does not run as wanted with its new configuration: %s. %s%s"
        % (trouble, "It says: %s. " % said if said else "", outcome),
        restored=had_files and not again,
    )


def main():
    module = AnsibleModule(
        argument_spec=dict(
            content=dict(type="str", required=True),
            credentials_file=dict(type="path", required=True, no_log=False),
            unit_settings=dict(type="str", required=True),
            admin_port=dict(type="int", required=True),
            wanted=dict(type="dict", required=True),
            timeout_seconds=dict(type="int", default=20),
        ),
        supports_check_mode=True,
    )
    path = module.params["credentials_file"]
    try:
        secrets = read_credentials(path)
        text = fill(module.params["content"], secrets, path)
    except CredentialsError as error:
        module.fail_json(msg="%s. Nothing was changed." % error, restored=False)
    files, unit = FileSet(module, files_of(module, text)), Unit(module.run_command, UNIT)
    rewritten, diff, steps = files.rewritten, files.diff(), unit.missing_steps(True, True)
    passwords = [secrets["admin"], previous_password(files.before[CONFIGURATION])]
    proxy = Proxy(module, unit, [each for each in passwords if each])
    needed = bool(rewritten or "start" in steps) or proxy.trouble() is not None
    if module.check_mode:
        changed = files.attributes_differ() or needed or bool(steps)
        module.exit_json(changed=changed, applied="none", diff=diff)
    files.validate()
    changed, how = files.swap() or needed or bool(steps), "none"
    if needed:
        # A new admin password, drop-in or a program that does not run needs a start.
        can_load = "start" not in steps and DROP_IN not in rewritten and passwords[0] == passwords[1]
        how, trouble = proxy.bring_into_effect(can_load)
        if trouble:
            give_up(module, files, proxy, trouble)
    if "enable" in steps:
        trouble = unit.do("enable")
        if trouble:
            module.fail_json(msg="ProxySQL runs as wanted, but %s." % trouble, restored=False)
    module.exit_json(changed=changed, applied=how, diff=diff)


if __name__ == "__main__":
    main()
