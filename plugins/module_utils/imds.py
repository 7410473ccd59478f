# Copyright: The ecommerce.fleet maintainers
# MIT License
"""The instance metadata service, version 2 only. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import socket

try:
    from http.client import HTTPConnection, HTTPException
except ImportError:  # Python 2.7
    from httplib import HTTPConnection, HTTPException  # type: ignore[import-not-found,no-redef]

from ansible.module_utils.common.text.converters import to_text

ADDRESS = "169.254.169.254"
SECONDS = 2
SESSION_SECONDS = "60"


class ImdsError(Exception):
    """Nobody answers at the address, or it answers with an error."""


class Imds:
    """One session. `address` is another one in tests only."""

    def __init__(self, address=ADDRESS, port=80):
        self.address = address
        self.port = port
        self.token = ""

    def get(self, path):
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
        """The status of a request as version 1 makes it: 401 where version 2 is required. Raises ImdsError."""
        return self._ask("GET", "/latest/meta-data/instance-id", {})[0]

    def _ask(self, method, path, headers):
        connection = HTTPConnection(self.address, self.port, timeout=SECONDS)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, to_text(answer.read())
        except (socket.error, HTTPException) as error:
            raise ImdsError("it does not answer (%s)" % (error or type(error).__name__))
        finally:
            connection.close()
