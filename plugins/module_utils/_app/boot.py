# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does before its instances start: asks for the fleet's current release, and fetches it if another one is on its disk.

    boot.py /etc/<name>/release.json

A host that was launched from an older image, or was away, so serves what the others do, or nothing. It asks again and again for
`wait_seconds`, then it fails; systemd starts it anew with the instances that wait for it. Its output goes to the journal.
Runs under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import shutil
import sys
import time

from ansible_collections.ecommerce.fleet.plugins.module_utils._app.archive import StoreError, attempt
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.decision import Decision
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.python_environment import (
    INSTALL_SECONDS,
    Environment,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.release_parameter import parse
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.release_store import Store
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.runtimes import Runtimes
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.sources import ValuesError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import processes
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.aws_cli import FETCH_SECONDS, Aws
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.files import Files
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.lock import BusyError, held

LOCK_SECONDS = 5
FETCHING = ".fetching"
"""In the application's directory, while an artifact is fetched."""
LONGEST_PAUSE = 16
SERVE = "serve"
"""`unreachable`: what to do where nobody says what the current release is. Else nothing is served."""
clock = getattr(time, "monotonic", time.time)  # the host's clock may be set while it boots
FAILURES = (ValuesError, HostError, BusyError, EnvironmentError)


class Boot:
    """`desired`: what the role wrote to release.json. `aws(region)`: the AWS command line there; '' is the instance's own region."""

    def __init__(self, desired, aws, run, say):
        self.desired = desired
        self.aws = aws
        self.run = run
        self.say = say
        self.store = Store(desired["root"])
        self.runtimes = Runtimes(desired["root"])
        self.decision = Decision(desired["decided"], desired["learned"])

    def decide(self):
        """Returns once instances may start. Raises one of FAILURES, the last one, when `wait_seconds` are over."""
        deadline = clock() + float(self.desired["wait_seconds"])
        pause, said = 1, ""
        while not self.decision.made:
            try:
                self.attempt()
                return
            except FAILURES as error:
                failure = error
            if "%s" % failure != said:
                said = "%s" % failure
                self.say("not yet: %s" % said)
            if clock() + pause > deadline:
                self.serve_what_ran(failure)
                return
            self.rest(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        self.say("it serves release %s, which a deployment has brought" % self.store.current)

    def rest(self, seconds):
        """Shorter where a deployment decides: its instances wait for this program to end."""
        for _second in range(seconds):
            if self.decision.made:
                return
            time.sleep(1)

    def attempt(self):
        name = self.desired["parameter"]
        answer = self.aws("").call("ssm", "get-parameter", "--name", name)
        release = parse(name, answer["Parameter"]["Value"])
        with held(self.desired["lock"], LOCK_SECONDS):
            if self.decision.made:  # by a deployment that had the lock
                return
            # First of all: a host that knows of another release does not serve its own, even where it can't have that one.
            self.decision.learn((release.version, release.sha256))
            if (release.version, release.sha256) != self.deployed:
                self.refuse_unfit(release)
            before = self.store.current
            self.bring(release)
            self.decision.make((release.version, release.sha256))
        how = "which this host has" if before == release.version else "instead of %s" % before
        self.say("it serves the current release %s, %s" % (release.version, how))

    @property
    def deployed(self):
        """The release that unit and start program on this host were written for, (version, sha256). The fleet's variables, which
        may give it another runtime than the parameter does, have had their word on it."""
        version = self.store.record.get("version")
        return version, self.store.checksum(version)

    def refuse_unfit(self, release):
        """Unit and start program on this host are those of one kind and one runtime."""
        remedy = "Run ecommerce.fleet.site on this host, and publish an image with that release for those to come"
        if release.kind != self.desired["kind"]:
            raise StoreError(
                "release %s is of kind %s, and this host was configured for %s. %s"
                % (release.version, release.kind, self.desired["kind"], remedy)
            )
        name = None if release.runtime_sha256 is None else self.runtimes.name(release.runtime_sha256)
        if name != self.runtime_name:
            raise StoreError(
                "release %s runs on %s, and this host was configured for %s. %s"
                % (release.version, of_runtime(name), of_runtime(self.runtime_name), remedy)
            )

    @property
    def runtime_name(self):
        """That of the last deployment, which wrote unit and start program."""
        record = self.store.record
        return record.get("runtimes", {}).get(record.get("version"))

    def bring(self, release):
        """Has the release on the disk and in use, and records it as a deployment does, so that the next one finds nothing to do."""
        record, runtime_name = self.store.record, self.runtime_name
        before = record.get("version", self.store.current)
        folder = os.path.join(self.store.releases, release.version)
        if not self.store.has(release.version, release.sha256):
            self.fetch(release)
        else:
            self.complete(folder)
        if self.store.current != release.version:
            self.store.switch(release.version)
        if record.get("version") != release.version:
            self.store.deployed(release.version, record.get("fingerprint"), before, runtime_name)

    def fetch(self, release):
        scratch = os.path.join(self.store.root, FETCHING)
        shutil.rmtree(scratch, ignore_errors=True)  # of a run that was interrupted
        attempt(Files().make_directory, scratch, 0o700, None, None)
        try:
            path = os.path.join(scratch, "artifact")
            bucket, key = release.bucket_and_key
            words = ["--bucket", bucket, "--key", key, path]
            self.aws(self.desired["artifact_region"]).call("s3api", "get-object", *words, seconds=FETCH_SECONDS)
            with open(path, "rb") as stream:
                self.store.add(release.version, release.sha256, stream, release.url, self.complete)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def complete(self, folder):
        if self.desired["kind"] == "python":
            name = self.runtime_name
            brought = (name, os.path.join(self.runtimes.folder, name)) if name else None
            Environment(brought).complete(self.run, folder)

    def serve_what_ran(self, failure):
        """What was the current release when this machine last heard of it, if that is what it has; else raises the failure."""
        version, _sha256 = served = self.deployed
        known = version is not None and version == self.store.current and served == self.decision.last_learned
        if self.desired["unreachable"] != SERVE or not known:
            raise failure
        with held(self.desired["lock"], LOCK_SECONDS):
            if not self.decision.made:
                self.decision.make(served)
        self.say(
            "WARNING: whether release %s is still the current one could not be found out; it is served, as before"
            % version
        )


def of_runtime(name):
    return "the system's own runtime" if name is None else "the runtime %s" % name


def run(argv, **_options):
    """As AnsibleModule.run_command: (exit code, output, errors). processes.run sets the umask."""
    done = processes.run(argv, INSTALL_SECONDS + 5)
    return done.code, done.out, done.err


def main(argv):
    with open(argv[1]) as stream:
        desired = json.load(stream)

    def say(sentence):
        sys.stdout.write("%s: %s\n" % (desired["name"], sentence))
        sys.stdout.flush()

    try:
        Boot(desired, Aws, run, say).decide()
    except FAILURES as error:
        sys.stderr.write("%s: its current release is not here, so nothing is served: %s\n" % (desired["name"], error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
