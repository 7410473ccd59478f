# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are written as one: compared, staged beside their targets, validated, swapped, and restored when what follows fails.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

from ansible.module_utils.common.text.converters import to_bytes

from . import files, processes
from .encoding import LINES, name, printable
from .errors import HostError
from .undo import outcome

FILE_OPTIONS = dict(
    path=dict(type="path", required=True),
    content=dict(type="str"),
    secret_content=dict(type="str", no_log=True),
    mode=dict(type="str", default="0644"),
    owner=dict(type="str", default="root"),
    group=dict(type="str", default="root"),
    validate=dict(type="list", elements="str", default=[]),
    show_diff=dict(type="bool", default=True),
)
DIRECTORY_OPTIONS = dict(
    path=dict(type="path", required=True),
    mode=dict(type="str", default="0755"),
    owner=dict(type="str", default="root"),
    group=dict(type="str", default="root"),
)
VALIDATION_SECONDS = 60


class RefusedError(Exception):
    """A file's own checker refused the staged version. Nothing was changed."""

    def __init__(self, path, output):
        super(RefusedError, self).__init__("%s: %s" % (path, output))
        self.path = path
        self.output = output


class FileSet:
    """`files` and `directories` as in FILE_OPTIONS and DIRECTORY_OPTIONS; `module` is the running AnsibleModule.

    What can't be written fails the module, after what was swapped before it has been restored.
    """

    def __init__(self, module, files_desired, directories=()):
        self.module = module
        self.edits = files.Files()
        self.staged = {}
        self.unvalidated = []
        self._mark = None
        self.files = [self._checked(self._with_content(item)) for item in files_desired]
        self.directories = [self._checked(item) for item in directories]
        self.before = dict((item["path"], self._attempt(self.edits.content, item["path"])) for item in self.files)

    def _with_content(self, item):
        """A secret is never shown, neither by --diff nor among the module's arguments."""
        if (item.get("content") is None) == (item.get("secret_content") is None):
            self.module.fail_json(msg="%s takes exactly one of content and secret_content" % item["path"])
        if item.get("secret_content") is None:
            return item
        return dict(item, content=item["secret_content"], show_diff=False)

    def _checked(self, item):
        try:
            return dict(item, mode=int(item["mode"], 8))
        except ValueError:
            self.module.fail_json(msg="mode of %s is '%s'; give it in octal, as '0644'" % (item["path"], item["mode"]))

    @property
    def rewritten(self):
        """Paths whose content differs from what is desired."""
        return [item["path"] for item in self.files if self.before[item["path"]] != to_bytes(item["content"])]

    def diff(self):
        """What Ansible shows with --diff."""
        shown = []
        for item in self.files:
            if item["path"] not in self.rewritten:
                continue
            before, after = self.before[item["path"]] or b"", item["content"]
            if not item["show_diff"]:
                before, after = b"(not shown)\n", "(changed, not shown)\n"
            shown.append(
                dict(
                    before=printable(before, LINES),
                    after=printable(after, LINES),
                    before_header=item["path"],
                    after_header=item["path"],
                )
            )
        return shown

    def make_directories(self):
        """Creates directories and corrects their attributes. Returns whether something changed (or would, in check mode)."""
        if self.module.check_mode:
            missing = [item for item in self.directories if not os.path.isdir(item["path"])]
            return bool(missing) or self._differ(self.directories)
        self._mark = self.edits.mark()
        changed = [self._attempt(self.edits.make_directory, *_place(item)) for item in self.directories]
        return any(changed)

    def validate(self):
        """Writes the new versions beside their targets and has their checkers validate them. Raises RefusedError.

        Where a program or a directory does not exist yet, as in the first --check run, the file is named in `unvalidated`.
        """
        try:
            for item in self.files:
                if item["path"] in self.rewritten:
                    self._stage(item)
            for item in self.files:
                if item["path"] in self.staged and item["validate"]:
                    self._check(item)
        except BaseException:
            self.discard()
            raise

    def swap(self):
        """Puts the staged versions in place; each by one rename. Returns whether something changed."""
        changed = False
        self._mark = self.edits.mark() if self._mark is None else self._mark
        for item in self.files:
            if item["path"] in self.staged:
                self._attempt(self.edits.place, self.staged[item["path"]], *_place(item))
                del self.staged[item["path"]]
                changed = True
            elif os.path.exists(item["path"]):
                changed = self._attempt(self.edits.set_attributes, *_place(item)) or changed
        return changed

    def attributes_differ(self):
        """In check mode: whether a file that exists has another mode or owner than is desired."""
        return self._differ(self.files)

    def restore(self):
        """Brings back what was there before, with its mode and owner. Directories that were made stay.

        Returns the paths that are not as they were, a sentence each with the reason; each is a warning too.
        """
        left = [] if self._mark is None else self.edits.restore(self._mark)
        for path in left:
            self.module.warn(path)
        return left

    def discard(self):
        """Deletes what was staged and not swapped in."""
        for stage in self.staged.values():
            files.discard(stage)
        self.staged = {}

    def _differ(self, items):
        there = [_place(item) for item in items if os.path.exists(item["path"])]
        return any(self._attempt(self.edits.attributes_differ, *place) for place in there)

    def _attempt(self, do, *arguments):
        try:
            return do(*arguments)
        except HostError as error:
            swapped = self._mark is not None and self.edits.mark() > self._mark
            left = self.restore()
            self.discard()
            self.module.fail_json(msg="%s.%s" % (error, " %s." % outcome(left) if swapped else ""))

    def _stage(self, item):
        if self.module.check_mode and not os.path.isdir(os.path.dirname(item["path"])):
            self.unvalidated.append(item["path"])
            return
        self.staged[item["path"]] = self._attempt(self.edits.stage, item["path"], to_bytes(item["content"]))

    def _check(self, item):
        program = self.module.get_bin_path(item["validate"][0])
        if program is None and self.module.check_mode:
            self.unvalidated.append(item["path"])
            return
        stage = self.staged[item["path"]]
        argv = [word.replace("%s", stage) for word in [program or item["validate"][0]] + item["validate"][1:]]
        done = processes.run(argv, timeout=VALIDATION_SECONDS)
        if done.code != 0:
            output = (done.err or done.out).replace(name(stage), name(item["path"])).strip()
            refusal = output or "%s ended with code %s without output" % (argv[0], done.code)
            raise RefusedError(item["path"], printable(refusal, LINES))


def _place(item):
    return item["path"], item["mode"], item["owner"], item["group"]
