# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host runs by itself: fetches an application's values, and on a rotation restarts its instances one after the other.

    app_configuration.py fetch|rotate /etc/<name>/configuration.json

`fetch` stages the values; where none are used yet, as after a boot, they are used from now on. `rotate` fetches, and if something has
changed restarts the instances by the same rules as a deployment. Its output goes to the journal and never contains a value.
Runs under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import sys

from ansible_collections.ecommerce.fleet.plugins.module_utils._app.release_store import Store
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.sources import ValuesError, collect
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.units import Instances, Units
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.value_store import (
    APPLIED,
    CURRENT,
    NEXT,
    REFUSED,
    ValueStore,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import processes
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.aws_cli import Aws
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.lock import BusyError, held
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.undo import outcome, undo

RUN_SECONDS = 150
"""Longer than systemctl is given."""


class Application:
    """`desired`: what the role wrote to configuration.json."""

    def __init__(self, desired, run, aws):
        self.desired = desired
        self.aws = aws
        self.values = ValueStore(desired["values_directory"], desired["values_group"] or None)
        self.release = Store(desired["root"])
        self.units = Units(run, desired["name"])
        # Templates may have made texts of numbers.
        self.ports = [int(port) for port in desired["ports"]]
        seconds = [int(desired[key]) for key in ("ready_seconds", "pause_seconds")]
        self.instances = Instances(self.units, desired["health_path"], desired["version_path"], *seconds)

    def fetch(self):
        """Stages the values. Returns a sentence about the result."""
        environment, files = collect(self.desired, self.aws())
        self.values.stage(environment, files)
        first = self.values.generation(CURRENT) is None
        if first:  # no instance has started without them
            self.values.adopt()
            self.values.confirm()
        self.values.prune()
        return "%d values were fetched%s" % (
            len(environment) + len(files),
            " and are used from now on" if first else "",
        )

    def rotate(self):
        """Brings changed values to the instances. Returns a sentence about the result; raises ValuesError when something needs a person."""
        decided = self.desired.get("decided")
        if decided and not os.path.exists(decided):
            return "no instance has started yet; the release of this boot is looked for"
        try:
            with held(self.desired["lock"], 0):
                return self._rotate()
        except BusyError:
            return "a deployment is running, which fetches the values itself"

    def _rotate(self):
        had = self.values.generation(CURRENT) is not None
        self.fetch()
        # Else a rotation was interrupted, or the values could not be had at boot.
        settled = had and self.values.generation(CURRENT) == self.values.generation(APPLIED)
        if settled and self.values.same(CURRENT, NEXT):
            self._forget()
            return "nothing has changed"
        if self.values.same(REFUSED, NEXT):
            self._forget()
            raise ValuesError(
                "the values are still those with which the application did not get ready; the ones from before are used. "
                "Correct them, or deploy a release that works with them"
            )
        self.values.adopt()
        touched, error = self.instances.restart_in_turn(self.ports, self.release.current)
        if error is not None:
            self._go_back(touched, error)
        self.values.confirm()
        self.values.prune()
        return "changed values are used by ports %s" % ", ".join(map(str, touched))

    def _forget(self):
        self.values.link(NEXT, None)
        self.values.prune()

    def _go_back(self, touched, error):
        refused = self.values.generation(CURRENT)
        if self.values.generation(APPLIED) in (None, refused):
            raise ValuesError("%s. There are no values from before" % error)
        kept = undo(self.values.go_back)
        # What could not be taken back is not marked as refused: the next rotation tries it again.
        left = [] if kept else undo(lambda: self.values.link(REFUSED, refused))
        errors = self.instances.bring_back(touched, self.release.current)
        left += undo(self.values.prune)
        sentences = [
            "the changed values %s, because %s" % ("could not be taken back" if kept else "were taken back", error),
            outcome(kept + left) if kept or left else "",
            "With the values that are there it is not ready either: %s" % "; ".join(errors) if errors else "",
        ]
        if not kept and not errors:
            sentences.append("The values from before are used on all ports")
        raise ValuesError(". ".join(sentence for sentence in sentences if sentence))


def run(argv):
    """As AnsibleModule.run_command: (exit code, output, errors)."""
    done = processes.run(argv, RUN_SECONDS)
    return done.code, done.out, done.err


def main(argv):
    action, path = argv[1:]
    with open(path) as stream:
        desired = json.load(stream)
    application = Application(desired, run, lambda: Aws(desired["region"]))
    try:
        result = application.fetch() if action == "fetch" else application.rotate()
    except (ValuesError, EnvironmentError) as error:
        application.values.note(str(error))
        sys.stderr.write("%s: %s\n" % (desired["name"], error))
        return 1
    application.values.note(None)
    sys.stdout.write("%s: %s\n" % (desired["name"], result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
