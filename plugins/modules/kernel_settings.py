#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: kernel_settings
short_description: Kernel settings (sysctl) in a drop-in file and in the running kernel
description:
  - Writes the settings to a file in C(/etc/sysctl.d), with the reason of each, and sets those whose live value differs.
  - What the running kernel does not let this host set, as in a container, is returned in RV(not_applied) with the kernel's reason. It is
    not counted as a change and not passed over in silence; the file has the value for a kernel that does.
version_added: 0.1.0
options:
  path:
    description: The drop-in file.
    type: path
    required: true
  header:
    description: First lines of the file, as comments.
    type: str
    default: ""
  settings:
    description: The settings.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: As in C(sysctl -a)., type: str, required: true}
      value: {description: Value., type: str, required: true}
      reason: {description: Why it is so., type: str, required: true}
      when_present:
        description: Leave the setting out while the kernel does not have it, as one of a module that is not loaded.
        type: bool
        default: false
      module:
        description:
          - The kernel module that brings the setting. It is loaded now and at boot before the settings are made, by a file in
            C(/etc/modules-load.d) that is named like O(path). A setting of a module that loads later would be lost.
          - Where this kernel has no such module, the setting is left out.
        type: str
        default: ""
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode: {support: full, description: Changes nothing.}
  diff_mode: {support: full, description: Shows the file and the live values.}
"""

EXAMPLES = r"""
- name: Let the proxy queue more connections
  ecommerce.fleet.kernel_settings:
    path: /etc/sysctl.d/60-proxy.conf
    settings:
      - {name: net.core.somaxconn, value: "4096", reason: A burst waits in the queue instead of being refused.}
"""

RETURN = r"""
applied:
  description: Settings whose live value was changed.
  returned: always
  type: list
  elements: str
overridden:
  description: A sentence for each setting that another file, which is read later at boot, sets otherwise.
  returned: always
  type: list
  elements: str
not_applied:
  description: Settings that this kernel does not let the host change, with the reason.
  returned: always
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import drop_ins
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.file_set import FileSet
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.system import System

MODULES_FOLDER = "/etc/modules-load.d/"


def render(header, settings):
    """The text of the drop-in file."""
    lines = [header.rstrip("\n")] if header else []
    for setting in settings:
        lines += ["", "# " + setting["reason"], "%s = %s" % (setting["name"], setting["value"])]
    return "\n".join(lines).lstrip("\n") + "\n"


def live_path(name):
    return "/proc/sys/" + name.replace(".", "/")


def is_present(name):
    return os.path.exists(live_path(name))


def has_module(module, name):
    """Whether this kernel can load it, or has it built in."""
    modprobe = module.get_bin_path("modprobe", opt_dirs=["/sbin", "/usr/sbin"])
    return modprobe is not None and module.run_command([modprobe, "--dry-run", "--quiet", name])[0] == 0


def load_modules(module, names):
    """Now. What can't be loaded is left to the settings: they say that the kernel has none such."""
    for name in names:
        module.run_command([module.get_bin_path("modprobe", opt_dirs=["/sbin", "/usr/sbin"]), "--quiet", name])


def in_place(path, content):
    """A file for FileSet."""
    return dict(path=path, content=content, mode="0644", owner="root", group="root", validate=[], show_diff=True)


def read_live(name):
    """The live value with single spaces, or None if this kernel has no such setting."""
    try:
        with open(live_path(name), "rb") as stream:
            return " ".join(to_text(stream.read()).split())
    except (IOError, OSError):
        return None


def write_live(name, value):
    """Returns None, or why the kernel refused."""
    try:
        with open(live_path(name), "wb") as stream:
            stream.write(to_bytes(value + "\n"))
        return None
    except (IOError, OSError) as error:
        return error.strerror


def writable(name):
    """Whether the kernel lets this host open the setting for writing. Returns None, or why not."""
    try:
        with open(live_path(name), "r+b"):
            return None
    except (IOError, OSError) as error:
        return error.strerror


def apply_live(settings, check_mode):
    """Returns (changes as {name: (before, after)}, {name: why it could not be set})."""
    changes, refused = {}, {}
    for setting in settings:
        name, desired = setting["name"], " ".join(setting["value"].split())
        before = read_live(name)
        if before == desired:
            continue
        if before is None:
            refused[name] = "this kernel has no such setting"
            continue
        why = writable(name) if check_mode else write_live(name, desired)
        if why is None and not check_mode and read_live(name) != desired:
            why = "the kernel kept %s" % read_live(name)
        if why is None:
            changes[name] = (before, desired)
        else:
            refused[name] = why
    return changes, refused


def main():
    module = AnsibleModule(
        argument_spec=dict(
            path=dict(type="path", required=True),
            header=dict(type="str", default=""),
            settings=dict(
                type="list",
                elements="dict",
                required=True,
                options=dict(
                    name=dict(type="str", required=True),
                    value=dict(type="str", required=True),
                    reason=dict(type="str", required=True),
                    when_present=dict(type="bool", default=False),
                    module=dict(type="str", default=""),
                ),
            ),
        ),
        supports_check_mode=True,
    )
    path, given = module.params["path"], module.params["settings"]
    loadable = sorted(set(each["module"] for each in given if each["module"] and has_module(module, each["module"])))
    settings = [
        each
        for each in given
        if is_present(each["name"]) or each["module"] in loadable or not (each["module"] or each["when_present"])
    ]
    content = render(module.params["header"], settings)
    items = [in_place(path, content)]
    if loadable:
        header = module.params["header"].rstrip("\n")
        loaded = ([header] if header else []) + ["# Before the settings of %s are made." % path] + loadable
        items.append(in_place(MODULES_FOLDER + os.path.basename(path), "\n".join(loaded) + "\n"))
    files = FileSet(module, items)
    changed, diff = bool(files.rewritten), files.diff()
    if not module.check_mode:
        files.validate()
        changed = files.swap() or changed
        load_modules(
            module, [each["module"] for each in settings if each["module"] in loadable and not is_present(each["name"])]
        )
    changes, refused = apply_live(settings, module.check_mode)
    if changes:
        diff.append(
            dict(
                before_header="/proc/sys",
                after_header="/proc/sys",
                before="".join("%s = %s\n" % (name, changes[name][0]) for name in sorted(changes)),
                after="".join("%s = %s\n" % (name, changes[name][1]) for name in sorted(changes)),
            )
        )
    module.exit_json(
        changed=changed or bool(changes),
        applied=sorted(changes),
        not_applied=refused,
        overridden=drop_ins.overridden(System(), path, content),
        diff=diff,
    )


if __name__ == "__main__":
    main()
