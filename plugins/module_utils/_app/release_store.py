# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of an application on a host: `releases/<version>`, the `current` link, and the record of what was deployed.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

import os

from .._host import links
from .archive import MARKER, Archive, StoreError, installed_from, is_installed, load, save_json

__metaclass__ = type

RECORD = ".deployed.json"


class Store:
    """`root` is the application's directory."""

    def __init__(self, root):
        self.root = root
        self.releases = os.path.join(root, "releases")
        self.link = os.path.join(root, "current")

    @property
    def current(self):
        """The version that `current` points to, or None."""
        target = links.target(self.link)
        return None if target is None else os.path.basename(target)

    def has(self, version, sha256):
        """Whether the release is unpacked. Raises StoreError if it is, but from another artifact."""
        found = installed_from(self._folder(version))
        if found is None:
            return False
        if found != sha256:
            raise StoreError(
                "version %s is installed from an artifact with sha256 %s, now it should have %s. A version never changes: publish the new "
                "artifact under a new version" % (version, found, sha256)
            )
        return True

    def checksum(self, version):
        """The checksum of the artifact that a release was unpacked from; None if it is not here. `version` None: there is no release."""
        return None if version is None else installed_from(self._folder(version))

    def add(self, version, sha256, stream, source, complete=None):
        """Unpacks an artifact (a packed tar) read from `stream`, if its checksum is `sha256`. `source` names it in errors.

        `complete(folder)` adds what the host makes of it, at its final place; the release counts only when that is done too.
        """
        Archive("the artifact %s" % source, stream, sha256).install(self._folder(version), source, complete)

    def switch(self, version):
        """Makes `version` the current one; None: there is none any more."""
        links.switch(self.link, None if version is None else os.path.join("releases", version))

    def good(self):
        """Installed versions that were deployed to the end, the last one first. A host that has no list of them: all, by their age."""
        listed = self.record.get("deployed")
        if listed is not None:
            return [name for name in listed if is_installed(self._folder(name))]
        names = [name for name in self._names() if is_installed(self._folder(name))]
        return sorted(names, key=lambda name: os.path.getmtime(os.path.join(self._folder(name), MARKER)), reverse=True)

    def deployed(self, version, fingerprint, previous, runtime=None):
        """Records that all instances run `version`. `previous`: the one to go back to. `runtime`: the name of the one that runs it."""
        good = [version] + [name for name in self.good() if name != version]
        before = self.record
        runtimes = dict((name, runtime) for name, runtime in before.get("runtimes", {}).items() if name in good)
        runtimes[version] = runtime
        self.record = dict(
            version=version,
            fingerprint=fingerprint,
            previous=previous,
            deployed=good,
            runtimes=runtimes,
            previous_runtime=before.get("runtimes", {}).get(before.get("version")),
        )

    def runtimes(self):
        """Names of the runtimes that releases on the disk were last deployed with, and of the one in use before the last deployment."""
        record = self.record
        kept = [name for version, name in record.get("runtimes", {}).items() if is_installed(self._folder(version))]
        return set(kept + [record.get("previous_runtime")]) - set([None])

    def superfluous(self, keep):
        """Versions beyond the last `keep` that were deployed to the end; never the current one or the one before it.

        A release that failed is no reason to remove a good one: it does not count, and goes itself when another was deployed.
        """
        kept = self.good()[:keep] + [self.current, self.record.get("previous")]
        return sorted(name for name in self._names() if name not in kept and is_installed(self._folder(name)))

    def _names(self):
        return os.listdir(self.releases) if os.path.isdir(self.releases) else []

    def _folder(self, version):
        return os.path.join(self.releases, version)

    @property
    def record(self):
        """What the last complete deployment left: {version, fingerprint, previous, deployed (see good)}, and the names of runtimes:
        {runtimes: {version: name}, previous_runtime}."""
        return load(os.path.join(self.root, RECORD)) or {}

    @record.setter
    def record(self, value):
        save_json(os.path.join(self.root, RECORD), value)
