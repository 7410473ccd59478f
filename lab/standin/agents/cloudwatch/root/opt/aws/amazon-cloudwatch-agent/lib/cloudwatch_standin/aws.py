"""CloudWatch Logs by signed requests (AWS Signature Version 4), with the credentials of the instance's role (IMDSv2)."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

IMDS = "http://169.254.169.254"
TIMEOUT_SECONDS = 10
REFRESH_SECONDS = 300
"""Credentials are fetched anew this long before they expire."""


class AwsError(Exception):
    """A request failed; `code` is the service's error code, or empty when no answer came."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    token: str
    expires: datetime.datetime


def _request(url: str, method: str, headers: dict[str, str], body: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 - http and https only, by construction
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        return bytes(answer.read())


class Metadata:
    """The instance metadata service, version 2. Raises AwsError when it does not answer."""

    def __init__(self, base: str = IMDS) -> None:
        self._base = base
        self._credentials: Credentials | None = None

    def get(self, path: str) -> str:
        try:
            headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
            token = _request(f"{self._base}/latest/api/token", "PUT", headers).decode()
            return _request(f"{self._base}/latest/{path}", "GET", {"X-aws-ec2-metadata-token": token}).decode()
        except urllib.error.HTTPError as error:
            raise AwsError(f"instance metadata {path}: HTTP {error.code}", code=str(error.code)) from error
        except OSError as error:
            raise AwsError(f"instance metadata {path}: {error}") from error

    def credentials(self) -> Credentials:
        now = datetime.datetime.now(datetime.UTC)
        held = self._credentials
        if held is None or (held.expires - now).total_seconds() < REFRESH_SECONDS:
            try:
                role = self.get("meta-data/iam/security-credentials/").split()[0]
            except (AwsError, IndexError) as error:
                raise AwsError(
                    f"NoCredentialProviders: the instance has no role ({error}); attach an instance profile"
                ) from error
            document = json.loads(self.get(f"meta-data/iam/security-credentials/{role}"))
            expires = datetime.datetime.fromisoformat(document["Expiration"])
            held = Credentials(document["AccessKeyId"], document["SecretAccessKey"], document["Token"], expires)
            self._credentials = held
        return held


class Logs:
    """The calls of CloudWatch Logs that the agent makes."""

    def __init__(self, region: str, metadata: Metadata) -> None:
        self.region = region
        self._metadata = metadata
        self._endpoint = (
            os.environ.get("AWS_ENDPOINT_URL_LOGS")
            or os.environ.get("AWS_ENDPOINT_URL")
            or f"https://logs.{region}.amazonaws.com"
        )

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        body = json.dumps(parameters).encode()
        credentials, host = self._metadata.credentials(), urllib.parse.urlsplit(self._endpoint).netloc
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": host, "x-amz-date": stamp, "x-amz-target": f"Logs_20140328.{action}"}
        headers = signed(credentials, self.region, headers, body)
        try:
            answer = _request(self._endpoint.rstrip("/") + "/", "POST", headers, body)
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            code, message = _fault(text)
            raise AwsError(
                f"{action} at {self._endpoint}: HTTP {error.code} {code or text[:200]} {message}".rstrip(), code
            ) from error
        except OSError as error:
            raise AwsError(f"{action} at {self._endpoint}: {error}") from error
        return dict(json.loads(answer)) if answer.strip() else {}

    def put(self, group: str, stream: str, retention_days: int, events: list[dict[str, Any]]) -> None:
        """Ships events; makes the group (with its retention) and the stream when they are missing."""
        try:
            self.call("PutLogEvents", logGroupName=group, logStreamName=stream, logEvents=events)
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            self._create("CreateLogGroup", logGroupName=group)
            if retention_days > 0:
                self.call("PutRetentionPolicy", logGroupName=group, retentionInDays=retention_days)
            self._create("CreateLogStream", logGroupName=group, logStreamName=stream)
            self.call("PutLogEvents", logGroupName=group, logStreamName=stream, logEvents=events)

    def _create(self, action: str, **parameters: str) -> None:
        try:
            self.call(action, **parameters)
        except AwsError as error:
            if error.code != "ResourceAlreadyExistsException":
                raise


def _fault(text: str) -> tuple[str, str]:
    """The service's error code and message."""
    try:
        fault = json.loads(text)
    except ValueError:
        return "", ""
    code = str(fault.get("__type", "")).rpartition("#")[2]
    return code, str(fault.get("message") or fault.get("Message") or "")


def signed(credentials: Credentials, region: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
    """`headers` (host, x-amz-date, x-amz-target) of a POST to `/` of CloudWatch Logs, with what the signature adds.

    Rule: "Create a signed AWS API request" (IAM User Guide).
    """
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-security-token": credentials.token, **headers}
    headers = dict(sorted(headers.items()))
    names, lines = ";".join(headers), [f"{key}:{value}" for key, value in headers.items()]
    request = "\n".join(["POST", "/", "", *lines, "", names, hashlib.sha256(body).hexdigest()])
    stamp = headers["x-amz-date"]
    scope = f"{stamp[:8]}/{region}/logs/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    claim = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return headers | {"authorization": f"AWS4-HMAC-SHA256 {claim}"}
