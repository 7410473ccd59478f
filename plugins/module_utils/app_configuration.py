# Copyright: The ecommerce.fleet maintainers
# MIT License
"""What the host runs by itself: fetches an application's values, and on a rotation restarts its instances one after the other.

    app_configuration.py fetch|rotate /etc/<name>/configuration.json

`fetch` stages the values; where none are used yet, as after a boot, they are used from now on. `rotate` fetches, and if something has
changed restarts the instances by the same rules as a deployment. What it says goes to the journal and never holds a value.
Runs under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import subprocess
import sys

from ansible_collections.ecommerce.fleet.plugins.module_utils.app_sources import Aws, ValuesError, collect
from ansible_collections.ecommerce.fleet.plugins.module_utils.app_units import Instances, Units
from ansible_collections.ecommerce.fleet.plugins.module_utils.host_lock import BusyError, held
from ansible_collections.ecommerce.fleet.plugins.module_utils.release_store import Store
from ansible_collections.ecommerce.fleet.plugins.module_utils.value_store import (
    APPLIED,
    CURRENT,
    NEXT,
    REFUSED,
    ValueStore,
)


class Application:
    """`wanted`: what the role wrote to configuration.json."""

    def __init__(self, wanted, run, aws):
        self.wanted = wanted
        self.aws = aws
        self.values = ValueStore(wanted["values_directory"], wanted["values_group"] or None)
        self.release = Store(wanted["root"])
        self.units = Units(run, wanted["name"])
        # Templates may have made texts of numbers.
        self.ports = [int(port) for port in wanted["ports"]]
        seconds = [int(wanted[key]) for key in ("ready_seconds", "pause_seconds")]
        self.instances = Instances(self.units, wanted["health_path"], wanted["version_path"], *seconds)

    def fetch(self):
        """Stages the values. Returns what to say."""
        environment, files = collect(self.wanted, self.aws())
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
        """Brings changed values to the instances. Returns what to say; raises ValuesError when something needs a person."""
        try:
            with held(self.wanted["lock"], 0):
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
        touched, trouble = self.instances.restart_in_turn(self.ports, self.release.current)
        if trouble is not None:
            self._go_back(touched, trouble)
        self.values.confirm()
        self.values.prune()
        return "changed values are used by ports %s" % ", ".join(map(str, touched))

    def _forget(self):
        self.values.link(NEXT, None)
        self.values.prune()

    def _go_back(self, touched, trouble):
        refused = self.values.generation(CURRENT)
        if self.values.generation(APPLIED) in (None, refused):
            raise ValuesError("%s. There are no values from before" % trouble)
        self.values.go_back()
        self.values.link(REFUSED, refused)
        troubles = self.instances.bring_back(touched, self.release.current)
        self.values.prune()
        raise ValuesError(
            "the changed values were taken back, because %s. %s"
            % (
                trouble,
                "With the values from before it is not ready either: %s" % "; ".join(troubles)
                if troubles
                else "The values from before are used on all ports",
            )
        )


def run(argv):
    """As AnsibleModule.run_command: (exit code, output, errors)."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate()
    return process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def main(argv):
    action, path = argv[1:]
    with open(path) as stream:
        wanted = json.load(stream)
    application = Application(wanted, run, lambda: Aws(wanted["region"]))
    try:
        said = application.fetch() if action == "fetch" else application.rotate()
    except ValuesError as error:
        application.values.note(str(error))
        sys.stderr.write("%s: %s\n" % (wanted["name"], error))
        return 1
    application.values.note(None)
    sys.stdout.write("%s: %s\n" % (wanted["name"], said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
