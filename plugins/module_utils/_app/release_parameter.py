# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release that a fleet runs, as its parameter says it: JSON of {version, url, sha256, kind} and, where it brings one, its runtime.

Runs on the hosts, under Python 2.7 and 3.7+, also where no Ansible is, and on the control node.
"""

from __future__ import absolute_import, division, print_function

import json
import re

from .archive import StoreError

__metaclass__ = type

VERSION = r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}"
SHA256 = r"[0-9a-f]{64}"
S3_URL = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+"
KIND = r"nodejs|python|java"
FORMS = (("version", VERSION), ("url", S3_URL), ("sha256", SHA256), ("kind", KIND))
"""What a host can fetch with its role: no other address."""


class Release:
    """`runtime_sha256`: of the runtime that it brings; None: it runs on the system's own."""

    def __init__(self, version, url, sha256, kind, runtime_sha256):
        self.version = version
        self.url = url
        self.sha256 = sha256
        self.kind = kind
        self.runtime_sha256 = runtime_sha256

    @property
    def bucket_and_key(self):
        return self.url[len("s3://") :].split("/", 1)


def parse(name, text):
    """The release that the parameter `name` has as its value. Raises StoreError naming what is wrong in it."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise StoreError("the parameter %s is not the JSON of a release" % name)
    for key, form in FORMS:
        found = value.get(key)
        # No `$`: it would take a line break at the end.
        if not hasattr(found, "encode") or not re.match(r"(%s)\Z" % form, "%s" % found):
            raise StoreError("the parameter %s has %s '%s', which a host can't take" % (name, key, found))
    runtime = value.get("runtime") or {}
    sha256 = runtime.get("sha256") if isinstance(runtime, dict) else None
    if runtime and not re.match(r"%s\Z" % SHA256, "%s" % sha256):
        raise StoreError("the parameter %s has a runtime without its sha256" % name)
    return Release(value["version"], value["url"], value["sha256"], value["kind"], sha256)
