"""CloudWatch Logs, CloudWatch and X-Ray by signed requests (AWS Signature Version 4).

The credentials are those of the instance's role (IMDSv2).
"""

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
DATA_PER_CALL = 150
ENDPOINT_NAMES = {"monitoring": "cloudwatch"}
"""What the SDKs call a service in AWS_ENDPOINT_URL_…, where it is not the name in the signature."""


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


class Service:
    """One AWS service: where it is, and how a request to it is signed and sent."""

    name = ""
    """As in the signature's scope and the public endpoint."""

    def __init__(self, region: str, metadata: Metadata) -> None:
        self.region = region
        self._metadata = metadata
        self._endpoint = (
            os.environ.get(f"AWS_ENDPOINT_URL_{ENDPOINT_NAMES.get(self.name, self.name).upper()}")
            or os.environ.get("AWS_ENDPOINT_URL")
            or f"https://{self.name}.{region}.amazonaws.com"
        ).rstrip("/")

    def post(self, action: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        """Raises AwsError for any answer but a good one."""
        host = urllib.parse.urlsplit(self._endpoint).netloc
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": host, "x-amz-date": stamp, **headers}
        headers = signed(self._metadata.credentials(), self.region, headers, body, service=self.name, path=path)
        try:
            return _request(self._endpoint + path, "POST", headers, body)
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            code, message = _fault(text)
            raise AwsError(
                f"{action} at {self._endpoint}: HTTP {error.code} {code or text[:200]} {message}".rstrip(), code
            ) from error
        except OSError as error:
            raise AwsError(f"{action} at {self._endpoint}: {error}") from error


class Logs(Service):
    """The calls of CloudWatch Logs that the agent makes."""

    name = "logs"

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"Logs_20140328.{action}"}
        answer = self.post(action, "/", headers, json.dumps(parameters).encode())
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


class Metrics(Service):
    """CloudWatch's PutMetricData."""

    name = "monitoring"

    def put(self, namespace: str, data: list[dict[str, Any]]) -> None:
        """`data`: name, values, dimensions, unit."""
        for start in range(0, len(data), DATA_PER_CALL):
            form = {"Action": "PutMetricData", "Version": "2010-08-01", "Namespace": namespace}
            for number, datum in enumerate(data[start : start + DATA_PER_CALL], 1):
                form |= _datum_form(f"MetricData.member.{number}", datum)
            headers = {"content-type": "application/x-www-form-urlencoded"}
            self.post("PutMetricData", "/", headers, urllib.parse.urlencode(form).encode())


def _datum_form(prefix: str, datum: dict[str, Any]) -> dict[str, str]:
    form = {f"{prefix}.MetricName": str(datum["name"]), f"{prefix}.Unit": str(datum["unit"])}
    form[f"{prefix}.Timestamp"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for number, (key, value) in enumerate(sorted(datum["dimensions"].items()), 1):
        form |= {f"{prefix}.Dimensions.member.{number}.Name": key, f"{prefix}.Dimensions.member.{number}.Value": value}
    for number, value in enumerate(datum["values"], 1):
        form[f"{prefix}.Values.member.{number}"] = str(value)
    return form


class Traces(Service):
    """X-Ray's PutTraceSegments."""

    name = "xray"

    def put(self, documents: list[str]) -> list[str]:
        """Returns what X-Ray did not take, with its reason."""
        body = json.dumps({"TraceSegmentDocuments": documents}).encode()
        answer = self.post("PutTraceSegments", "/TraceSegments", {"content-type": "application/json"}, body)
        unprocessed = json.loads(answer).get("UnprocessedTraceSegments", [])
        return [f"{entry.get('Id')}: {entry.get('ErrorCode')} {entry.get('Message')}" for entry in unprocessed]


def _fault(text: str) -> tuple[str, str]:
    """The service's error code and message."""
    try:
        error = json.loads(text)
    except ValueError:
        return "", ""
    code = str(error.get("__type", "")).rpartition("#")[2]
    return code, str(error.get("message") or error.get("Message") or "")


def signed(
    credentials: Credentials, region: str, headers: dict[str, str], body: bytes, *, service: str, path: str = "/"
) -> dict[str, str]:
    """`headers` (host, x-amz-date, content-type, …) of a POST, with what the signature adds.

    Rule: "Create a signed AWS API request" (IAM User Guide).
    """
    headers = {"x-amz-security-token": credentials.token, **headers}
    headers = dict(sorted(headers.items()))
    names, lines = ";".join(headers), [f"{key}:{value}" for key, value in headers.items()]
    request = "\n".join(["POST", path, "", *lines, "", names, hashlib.sha256(body).hexdigest()])
    stamp = headers["x-amz-date"]
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    claim = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return headers | {"authorization": f"AWS4-HMAC-SHA256 {claim}"}
