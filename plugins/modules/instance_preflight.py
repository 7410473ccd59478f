#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: instance_preflight
short_description: Look at an EC2 instance before anything on it is changed
description:
  - Reads in one call what a role decides by - instance type, size, network driver, swap, time zone, state of services - and refuses an
    instance that is not as required, with every reason in one message.
  - What can't be proven is V(unknown), never passed - in a container there is no network driver, outside of EC2 no instance type.
version_added: 0.2.0
options:
  instance_types_allowed:
    description: Patterns such as V(t3.*). Empty allows every type.
    type: list
    elements: str
    default: []
  min_vcpus: {description: Processors needed., type: int, default: 1}
  min_memory_mib:
    description: Memory needed, MiB, as Linux counts it (MemTotal), which is some percent less than the instance type's.
    type: int
    default: 0
  ena:
    description: V(required) refuses an instance whose primary interface is not proven to use the C(ena) driver.
    type: str
    choices: [required, report]
    default: report
  hostname:
    description: A name or a template of one, C({instance_id}), C({tag:Name}) and such are taken from instance metadata.
    type: str
    default: ""
  timezone: {description: A time zone that must be installed., type: str, default: UTC}
  locale: {description: A locale that must be installed., type: str, default: C.UTF-8}
  services:
    description: Units whose state is returned.
    type: list
    elements: str
    default: []
  drop_ins:
    description: Drop-ins of systemd's programs and of limits.d that will be written; RV(overridden) says what of them will not count.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: "Such as C(/etc/systemd/journald.conf.d/60-fleet.conf).", type: path, required: true}
      content: {description: Its text., type: str, required: true}
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode: {support: full, description: Never changes anything.}
  diff_mode: {support: none, description: There is nothing to show.}
"""

EXAMPLES = r"""
- name: Refuse what is too small or slow
  ecommerce.fleet.instance_preflight:
    instance_types_allowed: [t3.*, m6i.*]
    min_memory_mib: 3500
    ena: required
"""

RETURN = r"""
instance:
  description: C(id) and C(type) (V(none) if unknown), C(vcpus), C(memory_mib).
  returned: always
  type: dict
network:
  description: C(interface), C(driver), C(enhanced_networking) (V(ena), V(sr-iov), V(none) or V(unknown)).
  returned: always
  type: dict
checks:
  description: For C(instance_type), C(size) and C(ena) the C(state) (V(ok), V(failed) or V(unknown)) and a C(message).
  returned: always
  type: list
  elements: dict
hostname:
  description: The name that O(hostname) stands for.
  returned: always
  type: str
timezone:
  description: The time zone in use, empty if it can't be told.
  returned: always
  type: str
swap:
  description: C(active), a list of C(path) and C(mib), and C(declared), the paths in /etc/fstab.
  returned: always
  type: dict
overridden:
  description: A sentence for each setting of O(drop_ins) that a file which is read later sets otherwise, with that file.
  returned: always
  type: list
  elements: str
services:
  description: By name, systemd's C(UnitFileState), C(ActiveState) and C(ConditionResult); the last is empty before it was ever asked.
  returned: always
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import drop_ins, survey, systemd
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.imds import Imds, ImdsError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.system import System

SHOWN = ("LoadState", "UnitFileState", "ActiveState", "ConditionResult", "ConditionTimestampMonotonic")


def instance(metadata):
    """What the instance is. Without instance metadata `id` and `type` are None."""
    try:
        known = dict(id=metadata.get("instance-id"), type=metadata.get("instance-type"))
    except ImdsError:
        known = dict(id=None, type=None)
    known["vcpus"] = survey.processors(survey.text_of("/proc/stat"))
    known["memory_mib"] = survey.memory_mib(survey.text_of("/proc/meminfo"))
    return known


def services(module, names):
    """{unit: {property: value}} by one call of systemctl."""
    try:
        shown = systemd.show(module.run_command, names, SHOWN)
    except systemd.SystemdError as error:
        module.fail_json(msg="The state of the services is not known: %s" % error)
    for properties in shown.values():
        if properties.pop("ConditionTimestampMonotonic", "0") == "0":
            properties["ConditionResult"] = ""
    return shown


def hostname(module, metadata):
    """Returns (name, None or what is wrong)."""
    template = module.params["hostname"]
    if not template:
        return "", None
    try:
        return survey.expand_hostname(template, metadata.get), None
    except ImdsError as error:
        reason = "it needs instance metadata, and %s" % error
    except ValueError as error:
        reason = str(error)
    return "", "The host name '%s' can't be used: %s." % (template, reason)


def not_installed(module):
    """Sentences about a time zone or locale that this host does not have."""
    found = []
    zone, locale = module.params["timezone"], module.params["locale"]
    if not os.path.isfile(os.path.join("/usr/share/zoneinfo", zone)):
        found.append("The time zone '%s' is not one of /usr/share/zoneinfo; examples: UTC, America/Sao_Paulo." % zone)
    out = module.run_command(["locale", "-a"])[1]
    if survey.same_locale(locale) not in [survey.same_locale(name) for name in out.split()]:
        found.append(
            "The locale '%s' is not installed; there are: %s. A glibc-langpack package brings others."
            % (locale, ", ".join(out.split()))
        )
    return found


def main():
    module = AnsibleModule(
        argument_spec=dict(
            instance_types_allowed=dict(type="list", elements="str", default=[]),
            min_vcpus=dict(type="int", default=1),
            min_memory_mib=dict(type="int", default=0),
            ena=dict(type="str", choices=["required", "report"], default="report"),
            hostname=dict(type="str", default=""),
            timezone=dict(type="str", default="UTC"),
            locale=dict(type="str", default="C.UTF-8"),
            services=dict(type="list", elements="str", default=[]),
            drop_ins=dict(
                type="list",
                elements="dict",
                default=[],
                options=dict(path=dict(type="path", required=True), content=dict(type="str", required=True)),
            ),
        ),
        supports_check_mode=True,
    )
    metadata = Imds()
    found, net = instance(metadata), survey.network("/")
    checks = survey.check(module.params, found, net)
    name, error = hostname(module, metadata)
    reasons = [each["message"] for each in survey.refusals(module.params, checks)]
    reasons += ([error] if error else []) + not_installed(module)
    result = dict(
        instance=found,
        network=net,
        checks=checks,
        hostname=name,
        timezone=survey.timezone("/"),
        swap=dict(
            active=survey.active_swap(survey.text_of("/proc/swaps")),
            declared=survey.declared_swap(survey.text_of("/etc/fstab")),
        ),
        services=services(module, module.params["services"]),
        overridden=[
            sentence
            for each in module.params["drop_ins"]
            for sentence in drop_ins.overridden(System(), each["path"], each["content"])
        ],
    )
    if reasons:
        module.fail_json(msg="%s Nothing was changed." % " ".join(reasons), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
