"""What a vendor of speech answers in place of speech, as one of the leaves of ``IntegrationException``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from antiphon.errors import (
    IntegrationException,
    IntegrationInvalidAuthException,
    IntegrationInvalidRequestException,
    IntegrationInvalidResponseException,
    IntegrationUnavailableException,
)
from antiphon.models.http import redact, retry_after_s

_DETAIL_CHARS = 300
_BUSY = frozenset({408, 425, 429, 529})


class _Leaf(NamedTuple):
    """How a kind of refusal is told."""

    kind: type[IntegrationException]
    code: str
    what: str
    advice: str
    retryable: bool = False


_WRONG_KEY = _Leaf(IntegrationInvalidAuthException, "auth", "refused the API key", "check the key and its rights")
_QUOTA = _Leaf(
    IntegrationUnavailableException, "quota", "has no quota left for this key", "top it up or use another key"
)
_TOO_MANY = _Leaf(
    IntegrationUnavailableException,
    "rate_limited",
    "asks for fewer requests",
    "wait, or raise the limit",
    retryable=True,
)
_FAILED = _Leaf(
    IntegrationUnavailableException, "server_error", "failed", "try again, or use another provider", retryable=True
)
_WRONG_REQUEST = _Leaf(
    IntegrationInvalidRequestException,
    "invalid_request",
    "refused the request",
    "check the model, the voice and the language",
)


def refused(
    status: int, headers: Mapping[str, str], body: bytes, *, provider: str, secrets: Iterable[str]
) -> IntegrationException:
    """The exception for a status that is no success.

    Args:
        status: HTTP status, 300 or more.
        headers: Of the response.
        body: Of the response, or its beginning.
        provider: For the message.
        secrets: Never shown in the message.
    """
    fields = _fields(body)
    error = refusal(status, _message(fields), provider=provider, secrets=secrets, words=_words(fields))
    error.request_id = headers.get("x-request-id") or headers.get("dg-request-id") or headers.get("request-id")
    error.retry_after_s = retry_after_s(headers)
    return error


def refusal(
    status: int, message: str, *, provider: str, secrets: Iterable[str], words: str = ""
) -> IntegrationException:
    """The exception for a refusal that came within a stream; ``words`` are the vendor's names of it."""
    leaf = _leaf(status, words)
    detail = redact(" ".join(message.split()), secrets)[:_DETAIL_CHARS].rstrip(".")
    # A refused key is often quoted back, in part: that text is not repeated.
    said = f": {detail}" if detail and leaf is not _WRONG_KEY else ""
    return leaf.kind(
        f"{provider} {leaf.what} ({status}){said}; {leaf.advice}.",
        code=leaf.code,
        retryable=leaf.retryable,
        status_code=status,
        provider=provider,
    )


def unreadable(provider: str, why: object) -> IntegrationInvalidResponseException:
    """The exception for an answer that is not in the vendor's form."""
    return IntegrationInvalidResponseException(
        f"{provider} sent an answer that cannot be read ({why}); check the address, or use another provider.",
        code="bad_stream",
        provider=provider,
    )


def unavailable(provider: str, code: str, what: str) -> IntegrationUnavailableException:
    """The exception for a vendor that is not there: ``connect``, ``stalled`` or ``connection_lost``."""
    return IntegrationUnavailableException(
        f"{provider} {what}; see whether it is well, or use another provider.", code=code, provider=provider
    )


def _fields(body: bytes) -> Mapping[str, Any]:
    """The error's own fields: vendors wrap them in ``error`` or ``detail``, or in nothing."""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {"message": body.decode("utf-8", "replace")}
    for name in ("error", "detail"):
        if isinstance(error, dict) and isinstance(error.get(name), dict):
            error = error[name]
    return error if isinstance(error, dict) else {"message": str(error)}


def _message(fields: Mapping[str, Any]) -> str:
    told = (fields.get(name) for name in ("message", "err_msg", "title", "error", "detail"))
    return next((text for text in told if isinstance(text, str) and text), "")


def _words(fields: Mapping[str, Any]) -> str:
    return " ".join(
        str(fields[name]) for name in ("code", "type", "status", "err_code", "error_code") if name in fields
    )


def _leaf(status: int, words: str) -> _Leaf:
    if status == 402 or "quota" in words.lower():
        return _QUOTA
    if status in (401, 403):
        return _WRONG_KEY
    if status == 429:
        return _TOO_MANY
    return _FAILED if status in _BUSY or status >= 500 else _WRONG_REQUEST
