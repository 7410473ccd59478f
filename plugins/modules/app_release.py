#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: app_release
short_description: Deploy a release of an application as instances of a template unit
description:
  - Fetches an artifact, refuses it if its checksum is wrong, unpacks it to C(releases/<version>), switches the C(current) link and
    restarts the instances one after the other, each only when the one before is ready.
  - When an instance is not ready in time, the release and the unit files from before are restored, and the module fails naming the check.
  - A runtime of its own (Node.js, Python, a JDK) is fetched and checked in the same way, to C(runtimes/<16 digits of its sha256>), and
    must have run on the host before anything is switched. The unit files name it.
  - An interrupted deployment is completed by the next run. One remote execution.
version_added: 0.1.0
options:
  name: {description: The application. Its instances are C(<name>@<port>.service)., type: str, required: true}
  root: {description: Directory of the releases., type: path, required: true}
  version: {description: The release., type: str, required: true}
  source: {description: The artifact's address as a person may see it., type: str, required: true}
  signed_url: {description: Where to fetch it from if that is a secret; else O(source) is used., type: str}
  sha256: {description: The artifact's checksum., type: str, required: true}
  host: {description: "The host's name, for messages.", type: str, required: true}
  ports: {description: One instance listens on each., type: list, elements: int, required: true}
  health_path: {description: Answers 200 when the instance is ready. Empty means it is not asked., type: str, default: /health}
  version_path: {description: Answers JSON with C(version). Empty means it is not asked., type: str, default: /version}
  ready_seconds: {description: How long an instance may take to become ready., type: int, default: 30}
  pause_seconds: {description: Time between two instances., type: int, default: 0}
  keep: {description: How many releases that were deployed to the end to keep., type: int, default: 3}
  log: {description: Where an instance logs; C(%s) is its port. Its end is part of the error message., type: str, default: ""}
  python:
    description:
      - Whether C(requirements.lock) becomes a virtual environment inside the release, C(.venv). With O(runtime) it is made by that Python
        and called C(.venv-<name of the runtime's directory>).
    type: bool
    default: false
  runtime:
    description: What the instances run on, where it is not the system's own. It goes when no release that is kept ran on it.
    type: dict
    version_added: 0.2.0
    suboptions:
      source: {description: The archive's address as a person may see it., type: str, required: true}
      signed_url: {description: Where to fetch it from if that is a secret., type: str}
      sha256: {description: The archive's checksum., type: str, required: true}
      proof: {description: "A program in it, with words for which it ends with 0.", type: list, elements: str, required: true}
  lock: {description: 'What deployments and rotations of the application lock. Else C(/run/<name>-deployment.lock).', type: path}
  boot:
    description: For hosts with a service that looks for the current release at boot. Without it instances start with what is on the disk.
    type: dict
    version_added: 0.2.0
    suboptions:
      decided:
        description:
          - A file in C(/run) without which no instance starts. It is written before the instances are started, and removed again when the
            release is rolled back and it was not there before.
        type: path
        required: true
      learned: {description: "Where the host keeps what it last knew to be the current release.", type: path, required: true}
      unit: {description: The service. Where it has failed in this boot that is forgotten once every instance is ready., type: str}
  absent:
    description: Files that are removed, once every instance is ready. Units among them are stopped first.
    type: list
    elements: path
    default: []
  values:
    description: Values that a service on the host fetches before the instances start. Without it there are none.
    type: dict
    suboptions:
      directory: {description: Where the service keeps them., type: path, required: true}
      unit: {description: The service., type: str, required: true}
      timer: {description: The timer that looks for changed values., type: str, required: true}
      sources: {description: Where the values come from. Another text restarts the instances., type: str, required: true}
extends_documentation_fragment:
  - ecommerce.fleet.files
  - ecommerce.fleet.files.unit_files
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode: {support: full, description: Says what would be done; fetches nothing.}
  diff_mode: {support: full, description: Shows the files and the release.}
"""

EXAMPLES = r"""
- name: Deploy the shop
  ecommerce.fleet.app_release:
    name: shop
    root: /opt/shop
    version: 1.4.0
    source: s3://artifacts/shop-1.4.0.tar.gz
    signed_url: "{{ lookup('ecommerce.fleet.presigned_url', 's3://artifacts/shop-1.4.0.tar.gz') }}"
    sha256: "{{ shop_sha256 }}"
    host: "{{ inventory_hostname }}"
    ports: [3000, 3001]
"""

RETURN = r"""
version: {description: The release that runs now., returned: always, type: str}
previous: {description: The release that ran before., returned: always, type: str}
fetched: {description: Whether the artifact was (or would be) fetched., returned: always, type: bool}
restarted: {description: Ports of the instances that were (or would be) restarted., returned: always, type: list, elements: int}
removed: {description: Releases that were pruned., returned: always, type: list, elements: str}
removed_runtimes: {description: Runtimes that were pruned., returned: always, type: list, elements: str}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.archive import StoreError
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.deployment import Deployment
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import systemd
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.file_set import (
    DIRECTORY_OPTIONS,
    FILE_OPTIONS,
    RefusedError,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.lock import BusyError, held

LOCK_SECONDS = 180


def argument_spec():
    return dict(
        name=dict(type="str", required=True),
        root=dict(type="path", required=True),
        version=dict(type="str", required=True),
        source=dict(type="str", required=True),
        signed_url=dict(type="str", no_log=True),
        sha256=dict(type="str", required=True),
        host=dict(type="str", required=True),
        ports=dict(type="list", elements="int", required=True),
        health_path=dict(type="str", default="/health"),
        version_path=dict(type="str", default="/version"),
        ready_seconds=dict(type="int", default=30),
        pause_seconds=dict(type="int", default=0),
        keep=dict(type="int", default=3),
        log=dict(type="str", default=""),
        unit_files=dict(type="list", elements="dict", default=[], options=FILE_OPTIONS),
        files=dict(type="list", elements="dict", default=[], options=FILE_OPTIONS),
        directories=dict(type="list", elements="dict", default=[], options=DIRECTORY_OPTIONS),
        python=dict(type="bool", default=False),
        runtime=dict(
            type="dict",
            options=dict(
                source=dict(type="str", required=True),
                signed_url=dict(type="str", no_log=True),
                sha256=dict(type="str", required=True),
                proof=dict(type="list", elements="str", required=True),
            ),
        ),
        lock=dict(type="path"),
        boot=dict(
            type="dict",
            options=dict(
                decided=dict(type="path", required=True),
                learned=dict(type="path", required=True),
                unit=dict(type="str"),
            ),
        ),
        absent=dict(type="list", elements="path", default=[]),
        values=dict(
            type="dict",
            options=dict(
                directory=dict(type="path", required=True),
                unit=dict(type="str", required=True),
                timer=dict(type="str", required=True),
                sources=dict(type="str", required=True),
            ),
        ),
    )


def main():
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    removed, unused, errors = [], [], []
    try:
        if module.check_mode:
            deployment = Deployment(module)
            changed = deployment.planned
        else:
            with held(module.params["lock"] or "/run/%s-deployment.lock" % module.params["name"], LOCK_SECONDS):
                deployment = Deployment(module)
                changed = deployment.carry_out()
                removed, unused, errors = deployment.settle()
    except (StoreError, RefusedError, BusyError, systemd.SystemdError) as error:
        module.fail_json(
            msg="Release %s of %s was not deployed on %s: %s. Nothing that runs was changed."
            % (module.params["version"], module.params["name"], module.params["host"], error)
        )
    if errors:
        module.fail_json(
            msg="Release %s of %s runs on %s, but not all that follows could be done: %s. Remedy that and run this again."
            % (module.params["version"], module.params["name"], module.params["host"], "; ".join(errors)),
            version=module.params["version"],
            previous=deployment.previous,
        )
    module.exit_json(
        changed=changed or bool(removed or unused),
        version=module.params["version"],
        previous=deployment.previous,
        fetched=deployment.fetch,
        restarted=deployment.restart,
        removed=removed,
        removed_runtimes=unused,
        diff=deployment.diff(),
    )


if __name__ == "__main__":
    main()
