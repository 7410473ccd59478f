# Copyright: The ecommerce.fleet maintainers
# MIT License
"""Releases of an application on a host: `releases/<version>`, the `current` link, and the record of what was deployed.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import hashlib
import json
import os
import shutil
import tarfile
import tempfile

MARKER = ".release.json"
RECORD = ".deployed.json"
CHUNK = 1 << 20


class StoreError(Exception):
    """Says for a person what could not be done; nothing that runs was changed."""


class Store:
    """`root` is the application's directory."""

    def __init__(self, root):
        self.root = root
        self.releases = os.path.join(root, "releases")
        self.link = os.path.join(root, "current")

    @property
    def current(self):
        """The version that `current` points to, or None."""
        return os.path.basename(os.readlink(self.link)) if os.path.islink(self.link) else None

    def has(self, version, sha256):
        """Whether the release is unpacked. Raises StoreError if it is, but from another artifact."""
        marker = load(os.path.join(self.releases, version, MARKER))
        if marker is None:
            return False
        if marker.get("sha256") != sha256:
            raise StoreError(
                "version %s is installed from an artifact with sha256 %s, now it should have %s. A version never changes: publish the new "
                "artifact under a new version" % (version, marker.get("sha256"), sha256)
            )
        return True

    def add(self, version, sha256, stream, source, complete=None):
        """Unpacks an artifact (a gzipped tar) read from `stream`, if its checksum is `sha256`. `source` names it in errors.

        `complete(folder)` adds what the host makes of it, at its final place; the release counts only when that is done too.
        """
        if not os.path.isdir(self.releases):
            os.makedirs(self.releases, 0o755)
        scratch = tempfile.mkdtemp(prefix=".adding-", dir=self.releases)
        final = os.path.join(self.releases, version)
        try:
            archive = os.path.join(scratch, "artifact")
            try:
                found = save(stream, archive)
            except Exception as error:  # a network stream raises what its layers raise, and the disk may be full
                raise StoreError("the artifact %s can't be fetched: %s" % (source, error))
            if found != sha256:
                raise StoreError(
                    "the artifact %s has sha256 %s, expected was %s. It was thrown away" % (source, found, sha256)
                )
            tree = os.path.join(scratch, "tree")
            unpack(archive, tree, source)
            os.chmod(tree, 0o755)  # noqa: S103 - the application's user reads it
            shutil.rmtree(final, ignore_errors=True)  # of a run that was interrupted
            os.rename(tree, final)
            if complete is not None:
                complete(final)
            save_json(os.path.join(final, MARKER), dict(version=version, sha256=sha256, source=source))
        except BaseException:
            if load(os.path.join(final, MARKER)) is None:
                shutil.rmtree(final, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def switch(self, version):
        """Makes `version` the current one by one rename; None removes the link."""
        if version is None:
            if os.path.islink(self.link):
                os.unlink(self.link)
            return
        scratch = "%s.%d" % (self.link, os.getpid())
        if os.path.lexists(scratch):
            os.unlink(scratch)
        os.symlink(os.path.join("releases", version), scratch)
        os.rename(scratch, self.link)

    def superfluous(self, keep, protected):
        """Versions beyond the `keep` newest, by the time of their installation; never one of `protected`."""
        if not os.path.isdir(self.releases):
            return []
        names = [
            name for name in os.listdir(self.releases) if os.path.exists(os.path.join(self.releases, name, MARKER))
        ]
        names.sort(key=lambda name: os.path.getmtime(os.path.join(self.releases, name, MARKER)), reverse=True)
        return [name for name in names[keep:] if name not in protected]

    def remove(self, version):
        shutil.rmtree(os.path.join(self.releases, version))

    @property
    def record(self):
        """What the last complete deployment left: {version, fingerprint, previous}."""
        return load(os.path.join(self.root, RECORD)) or {}

    @record.setter
    def record(self, value):
        save_json(os.path.join(self.root, RECORD), value)


def load(path):
    """A JSON file's value, or None if there is no such file or it is cut short."""
    try:
        with open(path) as stream:
            return json.load(stream)
    except (IOError, OSError, ValueError):
        return None


def save_json(path, value):
    """Writes a JSON file that is there in whole or not at all."""
    with open(path + ".new", "w") as stream:
        json.dump(value, stream, sort_keys=True)
    os.rename(path + ".new", path)


def save(stream, path):
    """Writes `stream` to `path` and returns its sha256."""
    digest = hashlib.sha256()
    with open(path, "wb") as target:
        while True:
            chunk = stream.read(CHUNK)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
            target.write(chunk)


def unpack(archive, target, source):
    """Unpacks files, directories and links that stay inside; root owns them and nobody else may write."""
    try:
        with tarfile.open(archive, "r:*") as tar:
            members = tar.getmembers()
            for member in members:
                check_member(member, source)
                member.uid = member.gid = 0
                member.uname = member.gname = "root"
                member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            os.mkdir(target)
            for member in members:
                tar.extract(member, target)
    except (tarfile.TarError, EOFError, IOError) as error:
        raise StoreError("the artifact %s can't be unpacked: %s" % (source, error))


def check_member(member, source):
    if not (member.isfile() or member.isdir() or member.issym()):
        raise StoreError("the artifact %s holds %s, which is neither file, directory nor link" % (source, member.name))
    for path in [member.name] + (
        [os.path.join(os.path.dirname(member.name), member.linkname)] if member.issym() else []
    ):
        if os.path.isabs(path) or os.path.normpath(path).split(os.sep)[0] == os.pardir:
            raise StoreError(
                "the artifact %s holds %s, which leads out of the release's directory" % (source, member.name)
            )
