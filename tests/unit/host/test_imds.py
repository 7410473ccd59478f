"""Instance metadata by version 2: a session first, then answers; nothing is taken for an answer that is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import aws_cli
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.aws_cli import AwsError, region_of_host
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.imds import Imds, ImdsError

KNOWN = {"/latest/meta-data/placement/region": "eu-west-1"}


class Metadata(BaseHTTPRequestHandler):
    """Gives a token for a PUT, and for the token what is known."""

    def do_PUT(self) -> None:
        self.answer(200 if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "60" else 400, "token")

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != "token":
            self.answer(401, "")
        elif self.path == "/latest/meta-data/broken":
            self.answer(500, "")
        else:
            self.answer(200 if self.path in KNOWN else 404, KNOWN.get(self.path, "not found"))

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def imds() -> Iterator[Imds]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Imds("127.0.0.1", server.server_port)
    server.shutdown()
    server.server_close()


def test_a_session_is_opened_once_and_what_is_missing_is_none(imds: Imds) -> None:
    assert imds.get("placement/region") == "eu-west-1"
    assert imds.token == "token"
    assert imds.get("tags/instance/Name") is None
    with pytest.raises(ImdsError, match="it answers 500 to broken"):
        imds.get("broken")


def test_a_request_of_version_1_has_its_own_status(imds: Imds) -> None:
    assert imds.status_without_token() == 401


def test_metadata_that_nobody_serves_is_an_error_that_says_so() -> None:
    with pytest.raises(ImdsError, match="does not answer"):
        Imds("127.0.0.1", 1).get("instance-id")


def test_the_region_is_the_environments_or_else_the_hosts(imds: Imds, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(aws_cli, "Imds", lambda: imds)
    assert region_of_host() == "eu-west-1"
    monkeypatch.setattr(aws_cli, "Imds", lambda: Imds("127.0.0.1", 1))
    with pytest.raises(
        AwsError, match="the region is not known from the instance metadata service: it does not answer"
    ):
        region_of_host()
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert region_of_host() == "us-west-2"
