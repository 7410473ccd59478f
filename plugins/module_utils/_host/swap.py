# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swap file: made, entered in fstab and switched on, or all as it was before. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re
from contextlib import contextmanager

from ansible.module_utils.common.text.converters import to_bytes, to_text

from . import survey
from .errors import HostError
from .files import Files
from .undo import outcome, undo

MIB = 1024 * 1024
KEEP_FREE_PERCENT = 10


class SwapError(HostError):
    """What could not be done, and why."""


def fstab_with(content, path, desired):
    """`content` (bytes) of /etc/fstab with exactly one swap line for `path`, or with none. Other lines stay as they are."""
    lines = content[: -1 if content.endswith(b"\n") else None].split(b"\n") if content else []
    kept = [line for line in lines if path not in survey.declared_swap(to_text(line))]
    if desired:
        field = re.sub(r"[ \t\n\\]", lambda match: "\\%03o" % ord(match.group()), path)
        kept.append(to_bytes("%s none swap defaults 0 0" % field))
    return b"".join(line + b"\n" for line in kept)


def room_for(path, mib):
    """Raises SwapError unless the file system has room for the file and keeps a tenth of its size free."""
    state = os.statvfs(os.path.dirname(path))
    free = state.f_bavail * state.f_frsize // MIB
    reserve = state.f_blocks * state.f_frsize // MIB * KEEP_FREE_PERCENT // 100
    if free - mib < reserve:
        raise SwapError(
            "%s needs %s MiB, and %s MiB (%s %%) must stay free; %s MiB are free on the file system of %s"
            % (path, mib, reserve, KEEP_FREE_PERCENT, free, os.path.dirname(path))
        )


def fill(path, mib):
    """Writes `mib` MiB of zeros, readable by root only from the first byte on. No holes: swapon refuses a file that has some."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        for _unused in range(mib):
            stream.write(b"\0" * MIB)
        stream.flush()
        os.fsync(stream.fileno())


class SwapFile:
    """`run(argv)` returns (code, out, err); `fstab` and `swaps` are other files in tests only. Methods raise HostError or OSError."""

    def __init__(self, path, run, fstab="/etc/fstab", swaps="/proc/swaps"):
        self.path = path
        self.stage = path + ".new"
        self.aside = path + ".old"
        self.run = run
        self.fstab = fstab
        self.swaps = swaps

    def active_mib(self):
        """Its size in use, 0 if it is off."""
        return self._active(self.path)

    def is_right(self, mib):
        declared = self.path in survey.declared_swap(to_text(self._fstab()))
        if mib == 0:
            return not declared and self.active_mib() == 0
        return declared and self.active_mib() == mib

    def create(self, mib):
        """Makes it `mib` MiB large and switches it on. After a failure the swap from before is in use again."""
        self._clear_leftovers()
        with self._as_before():
            room_for(self.path, mib)
            fill(self.stage, mib)
            self._do("mkswap", self.stage)
            # The kernel has to take the new file once before the old one is touched. A file that is on can't be renamed.
            self._do("swapon", self.stage)
            self._do("swapoff", self.stage)
            self._set_aside()
            os.rename(self.stage, self.path)
            self._do("swapon", self.path)
            self._declare(True)
        self._discard(self.aside)

    def remove(self):
        """Switches it off, for good. After a failure it is in use as before."""
        self._clear_leftovers()
        with self._as_before():
            self._set_aside()
            self._declare(False)
        self._discard(self.aside)

    @contextmanager
    def _as_before(self):
        """A failure inside is raised once file, use and fstab are as they were; what can't be restored is named, and the rest still is."""
        had_file, was_on, fstab = os.path.exists(self.path), self.active_mib() > 0, self._fstab()

        def restore_file():
            if os.path.exists(self.aside) or not had_file:
                self._discard(self.path)
            if os.path.exists(self.aside):
                os.rename(self.aside, self.path)

        def restore_use():
            if was_on and not self.active_mib():
                self._do("swapon", self.path)

        try:
            yield
        except (HostError, EnvironmentError) as error:
            left = undo(
                restore_file,
                restore_use,
                lambda: self._write_fstab(fstab),
                lambda: self._discard(self.stage),
            )
            raise SwapError(to_text(error) + (". " + outcome(left) if left else ""))

    def _clear_leftovers(self):
        """Of a run that was ended between two steps."""
        if os.path.exists(self.aside) and not os.path.exists(self.path):
            os.rename(self.aside, self.path)
        for left in (self.stage, self.aside):
            self._discard(left)

    def _set_aside(self):
        if self.active_mib():
            self._do("swapoff", self.path)
        if os.path.exists(self.path):
            os.rename(self.path, self.aside)

    def _discard(self, path):
        if self._active(path):
            self._do("swapoff", path)
        if os.path.exists(path):
            os.unlink(path)

    def _active(self, path):
        active = survey.active_swap(survey.text_of(self.swaps))
        return sum(area["mib"] for area in active if area["path"] == path)

    def _do(self, program, path):
        code, out, err = self.run([program, path])
        if code != 0:
            raise SwapError("%s %s ended with code %s: %s" % (program, path, code, to_text(err or out).strip()))

    def _fstab(self):
        return Files().content(self.fstab) or b""

    def _declare(self, desired):
        self._write_fstab(fstab_with(self._fstab(), self.path, desired))

    def _write_fstab(self, content):
        if content != self._fstab():
            files = Files()
            files.place(files.stage(self.fstab, content), self.fstab, 0o644)
