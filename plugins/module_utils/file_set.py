# Copyright: The ecommerce.fleet maintainers
# MIT License
"""Files that are written as one: compared, staged beside their targets, validated, swapped, and put back when what follows fails.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import tempfile

from ansible.module_utils.common.text.converters import to_bytes, to_text

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
    """`files` and `directories` as in FILE_OPTIONS and DIRECTORY_OPTIONS; `module` is the running AnsibleModule."""

    def __init__(self, module, files, directories=()):
        self.module = module
        self.files = [self._with_content(item) for item in files]
        self.directories = directories
        self.before = dict((item["path"], read(item["path"])) for item in files)
        self.staged = {}
        self.unvalidated = []

    def _with_content(self, item):
        """A secret is never shown, neither by --diff nor among the module's arguments."""
        if (item.get("content") is None) == (item.get("secret_content") is None):
            self.module.fail_json(msg="%s takes exactly one of content and secret_content" % item["path"])
        if item.get("secret_content") is None:
            return item
        return dict(item, content=item["secret_content"], show_diff=False)

    @property
    def rewritten(self):
        """Paths whose content differs from what is wanted."""
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
                    before=to_text(before, errors="replace"),
                    after=after,
                    before_header=item["path"],
                    after_header=item["path"],
                )
            )
        return shown

    def make_directories(self):
        """Creates directories and corrects their attributes. Returns whether something changed (or would, in check mode)."""
        changed = False
        for item in self.directories:
            if not os.path.isdir(item["path"]):
                changed = True
                if self.module.check_mode:
                    continue
                os.makedirs(item["path"])
            changed = self._set_attributes(item["path"], item) or changed
        return changed

    def validate(self):
        """Writes the new versions beside their targets and lets their checkers judge them. Raises RefusedError.

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
        for item in self.files:
            stage = self.staged.pop(item["path"], None)
            if stage is not None:
                self.module.atomic_move(stage, item["path"])
                changed = True
            changed = self._set_attributes(item["path"], item) or changed
        return changed

    def attributes_differ(self):
        """In check mode: whether a file that exists has another mode or owner than is wanted."""
        return bool(
            [item for item in self.files if os.path.exists(item["path"]) and self._set_attributes(item["path"], item)]
        )

    def restore(self):
        """Puts back what was there before the swap."""
        for item in self.files:
            path, before = item["path"], self.before[item["path"]]
            if read(path) == before:
                continue
            if before is None:
                os.unlink(path)
                continue
            self.module.atomic_move(self._write(path, before), path)
            self._set_attributes(path, item)

    def discard(self):
        """Deletes what was staged and not swapped in."""
        for stage in self.staged.values():
            if os.path.exists(stage):
                os.unlink(stage)
        self.staged = {}

    def _stage(self, item):
        if not os.path.isdir(os.path.dirname(item["path"])):
            if not self.module.check_mode:
                os.makedirs(os.path.dirname(item["path"]), 0o755)
            else:
                self.unvalidated.append(item["path"])
                return
        self.staged[item["path"]] = self._write(item["path"], to_bytes(item["content"]))

    def _check(self, item):
        program = item["validate"][0]
        if self.module.get_bin_path(program) is None and self.module.check_mode:
            self.unvalidated.append(item["path"])
            return
        argv = [word.replace("%s", self.staged[item["path"]]) for word in item["validate"]]
        code, out, err = self.module.run_command(["timeout", str(VALIDATION_SECONDS)] + argv)
        if code != 0:
            output = (err or out).replace(self.staged[item["path"]], item["path"]).strip()
            raise RefusedError(item["path"], output or "%s ended with code %s and said nothing" % (program, code))

    def _write(self, path, content):
        """Writes `content` to a new file in `path`'s directory, readable by root only. Returns its name."""
        handle, name = tempfile.mkstemp(
            prefix="." + os.path.basename(path) + ".", suffix=".stage", dir=os.path.dirname(path)
        )
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        return name

    def _set_attributes(self, path, item):
        if not os.path.lexists(path):
            return True
        wanted = self.module.load_file_common_arguments(
            dict(path=path, mode=item["mode"], owner=item["owner"], group=item["group"])
        )
        return self.module.set_fs_attributes_if_different(wanted, False)


def read(path):
    """A file's bytes, or None if it does not exist."""
    if not os.path.exists(path):
        return None
    with open(path, "rb") as stream:
        return stream.read()
