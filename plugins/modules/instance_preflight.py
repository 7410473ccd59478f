#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# MIT License

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: instance_preflight
short_description: Look at an EC2 instance before anything on it is changed
description:
  - Reads in one call what a role decides by - instance type, size, network driver, swap, time zone, state of services - and refuses an
    instance that is not as wanted, with every reason in one message.
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
author:
  - The ecommerce.fleet maintainers
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
findings:
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
services:
  description: By name, systemd's C(UnitFileState), C(ActiveState) and C(ConditionResult); the last is empty before it was ever asked.
  returned: always
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils import host_survey
from ansible_collections.ecommerce.fleet.plugins.module_utils.imds import Imds, ImdsError
from ansible_collections.ecommerce.fleet.plugins.module_utils.service_watch import parse_show

SHOWN = ("LoadState", "UnitFileState", "ActiveState", "ConditionResult", "ConditionTimestampMonotonic")


def instance(metadata):
    """What the instance is. Without instance metadata `id` and `type` are None."""
    try:
        known = dict(id=metadata.get("instance-id"), type=metadata.get("instance-type"))
    except ImdsError:
        known = dict(id=None, type=None)
    known["vcpus"] = host_survey.processors(host_survey.text_of("/proc/stat"))
    known["memory_mib"] = host_survey.memory_mib(host_survey.text_of("/proc/meminfo"))
    return known


def services(module, names):
    """{unit: {property: value}} by one call of systemctl."""
    if not names:
        return {}
    code, out, err = module.run_command(["systemctl", "show", "--property=" + ",".join(SHOWN)] + names)
    if code != 0:
        module.fail_json(msg="systemctl show %s: %s" % (" ".join(names), (err or out).strip()))
    blocks = [parse_show(block) for block in out.strip().split("\n\n")]
    for block in blocks:
        if block.pop("ConditionTimestampMonotonic", "0") == "0":
            block["ConditionResult"] = ""
    return dict(zip(names, blocks))


def hostname(module, metadata):
    """Returns (name, what is wrong or None)."""
    template = module.params["hostname"]
    if not template:
        return "", None
    try:
        return host_survey.expand_hostname(template, metadata.get), None
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
    if host_survey.same_locale(locale) not in [host_survey.same_locale(name) for name in out.split()]:
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
        ),
        supports_check_mode=True,
    )
    metadata = Imds()
    found, net = instance(metadata), host_survey.network("/")
    findings = host_survey.judge(module.params, found, net)
    name, trouble = hostname(module, metadata)
    reasons = [finding["message"] for finding in host_survey.refusals(module.params, findings)]
    reasons += ([trouble] if trouble else []) + not_installed(module)
    result = dict(
        instance=found,
        network=net,
        findings=findings,
        hostname=name,
        timezone=host_survey.timezone("/"),
        swap=dict(
            active=host_survey.active_swap(host_survey.text_of("/proc/swaps")),
            declared=host_survey.declared_swap(host_survey.text_of("/etc/fstab")),
        ),
        services=services(module, module.params["services"]),
    )
    if reasons:
        module.fail_json(msg="%s Nothing was changed." % " ".join(reasons), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
