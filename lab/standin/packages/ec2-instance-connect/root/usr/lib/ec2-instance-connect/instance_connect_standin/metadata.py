"""The instance metadata service (IMDSv2), below `/latest/meta-data/`."""

from __future__ import annotations

import urllib.error
import urllib.request

ADDRESS = "http://169.254.169.254"
SECONDS = 1
TOKEN_SECONDS = 5


class MetadataError(Exception):
    """What could not be read, in a sentence."""


class Metadata:
    def __init__(self, address: str = ADDRESS) -> None:
        self._address = address
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._token = self._ask(
            "/latest/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        )
        if not self._token:
            raise MetadataError("the instance metadata service gives no token")

    def get(self, path: str) -> str | None:
        """None where there is nothing. Raises MetadataError."""
        return self._ask(f"/latest/meta-data/{path}", "GET", {"X-aws-ec2-metadata-token": self._token or ""})

    def _ask(self, path: str, method: str, headers: dict[str, str]) -> str | None:
        request = urllib.request.Request(self._address + path, method=method, headers=headers)  # noqa: S310 - http, as it is served
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise MetadataError(f"the instance metadata service answers {error.code} to {path}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise MetadataError(f"the instance metadata service does not answer: {error}") from error
