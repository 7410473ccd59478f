#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named administrators on a host, and what must not lie around on it, in one execution."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: admin_access
short_description: Named administrators with keys and one-time codes, and a look for static credentials
version_added: 0.2.0
description:
  - Accounts with locked passwords, exactly the given SSH keys, sudo where given, and a one-time code at each SSH login where required.
    Accounts that are absent, expired or no longer on the list are closed and their sessions ended; their homes are kept.
  - What would cut off the user that Ansible connects as, or leave no access path, is refused before anything is changed. Changes are
    checked by C(sshd -t) and C(visudo), then proven by a new session; if an access path that worked before is lost, everything is
    restored.
  - Looks for long-lived AWS keys in files, and asks the instance metadata service whether it requires version 2 and how far its token
    travels.
options:
  users:
    description: The administrators. Accounts that were managed before and are no longer listed are closed.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name of the account., type: str, required: true}
      ssh_keys: {description: All public keys that let them in., type: list, elements: str, default: []}
      sudo: {description: Whether they may become root. No password is asked for since there is none., type: bool, default: false}
      totp_secret: {description: Secret of their one-time codes in base32; 128 bits or more., type: str}
      expires: {description: Last day with access as C(2027-01-31)., type: str}
      state: {description: V(absent) closes the account., type: str, choices: [present, absent], default: present}
  totp:
    description: Whether an SSH login needs a one-time code after the key.
    type: str
    choices: ["off", required]
    default: "off"
  totp_exempt_users:
    description: Users who get in by their key alone, such as the one that Ansible connects as.
    type: list
    elements: str
    default: [ec2-user]
  default_user:
    description: Whether the keys of C(ec2-user) still count. V(lock) makes sshd ignore them; the account and its files stay.
    type: str
    choices: [keep, lock]
    default: keep
  static_credentials:
    description: Whether AWS keys in files are V(report)ed or V(fail) before anything is changed.
    type: str
    choices: [report, fail]
    default: report
  imds:
    description: Whether instance metadata that is open too wide is V(report)ed or fails before anything is changed.
    type: str
    choices: [report, fail]
    default: report
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the files; never a secret of a one-time code.
    support: full
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Let the administrators in
  ecommerce.fleet.admin_access:
    users:
      - name: alice
        ssh_keys: ["ssh-ed25519 AAAA... alice@laptop"]
        sudo: true
        totp_secret: "{{ vault_alice_totp }}"
        expires: "2027-06-30"
      - name: bob
        state: absent
    totp: required
  become: true
"""

RETURN = r"""
accounts:
  description: What was (in check mode, would be) changed of accounts.
  returned: success
  type: list
  elements: str
packages:
  description: Packages that were (in check mode, would be) installed.
  returned: success
  type: list
  elements: str
files:
  description: Files that were (in check mode, would be) changed.
  returned: success
  type: list
  elements: str
static_credentials:
  description: AWS keys in files as C(path), C(line) and C(kind). Never the key.
  returned: always
  type: list
  elements: dict
imds:
  description: C(answers), C(tokens_required), C(hop_limit) and C(violations) of the instance metadata service.
  returned: always
  type: dict
"""

import datetime
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access import exposure, rules, texts
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access.access import PAM_MODULES, Access
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.accounts import passwd
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.encoding import LINES, printable
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.guard import DEFAULT_USER
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.host import Host
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.logins import came_by_ssh
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.processes import UMASK
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.system import System

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Tuple  # noqa: F401

USER_OPTIONS = {
    "name": {"type": "str", "required": True},
    "ssh_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "sudo": {"type": "bool", "default": False},
    "totp_secret": {"type": "str", "no_log": True},
    "expires": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
ARGUMENTS = {
    "users": {"type": "list", "elements": "dict", "default": [], "options": USER_OPTIONS},
    "totp": {"type": "str", "choices": ["off", "required"], "default": "off"},
    "totp_exempt_users": {"type": "list", "elements": "str", "default": ["ec2-user"]},
    "default_user": {"type": "str", "choices": ["keep", "lock"], "default": "keep"},
    "static_credentials": {"type": "str", "choices": ["report", "fail"], "default": "report"},
    "imds": {"type": "str", "choices": ["report", "fail"], "default": "report"},
}
PACKAGE = "pam_oath"
OFFERED_BY = {
    "al2": "On Amazon Linux 2 it is in EPEL: `amazon-linux-extras install epel`, or a mirror of it",
    "al2023": "On Amazon Linux 2023 it is in the core repository of releases from 2023.2.20230920 on: use a later release (releasever)",
}
HIDDEN = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", texts.USERS_OATH)


def exposed(params, homes):
    # type: (Dict[str, Any], List[str]) -> Tuple[Dict[str, Any], List[str]]
    """(what was found, what of it is a failure)."""
    found = {"static_credentials": exposure.static_credentials(homes), "imds": exposure.metadata_state()}  # type: Dict[str, Any]
    failures = []
    if params["static_credentials"] == "fail" and found["static_credentials"]:
        lines = ["%(path)s line %(line)d (%(kind)s)" % item for item in found["static_credentials"]]
        failures.append(
            "AWS keys lie on this host: %s. Remove them and make them invalid; a host has its instance profile"
            % ", ".join(lines)
        )
    if params["imds"] == "fail" and found["imds"]["violations"]:
        failures.append("instance metadata is open too wide: %s" % "; ".join(found["imds"]["violations"]))
    return found, failures


def diff_of(access):
    # type: (Access) -> List[Dict[str, str]]
    """What --diff shows of what differs now."""
    lines = ["create %s" % admin.name for admin in access.missing()] + [what for what, _argv in access.account_steps()]
    shown = [{"prepared": "".join(line + "\n" for line in lines)}] if lines else []
    for change in access.file_changes():
        before, after = printable(change.before or "", LINES), printable(change.after or "", LINES)
        if change.path in HIDDEN:
            before, after = ("(not shown)\n", "(changed, not shown)\n")
        shown.append({"before_header": change.path, "after_header": change.path, "before": before, "after": after})
    return shown


def connection_user():
    # type: () -> str
    """Who Ansible came in as before it became root by sudo; '' for root itself, who comes in by an agent."""
    name = os.environ.get("SUDO_USER", "")
    return "" if name == "root" else name


def install(module, access):
    # type: (AnsibleModule, Access) -> None
    """Installs pam_oath from the repositories that the host has: only now, when nothing is refused any more."""
    manager = module.get_bin_path("dnf") or module.get_bin_path("yum", required=True)
    code, out, err = module.run_command([manager, "-q", "-y", "install", PACKAGE], umask=UMASK)
    if code or not access.has_pam_module():
        output = " ".join((err or out).split())[-300:] or "pam_oath.so is in none of %s" % ", ".join(PAM_MODULES)
        raise HostError(
            "One-time codes need the package %s, which could not be installed (%s). %s. Nothing was changed"
            % (PACKAGE, output, OFFERED_BY[access.host.release])
        )


def main():
    # type: () -> None
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    # Under Python 2 the arguments are bytes; after a round trip all text is text.
    params = json.loads(json.dumps(module.params))
    found = {}  # type: Dict[str, Any]
    try:
        admins = rules.administrators(params["users"], datetime.datetime.utcnow().date())
        host = Host(System())
        locked = DEFAULT_USER if params["default_user"] == "lock" else None
        policy = rules.Policy(params["totp"] == "required", params["totp_exempt_users"], locked)
        access = Access(host, admins, policy, connection_user(), came_by_ssh())
        found, failures = exposed(params, [account["home"] for account in passwd(host)])
        failures += access.refusals()
        if failures:
            module.fail_json(msg="Nothing was changed, because %s." % "; and ".join(failures), **found)
        accounts = ["create %s" % admin.name for admin in access.missing()] + [
            what for what, _argv in access.account_steps()
        ]
        files, diff = [change.path for change in access.file_changes()], diff_of(access)
        packages = [PACKAGE] if policy.totp and not access.has_pam_module() else []
        if packages and not module.check_mode:
            install(module, access)
        if (accounts or files) and not module.check_mode:
            closing = access.open_accounts_to_close()
            access.apply()
            access.end_sessions(closing)
    except (rules.RuleError, HostError) as error:
        module.fail_json(msg="%s." % ("%s" % error).rstrip("."), **found)
    changed = bool(accounts or files or packages)
    module.exit_json(changed=changed, accounts=accounts, files=files, packages=packages, diff=diff, **found)


if __name__ == "__main__":
    main()
