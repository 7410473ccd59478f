"""Errors in the shape of each AWS protocol, so that every SDK shows code and message as it does for AWS's own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

from lab.cloud.auth.request import Style


def error_response(start_response: Any, style: Style, status: HTTPStatus, code: str, message: str) -> Iterable[bytes]:
    """Answers a WSGI request with an error."""
    request_id = str(uuid.uuid4())
    content_type, body = _body(style, code, message, request_id)
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", code),
    ]
    if style == "cbor":
        headers.append(("smithy-protocol", "rpc-v2-cbor"))
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]


def _body(style: Style, code: str, message: str, request_id: str) -> tuple[str, bytes]:
    code_, message_ = escape(code), escape(message)
    if style == "ec2":
        errors = f"<Errors><Error><Code>{code_}</Code><Message>{message_}</Message></Error></Errors>"
        return "text/xml;charset=UTF-8", _xml(f"<Response>{errors}<RequestID>{request_id}</RequestID></Response>")
    if style == "query":
        error = f"<Error><Type>Sender</Type><Code>{code_}</Code><Message>{message_}</Message></Error>"
        return "text/xml", _xml(f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>")
    if style == "s3":
        fields = f"<Code>{code_}</Code><Message>{message_}</Message><RequestId>{request_id}</RequestId>"
        return "application/xml", _xml(f"<Error>{fields}</Error>")
    if style == "cbor":
        return "application/cbor", _cbor_map({"__type": code, "message": message})
    content_type = "application/x-amz-json-1.1" if style == "json" else "application/json"
    return content_type, json.dumps({"__type": code, "message": message}).encode()


def _xml(root: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}'.encode()


def _cbor_map(texts: dict[str, str]) -> bytes:
    """A CBOR map of texts (RFC 8949): all that an error needs."""
    return _cbor_head(5, len(texts)) + b"".join(_cbor_text(k) + _cbor_text(v) for k, v in texts.items())


def _cbor_text(text: str) -> bytes:
    encoded = text.encode()
    return _cbor_head(3, len(encoded)) + encoded


def _cbor_head(major: int, length: int) -> bytes:
    if length < 24:
        return bytes([major << 5 | length])
    if length < 256:
        return bytes([major << 5 | 24, length])
    return bytes([major << 5 | 25]) + length.to_bytes(2, "big")
