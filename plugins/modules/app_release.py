#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# MIT License

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: app_release
short_description: Deploy a release of an application as instances of a template unit
description:
  - Fetches an artifact, refuses it if its checksum is wrong, unpacks it to C(releases/<version>), switches the C(current) link and
    restarts the instances one after the other, each only when the one before is ready.
  - When an instance is not ready in time, the release and the unit files from before are put back, and the module fails naming the check.
  - An interrupted deployment is completed by the next run. One remote execution.
version_added: 0.1.0
options:
  name: {description: The application. Its instances are C(<name>@<port>.service)., type: str, required: true}
  root: {description: Directory of the releases., type: path, required: true}
  version: {description: The release., type: str, required: true}
  source: {description: The artifact's address as a person may see it., type: str, required: true}
  signed_url: {description: Where to fetch it from if that is a secret; else O(source) is used., type: str}
  sha256: {description: The artifact's checksum., type: str, required: true}
  host: {description: The host's name, for messages., type: str, required: true}
  ports: {description: One instance listens on each., type: list, elements: int, required: true}
  health_path: {description: Answers 200 when the instance is ready. Empty means it is not asked., type: str, default: /health}
  version_path: {description: Answers JSON with C(version). Empty means it is not asked., type: str, default: /version}
  ready_seconds: {description: How long an instance may take to become ready., type: int, default: 30}
  pause_seconds: {description: Time between two instances., type: int, default: 0}
  keep: {description: How many releases to keep., type: int, default: 3}
  log: {description: Where an instance logs; C(%s) is its port. Its end is part of the error message., type: str, default: ""}
  unit_files:
    description: Files whose change restarts the instances; as in M(ecommerce.fleet.staged_files).
    type: list
    elements: dict
    default: []
    suboptions: &file
      path: {description: Where the file belongs., type: path, required: true}
      content: {description: The whole content., type: str}
      secret_content: {description: "The same for a secret, instead of O(files[].content): it is never shown.", type: str}
      mode: {description: Permissions., type: str, default: "0644"}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      validate: {description: A command that judges the staged file., type: list, elements: str, default: []}
      show_diff: {description: Whether C(--diff) may show the content., type: bool, default: true}
  files:
    description: Other files.
    type: list
    elements: dict
    default: []
    suboptions: *file
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
  python: {description: Whether C(requirements.lock) becomes a virtual environment inside the release., type: bool, default: false}
  lock: {description: 'What deployments and rotations of the application lock. Else C(/run/<name>-deployment.lock).', type: path}
  absent: {description: Files that are removed; units among them are stopped first., type: list, elements: path, default: []}
  values:
    description: Values that a service on the host fetches before the instances start. Without it there are none.
    type: dict
    suboptions:
      directory: {description: Where the service keeps them., type: path, required: true}
      unit: {description: The service., type: str, required: true}
      timer: {description: The timer that looks for changed values., type: str, required: true}
      sources: {description: Where the values come from. Another text restarts the instances., type: str, required: true}
author:
  - The ecommerce.fleet maintainers
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
"""

import functools
import hashlib
import os
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_native
from ansible.module_utils.urls import open_url
from ansible_collections.ecommerce.fleet.plugins.module_utils.app_units import Instances, Units
from ansible_collections.ecommerce.fleet.plugins.module_utils.file_set import (
    DIRECTORY_OPTIONS,
    FILE_OPTIONS,
    FileSet,
    RefusedError,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils.host_lock import BusyError, held
from ansible_collections.ecommerce.fleet.plugins.module_utils.python_environment import complete
from ansible_collections.ecommerce.fleet.plugins.module_utils.release_store import Store, StoreError
from ansible_collections.ecommerce.fleet.plugins.module_utils.value_store import CURRENT, ValueStore

FETCH_SECONDS = 60
LOCK_SECONDS = 180
UNITS = "/etc/systemd/system/"


class Deployment:
    def __init__(self, module):
        self.module = module
        self.wanted = module.params
        self.store = Store(self.wanted["root"])
        self.units = Units(module.run_command, self.wanted["name"])
        readiness = [self.wanted[key] for key in ("health_path", "version_path", "ready_seconds", "pause_seconds")]
        self.instances = Instances(self.units, *readiness)
        self.values = ValueStore(self.wanted["values"]["directory"]) if self.wanted["values"] else None
        self.unit_files = FileSet(module, self.wanted["unit_files"], self.wanted["directories"])
        self.files = FileSet(module, self.wanted["files"])
        self.plan()

    def plan(self):
        """Compares what is wanted with what is there."""
        texts = [item["path"] + "\0" + item["content"] for item in self.unit_files.files]
        texts += [self.wanted["values"]["sources"]] if self.values else []
        self.fingerprint = hashlib.sha256(to_bytes("\0".join(texts))).hexdigest()
        record = self.store.record
        # Where a deployment was interrupted, `current` is not what worked last.
        self.previous = record.get("version", self.store.current)
        self.fetch = not self.store.has(self.wanted["version"], self.wanted["sha256"])
        running = self.units.running()
        ports = self.wanted["ports"]
        as_recorded = (record.get("version"), record.get("fingerprint")) == (self.wanted["version"], self.fingerprint)
        self.renew = not as_recorded or self.store.current != self.wanted["version"] or bool(self.unit_files.rewritten)
        self.renew = self.renew or (self.values is not None and self.values.generation(CURRENT) is None)
        self.restart = [port for port in ports if self.renew or port not in running]
        self.stop = [port for port in running if port not in ports]
        wanted = [self.units.unit(port) for port in ports] + ([self.wanted["values"]["timer"]] if self.values else [])
        enabled = self.units.enabled(wanted)
        self.enable = [name for name in wanted if name not in enabled]
        self.remove = [path for path in self.wanted["absent"] if os.path.lexists(path)]
        self.wake = bool(self.values) and self.units.systemctl("is-active", self.wanted["values"]["timer"])[0] != 0

    @property
    def planned(self):
        changes = [self.fetch, self.restart, self.stop, self.enable, self.remove, self.wake]
        return bool(any(changes) or self.unit_files.rewritten or self.files.rewritten)

    def diff(self):
        shown = self.unit_files.diff() + self.files.diff()
        if self.restart or self.fetch:
            shown.append(
                dict(
                    before_header=self.wanted["name"],
                    after_header=self.wanted["name"],
                    before="release %s\n" % self.previous,
                    after="release %s\nrestart %s\n" % (self.wanted["version"], " ".join(map(str, self.restart))),
                )
            )
        return shown

    def carry_out(self):
        """Returns whether something changed. Fails the module after a rollback."""
        changed = self.unit_files.make_directories()
        if self.fetch:
            prepare = functools.partial(complete, self.module.run_command) if self.wanted["python"] else None
            wanted = [self.wanted[key] for key in ("version", "sha256")]
            self.store.add(*wanted, stream=self.open_artifact(), source=self.wanted["source"], complete=prepare)
        self.unit_files.validate()
        self.files.validate()
        reload = self.remove + self.unit_files.rewritten + self.files.rewritten
        changed = self.files.swap() or changed
        changed = self.unit_files.swap() or changed
        self.remove_files()
        if [path for path in reload if path.startswith(UNITS)]:
            self.units.systemctl("daemon-reload")
        if self.renew and self.values:
            self.fetch_values(self.values)
        if self.store.current != self.wanted["version"]:
            self.store.switch(self.wanted["version"])
        self.restart_in_turn()
        self.settle()
        return changed or self.planned

    def remove_files(self):
        """Units that are not wanted any more end first."""
        names = [os.path.basename(path) for path in self.remove if path.startswith(UNITS)]
        if names:
            self.units.systemctl("disable", "--now", *names)
        for path in self.remove:
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def fetch_values(self, values):
        """By the service that does it at boot: with its environment, its rights and its sandbox."""
        code, output = self.units.systemctl("restart", self.wanted["values"]["unit"])
        if code == 0:
            values.adopt()
            return
        self.unit_files.restore()
        self.files.restore()
        self.units.systemctl("daemon-reload")
        raise StoreError("its values can't be fetched: %s" % (values.trouble() or output))

    def open_artifact(self):
        address = self.wanted["signed_url"] or self.wanted["source"]
        try:
            return open_url(address, timeout=FETCH_SECONDS, follow_redirects="safe")
        except Exception as error:  # urllib, ssl and socket errors differ between the Pythons
            # The error may repeat the address, and that may be presigned.
            reason = to_native(error).replace(address, self.wanted["source"])
            raise StoreError("the artifact %s can't be fetched: %s" % (self.wanted["source"], reason))

    def restart_in_turn(self):
        touched, trouble = self.instances.restart_in_turn(self.restart, self.wanted["version"])
        if trouble is not None:
            self.roll_back(touched, trouble)

    def roll_back(self, touched, trouble):
        """Puts back the release and the unit files from before and fails."""
        said = self.units.words_of(touched[-1], self.wanted["log"])
        self.unit_files.restore()
        self.files.restore()
        self.store.switch(self.previous)
        if self.values:
            self.values.go_back()
            self.values.prune()
        self.units.systemctl("daemon-reload")
        outcome = self.restore_instances(touched)
        self.module.fail_json(
            msg="Release %s of %s was not deployed on %s: %s. %s%s"
            % (
                self.wanted["version"],
                self.wanted["name"],
                self.wanted["host"],
                trouble,
                outcome,
                "\nThe last words of %s:\n%s" % (self.units.unit(touched[-1]), said) if said else "",
            ),
            version=self.previous,
            previous=self.previous,
            restored=self.previous is not None,
        )

    def restore_instances(self, touched):
        """Brings back the instances that were touched, the failed one first. Returns what became of them."""
        if self.previous is None:
            self.units.systemctl("stop", *[self.units.unit(port) for port in touched])
            return "There was no release before it, so the instances were stopped."
        troubles = self.instances.bring_back(touched, self.previous)
        if troubles:
            return "Release %s was put back, but it is not ready either: %s." % (self.previous, "; ".join(troubles))
        return "Release %s was restored and is ready on ports %s." % (
            self.previous,
            ", ".join(map(str, sorted(self.wanted["ports"]))),
        )

    def settle(self):
        """What follows once every instance is ready."""
        if self.enable:
            self.units.systemctl("enable", *self.enable)
        if self.values:
            timer = self.wanted["values"]["timer"]
            if self.wake or UNITS + timer in self.files.rewritten:
                self.units.systemctl("restart", timer)
            if self.renew:
                self.values.confirm()
                self.values.prune()
        if self.stop:
            self.units.systemctl("disable", "--now", *[self.units.unit(port) for port in self.stop])
        if self.renew:
            before = self.previous if self.previous != self.wanted["version"] else self.store.record.get("previous")
            self.store.record = dict(version=self.wanted["version"], fingerprint=self.fingerprint, previous=before)

    def prune(self):
        """Removes old releases, never the current one or the one before it. Returns their names."""
        protected = [self.store.current, self.store.record.get("previous")]
        names = self.store.superfluous(self.wanted["keep"], protected)
        for name in names:
            self.store.remove(name)
        return names


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
        lock=dict(type="path"),
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
    try:
        if module.check_mode:
            deployment = Deployment(module)
            changed, removed = deployment.planned, []
        else:
            with held(module.params["lock"] or "/run/%s-deployment.lock" % module.params["name"], LOCK_SECONDS):
                deployment = Deployment(module)
                changed = deployment.carry_out()
                removed = deployment.prune()
    except (StoreError, RefusedError, BusyError) as error:
        module.fail_json(
            msg="Release %s of %s was not deployed on %s: %s. Nothing that runs was changed."
            % (module.params["version"], module.params["name"], module.params["host"], error)
        )
    module.exit_json(
        changed=changed or bool(removed),
        version=module.params["version"],
        previous=deployment.previous,
        fetched=deployment.fetch,
        restarted=deployment.restart,
        removed=removed,
        diff=deployment.diff(),
    )


if __name__ == "__main__":
    main()
