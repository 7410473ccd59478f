# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that become directories: compared with their checksum, unpacked so that nothing leads out, there in whole or not at all.

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
from collections import Counter

from .._host import processes
from .._host.encoding import name as text_of
from .._host.errors import HostError
from .._host.files import Files

try:
    import lzma
except ImportError:  # Python 2.7
    lzma = None  # type: ignore[assignment]

MARKER = ".release.json"
"""{sha256, source}, in a directory that is complete."""
CHUNK = 1 << 20
XZ = b"\xfd7zXZ\0"
"""What a file of xz begins with (The .xz File Format, 2.1.1.1)."""
XZ_SECONDS = 300
MOST_LINKS = 40
"""Links on the way to a file; Linux follows no more (path_resolution(7))."""


class StoreError(HostError):
    """Says for a person what could not be done; nothing that runs was changed."""


class Archive:
    """A packed tar to be read from `stream`, whose checksum must be `sha256`. `title` names it in errors. `strip`: see unpack."""

    def __init__(self, title, stream, sha256, strip=False):
        self.title = title
        self.stream = stream
        self.sha256 = sha256
        self.strip = strip

    def install(self, final, source, complete=None):
        """Makes the directory `final` of it. `source`: where it is from, for the marker.

        `complete(final)` adds what the host makes of it, at its final place. It counts only when all is done: then there is a MARKER in it.
        """
        folder = os.path.dirname(final)
        attempt(Files().make_directory, folder, 0o755, None, None)
        scratch = tempfile.mkdtemp(prefix=".adding-", dir=folder)
        try:
            self._unpack(scratch)
            shutil.rmtree(final, ignore_errors=True)  # of a run that was interrupted
            os.rename(os.path.join(scratch, "tree"), final)
            if complete is not None:
                complete(final)
            save_json(os.path.join(final, MARKER), dict(sha256=self.sha256, source=source))
        except BaseException:
            if not is_installed(final):
                shutil.rmtree(final, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _unpack(self, scratch):
        archive = os.path.join(scratch, "archive")
        try:
            found = save(self.stream, archive)
        except Exception as error:  # a network stream raises what its layers raise, and the disk may be full
            raise StoreError("%s can't be fetched: %s" % (self.title, error))
        if found != self.sha256:
            raise StoreError("%s has sha256 %s, expected was %s. It was deleted" % (self.title, found, self.sha256))
        tree = os.path.join(scratch, "tree")
        unpack(archive, tree, self.title, self.strip)
        # One that was packed on a host would count as complete before it is.
        mark = os.path.join(tree, MARKER)
        if os.path.isdir(mark) and not os.path.islink(mark):
            shutil.rmtree(mark)
        elif os.path.lexists(mark):
            os.unlink(mark)


def installed_from(folder):
    """The checksum of the archive that a directory was made of; None if it is not there, or not in whole."""
    return (load(os.path.join(folder, MARKER)) or {}).get("sha256")


def is_installed(folder):
    return installed_from(folder) is not None


def load(path):
    """A JSON file's value, or None if there is no such file or it is cut short."""
    try:
        with open(path) as stream:
            return json.load(stream)
    except (IOError, OSError, ValueError):
        return None


def save_json(path, value):
    """Writes a JSON file that is there in whole or not at all."""
    attempt(Files().write, path, json.dumps(value, sort_keys=True), 0o644)


def attempt(do, *arguments):
    try:
        return do(*arguments)
    except HostError as error:
        raise StoreError("%s" % error)


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


def unpack(archive, target, title, strip=False):
    """Unpacks files, directories and links that stay inside; root owns them, everybody may read and nobody else may write.

    Also the directories that the archive only implies: many have no entries for them. `strip`: where all of it lies in one directory,
    that directory's content.
    """
    edits = Files()
    try:
        with tarfile.open(plain(archive, title), "r:*") as tar:
            # What check_members allows is extracted as it is, by all releases of Python.
            tar.extraction_filter = lambda member, _path: member
            members = normalised(tar.getmembers())
            members = without_top(members) if strip else members
            check_members(members, title)
            edits.make_directory(target, 0o755, None, None)
            # Links last: nothing is written through one, and what a hard link needs is there.
            for member in sorted(members, key=lambda member: (member.issym(), member.islnk())):
                member.uid = member.gid = 0
                member.uname = member.gname = "root"
                member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                inside = os.path.dirname(os.path.join(target, member.name))
                if not os.path.isdir(inside):
                    edits.make_directory(inside, 0o755, None, None)
                # By ourselves: where a link can't be made, tarfile looks for its target among the links too, without end.
                if member.islnk():
                    os.link(os.path.join(target, member.linkname), os.path.join(target, member.name))
                elif member.issym():
                    os.symlink(member.linkname, os.path.join(target, member.name))
                else:
                    tar.extract(member, target)
    except (tarfile.TarError, EOFError, EnvironmentError, HostError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError("%s can't be unpacked: %s" % (title, error))


def plain(archive, title):
    """The path of an archive that tarfile can read: Python 2.7 knows no xz, so there the program does it."""
    with open(archive, "rb") as stream:
        if lzma is not None or stream.read(len(XZ)) != XZ:
            return archive
    os.rename(archive, archive + ".xz")
    done = processes.run(["xz", "--decompress", archive + ".xz"], XZ_SECONDS)
    if done.code == 127:
        raise StoreError(
            "%s is packed by xz, and this host has no program xz. Install the package xz, or take a .tar.gz" % title
        )
    if done.code != 0:
        raise StoreError("%s can't be unpacked: %s" % (title, done.output))
    return archive


def normalised(members):
    """The members with names that have no `.` and no `..` but where they lead out. Nothing is unpacked through a link, so this is what
    the names mean."""
    for member in members:
        member.name = os.path.normpath(member.name)
        if member.islnk():  # named from the archive's root, as no symbolic link is
            member.linkname = os.path.normpath(member.linkname)
    return members


def without_top(members):
    """The members as they are named in the one directory in which all of them lie; unchanged if there is no such directory."""
    tops = set(member.name.split("/")[0] for member in members if member.name != ".")
    if len(tops) != 1 or tops & set(["..", ""]):
        return members
    (top,) = tops
    if not all(member.isdir() for member in members if member.name == top):
        return members
    kept = [member for member in members if member.name not in (top, ".")]
    for member in kept:
        member.name = member.name[len(top) + 1 :]
        if member.islnk():
            member.linkname = os.path.relpath(member.linkname, top)
    return kept


def check_members(members, title):
    """Raises StoreError for the first member that is not what an archive may have: see unpack. `members`: normalised."""
    links = dict((member.name, member.linkname) for member in members if member.issym())
    files = set(member.name for member in members if member.isfile())
    times = Counter(member.name for member in members)
    for member in members:
        shown = text_of(member.name)
        if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            raise StoreError("%s contains %s, which is neither file, directory nor link" % (title, shown))
        if member.name.startswith("/") or resolved(member.name, links) is None:
            raise StoreError("%s contains %s, which leads out of its directory" % (title, shown))
        if times[member.name] > 1 and (member.issym() or member.islnk()):
            raise StoreError("%s contains %s twice, once as a link" % (title, shown))
        folder = os.path.dirname(member.name)
        if resolved(folder, links) != resolved(folder, {}):
            raise StoreError("%s contains %s, which lies behind a link" % (title, shown))
        if member.islnk() and member.linkname not in files:
            raise StoreError(
                "%s contains %s, a hard link to %s, which is no file of the archive"
                % (title, shown, text_of(member.linkname))
            )


def resolved(path, links):
    """The parts of a path inside a directory, links followed. None if it leads out, or follows links without end.

    `links`: {path of a link: its target}.
    """
    done, todo, followed = [], list(reversed(path.split("/"))), 0  # type: ignore[var-annotated]
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not done:
                return None
            done.pop()
            continue
        target = links.get("/".join(done + [part]))
        if target is None:
            done.append(part)
            continue
        followed += 1
        if followed > MOST_LINKS or target.startswith("/"):
            return None
        todo.extend(reversed(target.split("/")))
    return done
