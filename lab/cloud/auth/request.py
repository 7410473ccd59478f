"""Who sends a request and what it asks for, read from a WSGI environment without consuming it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs

from moto.core.request import Request
from moto.core.routing import get_service_router

Style = Literal["json", "cbor", "query", "ec2", "s3", "rest"]
XML_SERVICES = ("cloudfront", "route53")
"""REST services beside S3 whose errors are XML, in the shape of the query protocol."""
LARGEST_FORM_BYTES = 10 * 1024 * 1024

_CREDENTIAL = re.compile(r"Credential=([^/\s,]+)/(\d{8})/([^/\s]*)/([^/\s]+)/aws4_request")
_SIGNATURE_V2 = re.compile(r"AWS ([^:\s]+):")
_CBOR_PATH = re.compile(r"/service/[^/]+/operation/([^/]+)/?$")


@dataclass(frozen=True)
class Call:
    """One request to AWS."""

    access_key: str | None
    """None for a request without a signature."""
    token: str | None
    """The session token of temporary credentials."""
    region: str
    service: str
    """As in the signature's scope: `ec2`, `elasticloadbalancing`, `monitoring`, …"""
    action: str
    """As in the API reference: `RunInstances`; empty when it is unknown."""
    style: Style
    """The protocol, which decides the shape of an error."""


def read_call(environ: dict[str, Any]) -> Call:
    """The body of a form stays readable: it is put back into `wsgi.input`."""
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    access_key, region, service = _signer(environ, query)
    token = environ.get("HTTP_X_AMZ_SECURITY_TOKEN") or _first(query, "X-Amz-Security-Token", "x-amz-security-token")
    style, action = _action(environ, query, service)
    return Call(access_key, token or None, region, service, action, style)


def access_key_of(authorization: str) -> str | None:
    """The access key that an `Authorization` header of signature version 4 names."""
    found = _CREDENTIAL.search(authorization)
    return found[1] if found else None


def _signer(environ: Mapping[str, Any], query: Mapping[str, list[str]]) -> tuple[str | None, str, str]:
    """(access key, region, service) from the header or a presigned URL, signature version 4 or (S3 only) 2."""
    header = environ.get("HTTP_AUTHORIZATION", "")
    if found := _CREDENTIAL.search(header):
        return found[1], found[3], found[4].lower()
    if presigned := _first(query, "X-Amz-Credential"):
        parts = presigned.split("/")
        if len(parts) == 5:
            return parts[0], parts[2], parts[3].lower()
    if found := _SIGNATURE_V2.match(header):
        return found[1], "", "s3"
    if "Signature" in query and (key := _first(query, "AWSAccessKeyId")):
        return key, "", "s3"
    return None, "", ""


def _first(query: Mapping[str, list[str]], *names: str) -> str | None:
    return next((query[name][0] for name in names if name in query), None)


def _action(environ: dict[str, Any], query: Mapping[str, list[str]], service: str) -> tuple[Style, str]:
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return "json", target.rpartition(".")[2]
    if found := _CBOR_PATH.search(environ.get("PATH_INFO", "")):
        return "cbor", found[1]
    if service == "s3":
        return "s3", _s3_operation(environ)
    form = _form(environ)
    if "Action" in form or "Action" in query:
        name = (form.get("Action") or query["Action"])[0]
        return ("ec2" if service == "ec2" else "query"), name
    return ("query" if service in XML_SERVICES else "rest"), _rest_operation(environ, service)


def _form(environ: dict[str, Any]) -> Mapping[str, list[str]]:
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        size = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return {}
    body = environ["wsgi.input"].read(min(size, LARGEST_FORM_BYTES))
    environ["wsgi.input"] = io.BytesIO(body)
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)


def _s3_operation(environ: dict[str, Any]) -> str:
    """CopyObject and UploadPartCopy share their path with PutObject and UploadPart; a header tells them apart."""
    name = _rest_operation(environ, "s3")
    if "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}.get(name, name)
    return name


def _rest_operation(environ: dict[str, Any], service: str) -> str:
    """By moto's router over botocore's service model; method and path where there is no such operation."""
    try:
        return str(get_service_router(service).match(Request(dict(environ)))[0].name)
    except Exception:
        return f"{environ.get('REQUEST_METHOD', '')} {environ.get('PATH_INFO', '')}"
