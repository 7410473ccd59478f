# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance metadata service, version 2 only. Runs on the hosts, under Python 2.7 and 3.7+, also where no Ansible is."""

from __future__ import absolute_import, division, print_function

from . import http_probe

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, Optional, Tuple  # noqa: F401

ADDRESS = "169.254.169.254"
SECONDS = 2
SESSION_SECONDS = "60"


class ImdsError(Exception):
    """Nobody answers at the address, or it answers with an error."""


class Imds:
    """One session. `address` is another one in tests only."""

    def __init__(self, address=ADDRESS, port=80):
        # type: (str, int) -> None
        self.address = address
        self.port = port
        self.token = ""

    def get(self, path):
        # type: (str) -> Optional[str]
        """The text at a path below `meta-data/`, or None where there is none. Raises ImdsError."""
        if not self.token:
            status, text = self._ask(
                "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": SESSION_SECONDS}
            )
            if status != 200:
                raise ImdsError("it gives no session token (status %s)" % status)
            self.token = text
        status, text = self._ask("GET", "/latest/meta-data/" + path, {"X-aws-ec2-metadata-token": self.token})
        if status == 404:
            return None
        if status != 200:
            raise ImdsError("it answers %s to %s" % (status, path))
        return text

    def status_without_token(self):
        # type: () -> int
        """The status of a request as version 1 makes it: 401 where version 2 is required. Raises ImdsError."""
        return self._ask("GET", "/latest/meta-data/instance-id", {})[0]

    def _ask(self, method, path, headers):
        # type: (str, str, Dict[str, str]) -> Tuple[int, str]
        try:
            return http_probe.ask((self.address, self.port), path, method, headers, SECONDS)
        except http_probe.NoAnswerError as error:
            raise ImdsError("it does not answer (%s)" % error)
