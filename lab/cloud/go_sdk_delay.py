"""A delay for the AWS SDK for Go, which repeats calls that are answered quicker than AWS does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from lab.cloud.auth.gate import WsgiApp
from lab.cloud.reconciler import READS

SECONDS = 0.05
"""About a round trip to AWS; on one machine an answer takes a fiftieth of it."""


class GoSdkDelay:
    """WSGI middleware behind `auth.Gate`, which has read the call and its body.

    The AWS SDK for Go v2, and so Packer, closes a request's body when the answer's head has come. If the goroutine that sends the body
    has not run since, it takes the end that it finds for an error and closes the connection; the SDK then repeats a call that was carried
    out: `DeregisterImage` finds no image the second time, and a bake that was good fails. (smithy-go, safeWriteToReadCloser.WriteTo.)
    """

    def __init__(self, app: WsgiApp, wait: Callable[[float], None] = time.sleep) -> None:
        self._app = app
        self._wait = wait

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        go = environ.get("HTTP_USER_AGENT", "").startswith("aws-sdk-go-v2/")
        if go and not environ["lab.call"].action.startswith(READS):
            self._wait(SECONDS)
        return self._app(environ, start_response)
