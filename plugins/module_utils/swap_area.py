# Copyright: The ecommerce.fleet maintainers
# MIT License
"""A swap file: made, entered in fstab and switched on, or all of that undone. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

from ansible.module_utils.common.text.converters import to_text
from ansible_collections.ecommerce.fleet.plugins.module_utils import host_survey

MIB = 1024 * 1024
KEEP_FREE_PERCENT = 10


class SwapError(Exception):
    """What could not be done, and why."""


def fstab_with(text, path, wanted):
    """`text` of /etc/fstab with exactly one swap line for `path`, or with none."""
    kept = []
    for line in text.splitlines():
        fields = line.split()
        if not (len(fields) >= 3 and fields[0] == path and fields[2] == "swap"):
            kept.append(line)
    if wanted:
        kept.append("%s none swap defaults 0 0" % path)
    return "".join(line + "\n" for line in kept)


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
    """`run(argv)` returns (code, out, err); `fstab` and `swaps` are other files in tests only."""

    def __init__(self, path, run, fstab="/etc/fstab", swaps="/proc/swaps"):
        self.path = path
        self.run = run
        self.fstab = fstab
        self.swaps = swaps

    def active_mib(self):
        """Its size in use, 0 if it is off."""
        active = host_survey.active_swap(host_survey.text_of(self.swaps))
        return sum(area["mib"] for area in active if area["path"] == self.path)

    def is_right(self, mib):
        declared = self.path in host_survey.declared_swap(host_survey.text_of(self.fstab))
        if mib == 0:
            return not declared and self.active_mib() == 0
        return declared and self.active_mib() == mib

    def create(self, mib):
        """Makes it `mib` MiB large and switches it on. Raises SwapError; then nothing new is left."""
        stage = self.path + ".new"
        if os.path.exists(stage):
            os.unlink(stage)
        try:
            room_for(self.path, mib)
            fill(stage, mib)
            self._do(["mkswap", stage])
            self._switch_off()
            os.rename(stage, self.path)
            self._do(["swapon", self.path])
        except (SwapError, IOError, OSError):
            for left in (stage, self.path):
                if os.path.exists(left) and self.active_mib() == 0:
                    os.unlink(left)
            if not os.path.exists(self.path):
                self._declare(False)
            raise
        self._declare(True)

    def remove(self):
        self._switch_off()
        self._declare(False)
        if os.path.exists(self.path):
            os.unlink(self.path)

    def _switch_off(self):
        if self.active_mib():
            self._do(["swapoff", self.path])

    def _do(self, argv):
        code, out, err = self.run(argv)
        if code != 0:
            raise SwapError("%s ended with code %s: %s" % (" ".join(argv), code, to_text(err or out).strip()))

    def _declare(self, wanted):
        before = host_survey.text_of(self.fstab)
        after = fstab_with(before, self.path, wanted)
        if after == before:
            return
        stage = self.fstab + ".stage"
        with open(stage, "w") as stream:
            stream.write(after)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(stage, 0o644)
        os.rename(stage, self.fstab)
