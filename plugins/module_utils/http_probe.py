# Copyright: The ecommerce.fleet maintainers
# MIT License
"""Asks a local HTTP server until it gives the answer that is waited for.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import socket
import time

try:
    from http.client import HTTPConnection, HTTPException
except ImportError:  # Python 2.7
    from httplib import HTTPConnection, HTTPException  # type: ignore[import-not-found,no-redef]

POLL_SECONDS = 0.1
ANSWER_SECONDS = 3
LONGEST_ANSWER = 65536


def get(host, port, path, timeout=ANSWER_SECONDS):
    """Returns (status, text). Raises OSError or HTTPException; no proxy, no redirect is followed."""
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close", "User-Agent": "ecommerce.fleet"})
        answer = connection.getresponse()
        return answer.status, answer.read(LONGEST_ANSWER).decode("utf-8", "replace")
    finally:
        connection.close()


def wait(host, port, path, accept, deadline):
    """Asks until `accept(status, text)` returns None or `deadline` (time.time()) has passed.

    Returns None when accepted, else a sentence: the last reason that `accept` or the network gave.
    """
    while True:
        try:
            reason = accept(*get(host, port, path))
        except (socket.error, HTTPException) as error:
            reason = "no answer (%s)" % (error or type(error).__name__)
        if reason is None:
            return None
        if time.time() >= deadline:
            return "GET http://%s:%s%s: %s" % (host, port, path, reason)
        time.sleep(POLL_SECONDS)
