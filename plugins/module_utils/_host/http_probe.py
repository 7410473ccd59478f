# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a local HTTP server until it gives the answer that is waited for. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import socket
import time

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Callable, Dict, Optional, Tuple  # noqa: F401

try:
    from http.client import HTTPConnection, HTTPException
except ImportError:  # Python 2.7
    from httplib import HTTPConnection, HTTPException  # type: ignore[import-not-found,no-redef]

COMMON_HEADERS = {"Connection": "close", "User-Agent": "ecommerce.fleet"}
POLL_SECONDS = 0.1
ANSWER_SECONDS = 3
LONGEST_ANSWER = 65536


class NoAnswerError(Exception):
    """The server can't be reached, or what it sends is not HTTP. The message is the reason."""


def ask(address, path, method="GET", headers=None, timeout=ANSWER_SECONDS):
    # type: (Tuple[str, int], str, str, Optional[Dict[str, str]], float) -> Tuple[int, str]
    """Returns (status, text) of a request to `address`, (host, port). Raises NoAnswerError; no proxy, no redirect is followed."""
    connection = HTTPConnection(address[0], address[1], timeout=timeout)
    try:
        connection.request(method, path, headers=dict(headers or {}, **COMMON_HEADERS))
        answer = connection.getresponse()
        return answer.status, answer.read(LONGEST_ANSWER).decode("utf-8", "replace")
    except (socket.error, HTTPException, UnicodeError) as error:  # the last one for a path that no request can have
        raise NoAnswerError("%s" % (error or type(error).__name__))
    finally:
        connection.close()


def wait(host, port, path, accept, deadline):
    # type: (str, int, str, Callable[[int, str], Optional[str]], float) -> Optional[str]
    """Asks until `accept(status, text)` returns None or `deadline` (time.time()) has passed.

    Returns None when accepted, else a sentence: the last reason that `accept` or the network gave.
    """
    while True:
        try:
            reason = accept(*ask((host, port), path))
        except NoAnswerError as error:
            reason = "no answer (%s)" % error
        if reason is None:
            return None
        if time.time() >= deadline:
            return "GET http://%s:%s%s: %s" % (host, port, path, reason)
        time.sleep(POLL_SECONDS)
