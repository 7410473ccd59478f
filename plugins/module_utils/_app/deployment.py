# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release's way onto a host: what is to be done, its steps, the undo, and what follows when every instance is ready.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import functools
import hashlib
import os
import shutil

from ansible.module_utils.common.text.converters import to_bytes, to_native
from ansible.module_utils.urls import open_url
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.archive import StoreError
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.decision import Decision
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.python_environment import Environment
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.release_store import Store
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.runtimes import Runtimes
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.units import Instances, Units
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.value_store import CURRENT, ValueStore
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import systemd
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.file_set import FileSet
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.undo import undo

FETCH_SECONDS = 60
UNITS = "/etc/systemd/system/"


class Deployment:
    """`module`: an AnsibleModule with the options of app_release."""

    def __init__(self, module):
        self.module = module
        self.desired = module.params
        self.store = Store(self.desired["root"])
        self.runtimes = Runtimes(self.desired["root"])
        self.runtime = self.desired["runtime"]
        self.units = Units(module.run_command, self.desired["name"], self.desired["log"])
        readiness = [self.desired[key] for key in ("health_path", "version_path", "ready_seconds", "pause_seconds")]
        self.instances = Instances(self.units, *readiness)
        self.values = ValueStore(self.desired["values"]["directory"]) if self.desired["values"] else None
        self.unit_files = FileSet(module, self.desired["unit_files"], self.desired["directories"])
        self.files = FileSet(module, self.desired["files"])
        self.decision = (
            Decision(self.desired["boot"]["decided"], self.desired["boot"]["learned"]) if self.desired["boot"] else None
        )
        self.was_decided = self.decision is not None and self.decision.made
        self.had_values = bool(self.values) and os.path.exists(UNITS + self.desired["values"]["unit"])
        self.plan()

    def plan(self):
        """Compares the desired state with the host."""
        texts = [item["path"] + "\0" + item["content"] for item in self.unit_files.files]
        texts += [self.desired["values"]["sources"]] if self.values else []
        texts += [self.runtime["sha256"]] if self.runtime else []
        self.fingerprint = hashlib.sha256(to_bytes("\0".join(texts))).hexdigest()
        record = self.store.record
        # Where a deployment was interrupted, `current` is not what worked last.
        self.previous = record.get("version", self.store.current)
        self.fetch = not self.store.has(self.desired["version"], self.desired["sha256"])
        self.fetch_runtime = self.runtime is not None and not self.runtimes.has(self.runtime["sha256"])
        self.complete = not self.fetch and self.environment is not None and self.environment.is_missing(self.folder)
        running = self.units.running()
        ports = self.desired["ports"]
        as_recorded = (record.get("version"), record.get("fingerprint")) == (self.desired["version"], self.fingerprint)
        self.renew = not as_recorded or self.store.current != self.desired["version"] or bool(self.unit_files.rewritten)
        self.renew = self.renew or (self.values is not None and self.values.generation(CURRENT) is None)
        self.restart = [port for port in ports if self.renew or port not in running]
        self.stop = [port for port in running if port not in ports]
        desired = [self.units.unit(port) for port in ports] + ([self.desired["values"]["timer"]] if self.values else [])
        enabled = systemd.enabled(self.module.run_command, desired)
        self.enable = [name for name in desired if name not in enabled]
        self.remove = [path for path in self.desired["absent"] if os.path.lexists(path)]
        self.wake = bool(self.values) and not self.timer_runs()

    @property
    def folder(self):
        return os.path.join(self.store.releases, self.desired["version"])

    @property
    def runtime_name(self):
        return self.runtimes.name(self.runtime["sha256"]) if self.runtime else None

    @property
    def environment(self):
        """What the release's virtual environment is made with; None: it needs none."""
        if not self.desired["python"]:
            return None
        brought = (self.runtime_name, self.runtimes.path(self.runtime["sha256"])) if self.runtime else None
        return Environment(brought)

    def timer_runs(self):
        return (
            systemd.Unit(self.module.run_command, self.desired["values"]["timer"]).show().get("ActiveState") == "active"
        )

    @property
    def planned(self):
        changes = [
            self.fetch,
            self.fetch_runtime,
            self.complete,
            self.restart,
            self.stop,
            self.enable,
            self.remove,
            self.wake,
        ]
        return bool(any(changes) or self.unit_files.rewritten or self.files.rewritten)

    def diff(self):
        shown = self.unit_files.diff() + self.files.diff()
        if self.restart or self.fetch or self.fetch_runtime or self.complete:
            after = ["release %s" % self.desired["version"]]
            after += ["fetch the runtime %s" % self.runtime["source"]] if self.fetch_runtime else []
            after += ["restart %s" % " ".join(map(str, self.restart))]
            shown.append(
                dict(
                    before_header=self.desired["name"],
                    after_header=self.desired["name"],
                    before="release %s\n" % self.previous,
                    after="\n".join(after) + "\n",
                )
            )
        return shown

    def carry_out(self):
        """Returns whether something changed. Fails the module after a rollback. Removes nothing: `settle` does."""
        self.bring()
        self.unit_files.validate()
        self.files.validate()
        changed = self.put_in_place()
        touched, error = self.instances.restart_in_turn(self.restart, self.desired["version"])
        if error is not None:
            self.roll_back(touched, error)
        return changed or self.planned

    def bring(self):
        """Has runtime and release on the disk. Nothing that runs uses them yet."""
        if self.fetch_runtime:
            runtime = self.runtime
            stream = self.open(runtime["source"], runtime["signed_url"], "runtime")
            self.runtimes.add(runtime["sha256"], stream, runtime["source"], runtime["proof"])
        if self.fetch:
            stream = self.open(self.desired["source"], self.desired["signed_url"], "artifact")
            self.store.add(
                self.desired["version"], self.desired["sha256"], stream, self.desired["source"], self.make_environment
            )
        elif self.complete:
            self.make_environment(self.folder)

    def make_environment(self, folder):
        if self.environment is not None:
            self.environment.complete(self.module.run_command, folder)

    def put_in_place(self):
        """What instances start with from now on. Returns whether files changed; where something can't be put in place, nothing is."""
        try:
            rewritten = self.unit_files.rewritten + self.files.rewritten
            changed = self.unit_files.make_directories()
            changed = self.files.swap() or changed
            changed = self.unit_files.swap() or changed
            if [path for path in rewritten if path.startswith(UNITS)]:
                self.units.do("daemon-reload")
            if self.renew and self.values:
                self.fetch_values(self.values)
            if self.store.current != self.desired["version"]:
                self.store.switch(self.desired["version"])
            if self.decision:
                self.decision.make((self.desired["version"], self.desired["sha256"]))
            return changed
        except BaseException as error:  # also the end of the module, by a FileSet that restores its own files only
            errors = self.undo()
            if isinstance(error, (EnvironmentError, StoreError)):
                raise StoreError(". ".join([to_native(error)] + errors))
            raise

    def fetch_values(self, values):
        """By the service that does it at boot: with its environment, its rights and its sandbox."""
        refused = self.units.do("restart", self.desired["values"]["unit"])
        if refused is not None:
            raise StoreError("its values can't be fetched: %s" % (values.error() or refused))
        values.adopt()

    @staticmethod
    def open(source, signed_url, title):
        address = signed_url or source
        try:
            return open_url(address, timeout=FETCH_SECONDS, follow_redirects="safe")
        except Exception as error:  # urllib, ssl and socket errors differ between the Pythons
            # The error may repeat the address, and that may be presigned.
            reason = to_native(error).replace(address, source)
            raise StoreError("the %s %s can't be fetched: %s" % (title, source, reason))

    def undo(self):
        """Restores files, release and values from before, each also where another can't be. Returns what could not be restored."""
        steps = [self.unit_files.restore, self.files.restore, lambda: self.store.switch(self.previous)]
        decision = self.decision
        if decision is not None:
            # Where the boot was still looking for its release, it goes on.
            before = (self.previous, self.store.checksum(self.previous)) if self.was_decided and self.previous else None
            steps.append(lambda: decision.restore(before))
        if self.values:
            steps += [self.values.go_back, self.values.prune] if self.had_values else [self.forget_values]
        errors = ["It could not be restored as it was: %s" % reason for reason in undo(*steps)]
        refused = self.units.do("daemon-reload")
        return errors + ([refused] if refused else [])

    def forget_values(self):
        """There were none before."""
        self.units.do("stop", self.desired["values"]["unit"])
        shutil.rmtree(self.desired["values"]["directory"], ignore_errors=True)

    def roll_back(self, touched, error):
        """Restores what was there before, and fails."""
        output = to_native(self.units.last_output(touched[-1]))
        errors = self.undo()
        outcome = " ".join([self.restore_instances(touched)] + [sentence + "." for sentence in errors])
        self.module.fail_json(
            msg="Release %s of %s was not deployed on %s: %s. %s%s"
            % (
                self.desired["version"],
                self.desired["name"],
                self.desired["host"],
                error,
                outcome,
                "\nThe last output of %s:\n%s" % (self.units.unit(touched[-1]), output) if output else "",
            ),
            version=self.previous,
            previous=self.previous,
            restored=self.previous is not None,
        )

    def restore_instances(self, touched):
        """Brings back the instances that were touched, the failed one first. Returns what became of them."""
        if self.previous is None:
            self.units.do("stop", *[self.units.unit(port) for port in touched])
            return "There was no release before it, so the instances were stopped."
        errors = self.instances.bring_back(touched, self.previous)
        if errors:
            return "Release %s was restored, but it is not ready either: %s." % (self.previous, "; ".join(errors))
        return "Release %s was restored and is ready on ports %s." % (
            self.previous,
            ", ".join(map(str, sorted(self.desired["ports"]))),
        )

    def settle(self):
        """What follows once every instance is ready; only now goes what is no longer needed.

        Returns (releases that were pruned, runtimes that were pruned, what could not be done).
        """
        pruned = {"releases": [], "runtimes": []}  # type: dict[str, list[str]]
        steps = [lambda: [self.units.do("enable", *self.enable)] if self.enable else [], self.forget_boot]
        if self.values:
            steps += [self.wake_timer] + ([self.values.confirm, self.values.prune] if self.renew else [])
        if self.renew:
            steps.append(self.record)
        steps += [self.stop_units] + [functools.partial(_removed, path) for path in self.remove]
        if self.removed_units:
            steps.append(lambda: [self.units.do("daemon-reload")])
        steps += [lambda: self.prune_releases(pruned["releases"]), lambda: self.prune_runtimes(pruned["runtimes"])]
        errors = [error for error in undo(*steps) if error]  # each of them, whatever became of those before
        return pruned["releases"], pruned["runtimes"], errors

    def forget_boot(self):
        """The release is here after all. A unit that has not failed has nothing to be reset; systemd may not even know it."""
        if self.decision and not self.was_decided and self.desired["boot"].get("unit"):
            self.units.do("reset-failed", self.desired["boot"]["unit"])

    def wake_timer(self):
        timer = self.desired["values"]["timer"]
        return [self.units.do("restart", timer)] if self.wake or UNITS + timer in self.files.rewritten else []

    def record(self):
        before = self.previous if self.previous != self.desired["version"] else self.store.record.get("previous")
        self.store.deployed(self.desired["version"], self.fingerprint, before, self.runtime_name)

    def prune_releases(self, names):
        """Adds to `names` what it is about to remove. Returns errors and None, as the next."""
        names += self.store.superfluous(self.desired["keep"])
        return [remove(os.path.join(self.store.releases, name)) for name in names]

    def prune_runtimes(self, names):
        names += self.runtimes.superfluous(self.store.runtimes() | set([self.runtime_name]))
        return [remove(os.path.join(self.runtimes.folder, name)) for name in names]

    @property
    def removed_units(self):
        return [os.path.basename(path) for path in self.remove if path.startswith(UNITS)]

    def stop_units(self):
        """Instances and units that are no longer desired. Returns errors and None."""
        names = [self.units.unit(port) for port in self.stop] + self.removed_units
        return [self.units.do("disable", "--now", *names)] if names else []


def _removed(path):
    return [remove(path)]


def remove(path):
    """Returns None, or why a file or directory can't be removed."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except EnvironmentError as error:
        return "%s can't be removed: %s" % (error.filename or path, error.strerror)
    return None
