# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of AWS: which of them pass by themselves, and how a module reports the others.

Sources: "Error retries" (AWS SDKs and Tools Reference), "Eventual consistency" (Amazon EC2 API Reference).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

try:
    from botocore import exceptions

    AWS_ERRORS: tuple[type[Exception], ...] = (exceptions.BotoCoreError, exceptions.ClientError)
    CONNECTION_ERRORS: tuple[type[Exception], ...] = (exceptions.ConnectionError, exceptions.HTTPClientError)
    PERMANENT_ERRORS: tuple[type[Exception], ...] = (exceptions.SSLError,)
except ImportError:  # AnsibleAWSModule reports the missing library
    AWS_ERRORS = CONNECTION_ERRORS = PERMANENT_ERRORS = ()

BUSY = re.compile(
    r"Throttl|RequestLimitExceeded|RequestTimeout|TooManyRequests|SlowDown|PriorRequestNotComplete|Unavailable"
)
"""Codes of a service that asks to be called again later. Its own failures answer with a status of 500 or more."""
ADVICE = {
    "AccessDenied|UnauthorizedOperation": "the credentials in use must allow this call",
    "ExpiredToken|RequestExpired": "renew the credentials, and check the clock of this machine",
}
"""Pattern of codes → what to do about errors whose own text does not tell."""


class UserError(Exception):
    """A message for the person who runs the playbook: what was done, on what, what happened, what to do next."""


def error_code(error: BaseException) -> str:
    """The service's code, such as ``InvalidInstanceID.NotFound``; empty for an error that is not a service's answer."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later: throttled, the service is down, or the connection broke."""
    status = (getattr(error, "response", None) or {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if BUSY.search(error_code(error)) or status >= 500:
        return True
    return isinstance(error, CONNECTION_ERRORS) and not isinstance(error, PERMANENT_ERRORS)


def is_not_found(error: BaseException) -> bool:
    """Whether the service does not know the thing. Right after its creation that may only be an answer that is behind."""
    code = error_code(error)
    return code.endswith(("NotFound", "NotFoundException", "DoesNotExist"))


@contextmanager
def reported(module: Any, doing: str, note: str = "", details: Callable[[], dict[str, Any]] = dict) -> Iterator[None]:
    """End the module with a message that begins with ``doing`` if the block fails.

    ``note``: what an error of AWS leaves behind. ``details``: further results of the failed module, asked for when it fails.
    """
    try:
        yield
    except UserError as error:
        module.fail_json(msg=f"{doing}: {error}", **details())
    except AWS_ERRORS as error:
        advice = [text for pattern, text in ADVICE.items() if re.search(pattern, error_code(error))]
        module.fail_json_aws(error, msg="; ".join(filter(None, [doing, note, *advice])), **details())
