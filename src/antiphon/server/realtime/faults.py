"""Requests that are refused before there is a session, and bodies that are read."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request
from fastapi.responses import JSONResponse

MAX_BODY = 1 << 20


class RealtimeFault(Exception):
    """A request that is refused.

    Args:
        status: HTTP status.
        code: Stable word.
        message: One sentence.
        param: The field at fault.
    """

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    def response(self) -> JSONResponse:
        """The answer to the request."""
        kind = "authentication_error" if self.status in (401, 403) else "invalid_request_error"
        if self.status >= 500:
            kind = "server_error"
        error = {"message": str(self), "type": kind, "code": self.code, "param": self.param}
        return JSONResponse({"error": error}, self.status, headers={"Retry-After": "1"} if self.status == 503 else None)


async def body_of(request: Request) -> bytes:
    """A request's body.

    Raises:
        RealtimeFault: It is too large.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RealtimeFault(413, "request_too_large", "The body is larger than 1 MiB.")
    return body


def json_object(body: bytes | str, what: str = "The body") -> dict[str, Any]:
    """A JSON object; empty where there is nothing.

    Raises:
        RealtimeFault: It is none.
    """
    if not body.strip():
        return {}
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise RealtimeFault(400, "invalid_json", f"{what} is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise RealtimeFault(400, "invalid_value", f"{what} is no JSON object.")
    return value
