"""What every request to the lab's API passes first: the lab's own credentials only, and only calls that the lab really does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from lab.cloud.auth.allow import allowed
from lab.cloud.auth.errors import error_response
from lab.cloud.auth.keys import KEYS, Keyring
from lab.cloud.auth.request import Call, read_call
from lab.settings import ACCESS_KEY, REGIONS, Settings

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

KNOWN_REGIONS = frozenset({"", "aws-global", *REGIONS})


class Gate:
    """WSGI middleware before moto. `routes` are applications for calls that moto does not have: by service and action, or `*`."""

    def __init__(
        self,
        app: WsgiApp,
        settings: Settings,
        *,
        keys: Keyring = KEYS,
        routes: Mapping[tuple[str, str], WsgiApp] | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._keys = keys
        self._routes = dict(routes or {})

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        call = read_call(environ)
        refusal = self._credentials_refused(call) or self._call_refused(call)
        if refusal is not None:
            return error_response(start_response, call.style, *refusal)
        environ["lab.call"] = call
        environ["lab.holder"] = self._keys.holder(call.access_key or "")
        special = self._routes.get((call.service, call.action)) or self._routes.get((call.service, "*"))
        return (special or self._app)(environ, start_response)

    def _credentials_refused(self, call: Call) -> tuple[HTTPStatus, str, str] | None:
        where = f"This is the lab '{self._settings.name}', not AWS: it accepts its own access key only."
        if call.access_key is None:
            return (
                HTTPStatus.FORBIDDEN,
                "MissingAuthenticationToken",
                f"Request is missing Authentication Token. {where}",
            )
        if call.access_key == ACCESS_KEY:
            return None
        holder = self._keys.holder(call.access_key)
        if holder is None or holder.token != call.token:
            message = f"The security token included in the request is invalid. {where} Start the command by `lab run`."
            return HTTPStatus.FORBIDDEN, "InvalidClientTokenId", message
        if holder.expires <= datetime.now(UTC):
            return HTTPStatus.FORBIDDEN, "ExpiredToken", "The security token included in the request is expired"
        return None

    def _call_refused(self, call: Call) -> tuple[HTTPStatus, str, str] | None:
        code = "NotImplemented" if call.style == "s3" else "UnsupportedOperation"
        status = HTTPStatus.NOT_IMPLEMENTED if call.style == "s3" else HTTPStatus.BAD_REQUEST
        if not allowed(call.service, call.action):
            message = (
                f"The lab does not do {call.service}:{call.action}; what it does is listed in lab/cloud/auth/allow.py."
            )
            return status, code, message
        if call.region not in KNOWN_REGIONS:
            return status, code, f"The lab has the regions {' and '.join(REGIONS)}, not {call.region}."
        return None
