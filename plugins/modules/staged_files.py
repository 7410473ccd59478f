#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# MIT License

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: staged_files
short_description: Write configuration files so that a broken one never takes a service down
description:
  - All files are written next to their targets first and judged by their own checkers. Only when every one passes are they swapped in,
    each by one rename. Then O(activate) runs and O(probe) asks the service.
  - When the activation or the probe fails, the files are put back, the service is activated again and the module fails with the service's
    own words.
  - When nothing has to be written the probe still runs. A service that runs with older files than those on disk is activated again.
  - One remote execution whatever the number of files.
version_added: 0.1.0
options:
  subject:
    description: What the files are, for messages.
    type: str
    required: true
  files:
    description: Files with their whole content.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where the file belongs., type: path, required: true}
      content: {description: The whole content., type: str}
      secret_content: {description: "The same for a secret, instead of O(files[].content): it is never shown.", type: str}
      mode: {description: Permissions., type: str, default: "0644"}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      validate:
        description: A command that exits 0 if the staged file is right. C(%s) stands for its path.
        type: list
        elements: str
        default: []
      show_diff: {description: Whether C(--diff) may show the content., type: bool, default: true}
  directories:
    description: Directories to create first.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: The directory., type: path, required: true}
      mode: {description: Permissions., type: str, default: "0755"}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
  activate:
    description: Commands that make the service use changed files; they should reload, not restart.
    type: list
    elements: list
    default: []
  activate_for:
    description: Run O(activate) only if one of these files changed. Empty means any of them.
    type: list
    elements: path
    default: []
  service:
    description: A unit that is to run and to start at boot. One that does not run is activated, with the files it has.
    type: str
  probe:
    description: A request that a service with the new files answers.
    type: dict
    suboptions:
      port: {description: Port on 127.0.0.1., type: int, required: true}
      path: {description: Path., type: str, default: /}
      contains: {description: Text that must be in the answer. Any answer will do if it is empty., type: str, default: ""}
      timeout_seconds: {description: How long to wait., type: int, default: 10}
      otherwise: {description: What it means if the text is not in the answer; for the message., type: str, default: ""}
  log:
    description: The service's own log. What it says while activating is part of the error message.
    type: path
author:
  - The ecommerce.fleet maintainers
attributes:
  check_mode: {support: full, description: Stages and validates where the checker is installed; swaps nothing.}
  diff_mode: {support: full, description: Shows each file.}
"""

EXAMPLES = r"""
- name: Configure nginx
  ecommerce.fleet.staged_files:
    subject: nginx configuration
    files:
      - path: /etc/nginx/nginx.conf
        content: "{{ lookup('ansible.builtin.template', 'nginx.conf.j2') }}"
        validate: [nginx, -t, -q, -c, "%s"]
    activate:
      - [systemctl, reload-or-restart, nginx]
    service: nginx
    probe:
      port: 8081
      path: /config
      contains: "{{ digest }}"
"""

RETURN = r"""
rewritten:
  description: Files whose content changed.
  returned: always
  type: list
  elements: str
activated:
  description: Whether the activation commands ran.
  returned: always
  type: bool
unvalidated:
  description: Files that could not be judged, because their checker or directory is not there yet. Only in check mode.
  returned: always
  type: list
  elements: str
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text
from ansible_collections.ecommerce.fleet.plugins.module_utils import http_probe
from ansible_collections.ecommerce.fleet.plugins.module_utils.file_set import (
    DIRECTORY_OPTIONS,
    FILE_OPTIONS,
    FileSet,
    RefusedError,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils.service_state import Unit

ACTIVATION_SECONDS = 90
LOG_TAIL = 4096


class Log:
    """What is appended to a file from now on."""

    def __init__(self, path):
        self.path = path
        self.start = os.path.getsize(path) if path and os.path.exists(path) else 0

    def new_text(self):
        if not self.path or not os.path.exists(self.path):
            return ""
        with open(self.path, "rb") as stream:
            stream.seek(max(self.start, os.path.getsize(self.path) - LOG_TAIL))
            return to_text(stream.read(), errors="replace").strip()


def activate(module):
    """Runs the activation commands. Returns None, or what went wrong."""
    for argv in module.params["activate"]:
        code, out, err = module.run_command(["timeout", str(ACTIVATION_SECONDS)] + argv)
        if code != 0:
            return "%s ended with code %s: %s" % (" ".join(argv), code, (err or out).strip())
    return None


def probe(module, seconds=None):
    """Returns None if the service answers as it should within the time, else a sentence."""
    wanted = module.params["probe"]
    if not wanted:
        return None

    def accept(status, text):
        if wanted["contains"] in text:
            return None
        return wanted["otherwise"] or "it answered %s without '%s'" % (status, wanted["contains"])

    deadline = time.time() + (wanted["timeout_seconds"] if seconds is None else seconds)
    return http_probe.wait("127.0.0.1", wanted["port"], wanted["path"], accept, deadline)


def bring_into_effect(module, files):
    """Activates and probes; on failure puts the files back and fails."""
    log = Log(module.params["log"])
    trouble = activate(module) or probe(module)
    if trouble is None:
        return
    said = log.new_text()
    files.restore()
    again = activate(module)
    module.fail_json(
        msg="The new %s was written but did not come into effect: %s.%s %s"
        % (
            module.params["subject"],
            trouble,
            "\n" + said + "\n" if said else "",
            "The files from before were put back and are in use."
            if again is None
            else "The files from before were put back, but activating them failed too: %s." % again,
        ),
        restored=again is None,
    )


def service_steps(module):
    """What is missing for the unit to run and to start at boot."""
    name = module.params["service"]
    return Unit(module.run_command, name).missing_steps(True, True) if name else []


def enable(module):
    trouble = Unit(module.run_command, module.params["service"]).do("enable")
    if trouble:
        module.fail_json(
            msg="The %s is in use, but the service won't start at boot: %s" % (module.params["subject"], trouble)
        )


def must_activate(module, rewritten, steps):
    only = module.params["activate_for"]
    if not module.params["activate"]:
        return False
    if "start" in steps:
        return True
    if [path for path in rewritten if not only or path in only]:
        return True
    return module.params["probe"] is not None and probe(module, seconds=0) is not None


def main():
    module = AnsibleModule(
        argument_spec=dict(
            subject=dict(type="str", required=True),
            files=dict(type="list", elements="dict", default=[], options=FILE_OPTIONS),
            directories=dict(type="list", elements="dict", default=[], options=DIRECTORY_OPTIONS),
            activate=dict(type="list", elements="list", default=[]),
            activate_for=dict(type="list", elements="path", default=[]),
            service=dict(type="str"),
            probe=dict(
                type="dict",
                options=dict(
                    port=dict(type="int", required=True),
                    path=dict(type="str", default="/"),
                    contains=dict(type="str", default=""),
                    timeout_seconds=dict(type="int", default=10),
                    otherwise=dict(type="str", default=""),
                ),
            ),
            log=dict(type="path"),
        ),
        supports_check_mode=True,
    )
    changed = False
    files = FileSet(module, module.params["files"], module.params["directories"])
    rewritten = files.rewritten
    try:
        changed = files.make_directories()
        files.validate()
    except RefusedError as refusal:
        module.fail_json(
            msg="The new %s is wrong, so nothing was changed. About %s: %s"
            % (module.params["subject"], refusal.path, refusal.output),
            restored=False,
        )
    steps = service_steps(module)
    needed = must_activate(module, rewritten, steps)
    if module.check_mode:
        files.discard()
        changed = files.attributes_differ() or changed or bool(rewritten) or needed or bool(steps)
    else:
        changed = files.swap() or changed or needed or bool(steps)
        if needed:
            bring_into_effect(module, files)
        if "enable" in steps:
            enable(module)
    module.exit_json(
        changed=changed,
        rewritten=rewritten,
        activated=needed and not module.check_mode,
        unvalidated=files.unvalidated,
        diff=files.diff(),
    )


if __name__ == "__main__":
    main()
