"""Signed requests to AWS (Signature Version 4) with the credentials of the instance's role, from the metadata service (IMDSv2)."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

IMDS = "http://169.254.169.254/latest"
IMDS_TIMEOUT_SECONDS = 3
CALL_TIMEOUT_SECONDS = 40
"""Longer than a long poll."""
RENEW_BEFORE_SECONDS = 300
TARGETS = {"ssm": "AmazonSSM", "ec2messages": "EC2WindowsMessageDeliveryService"}

OCTETS = {"Content-Type": "binary/octet-stream"}

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class AwsError(Exception):
    """A call failed; `code` is the service's error code, empty when no answer came."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    token: str
    expires: datetime


class Metadata:
    """The instance metadata service, version 2 only. Raises AwsError."""

    def __init__(self, base: str = IMDS) -> None:
        self._base = base

    def get(self, path: str) -> str:
        try:
            token = self._request("PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
            return self._request("GET", f"meta-data/{path}", {"X-aws-ec2-metadata-token": token})
        except urllib.error.HTTPError as error:
            raise AwsError(f"instance metadata {path}: HTTP {error.code}", str(error.code)) from error
        except OSError as error:
            raise AwsError(f"instance metadata {path}: {error}") from error

    def _request(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(f"{self._base}/{path}", headers=headers, method=method)  # noqa: S310 - HTTP by construction
        with _direct.open(request, timeout=IMDS_TIMEOUT_SECONDS) as answer:
            return str(answer.read().decode())

    def credentials(self) -> Credentials:
        """Of the role in the instance's profile."""
        try:
            role = self.get("iam/security-credentials/").split()[0]
        except (AwsError, IndexError) as error:
            raise AwsError(
                f"EC2RoleRequestError: no EC2 instance role found ({error})", "EC2RoleRequestError"
            ) from error
        found = json.loads(self.get(f"iam/security-credentials/{role}"))
        expires = datetime.strptime(found["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"], expires)


class Client:
    """Calls of the services that the agent uses, in one region."""

    def __init__(self, region: str, metadata: Metadata, environ: dict[str, str] | None = None) -> None:
        self.region = region
        self._metadata = metadata
        self._environ = dict(os.environ) if environ is None else environ
        self._credentials: Credentials | None = None

    def endpoint(self, service: str) -> str:
        """AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, or the service's public address."""
        own = self._environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or self._environ.get("AWS_ENDPOINT_URL")
        url = (own or f"https://{service}.{self.region}.amazonaws.com").rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise AwsError(f"the endpoint {url} of {service} is not an HTTP address")
        return url

    def call(self, service: str, action: str, request: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{TARGETS[service]}.{action}"}
        answer = self._send("POST", service, "/", headers, json.dumps(request).encode())
        return dict(json.loads(answer)) if answer.strip() else {}

    def caller_arn(self, seconds: float) -> str:
        """Whom the credentials are for, by STS."""
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        answer = self._send(
            "POST", "sts", "/", headers, b"Action=GetCallerIdentity&Version=2011-06-15", seconds=seconds
        )
        found = re.search(r"<Arn>([^<]+)</Arn>", answer.decode("utf-8", "replace"))
        if found is None:
            raise AwsError(f"sts GetCallerIdentity: no Arn in {answer[:300]!r}", "SerializationError")
        return found[1]

    def put_object(self, bucket: str, key: str, body: bytes) -> None:
        self._send("PUT", "s3", f"/{bucket}/{urllib.parse.quote(key, safe='/-_.~')}", OCTETS, body)

    def _send(
        self,
        method: str,
        service: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        *,
        seconds: float = CALL_TIMEOUT_SECONDS,
    ) -> bytes:
        url = self.endpoint(service) + path
        signed = sign(
            self._current(),
            self.region,
            service,
            method=method,
            url=url,
            headers=headers,
            body=body,
            now=datetime.now(UTC),
        )
        request = urllib.request.Request(url, data=body, headers=signed, method=method)  # noqa: S310 - endpoint() has checked
        what = f"{service} {headers.get('X-Amz-Target', method).rpartition('.')[2]}"
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            code, message = _fault(error.read().decode("utf-8", "replace"))
            raise AwsError(f"{what}: HTTP {error.code} {code}: {message}", code) from error
        except OSError as error:
            raise AwsError(f"{what} at {url}: {error}") from error

    def _current(self) -> Credentials:
        held = self._credentials
        if held is None or (held.expires - datetime.now(UTC)).total_seconds() < RENEW_BEFORE_SECONDS:
            held = self._credentials = self._metadata.credentials()
        return held

    def forget_credentials(self) -> None:
        """The service did not take them: the next call fetches new ones."""
        self._credentials = None


def _fault(text: str) -> tuple[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return "", text[:300]
    code = str(found.get("__type", "")).rpartition("#")[2]
    return code, str(found.get("message") or found.get("Message") or "")


def sign(
    credentials: Credentials,
    region: str,
    service: str,
    *,
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    now: datetime,
) -> dict[str, str]:
    """The request's headers with the signature ("Create a signed AWS API request", IAM User Guide). No query string."""
    parts = urllib.parse.urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    signed = {name.lower(): value for name, value in headers.items()}
    signed.update({"host": parts.netloc, "x-amz-date": stamp, "x-amz-security-token": credentials.token})
    if service == "s3":
        signed["x-amz-content-sha256"] = digest
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
    canonical = "\n".join([method, parts.path or "/", "", lines, names, digest])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    claim = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "authorization": f"AWS4-HMAC-SHA256 {claim}"}
