"""Errors of our own API: RFC 9457 problem details."""

from __future__ import annotations

import json

from ollamaspace.errors import BadRequest, OllamaSpaceError, reason

CONTENT_TYPE = "application/problem+json"


def problem(error: OllamaSpaceError, request_id: str | None) -> bytes:
    body: dict[str, object] = {
        "type": "about:blank",
        "title": reason(error.status),
        "status": error.status,
        "detail": str(error),
        "code": error.code,
    }
    if isinstance(error, BadRequest) and error.field is not None:
        body["field"] = error.field
    if request_id is not None:
        body["request_id"] = request_id
    return json.dumps(body, ensure_ascii=False).encode()
