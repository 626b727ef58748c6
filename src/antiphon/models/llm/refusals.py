"""What a provider answers in place of words, as one of the five leaves of ``ChatClientException``.

Every provider has its own words for the same few things; the leaf is found by the HTTP status and by those words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from antiphon.errors import (
    ChatClientContentFilterException,
    ChatClientException,
    ChatClientInvalidAuthException,
    ChatClientInvalidRequestException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
)
from antiphon.models.http import redact, retry_after_s

_AUTH = frozenset({401, 403})
_BUSY = frozenset({408, 425, 429, 529})
_DETAIL_CHARS = 300


class _Leaf(NamedTuple):
    """How a kind of refusal is told."""

    kind: type[ChatClientException]
    code: str
    what: str
    advice: str
    retryable: bool = False


_WRONG_KEY = _Leaf(ChatClientInvalidAuthException, "auth", "refused the API key", "check the key and its rights")
_FILTERED = _Leaf(
    ChatClientContentFilterException, "filtered", "withheld the answer", "change the instructions or the model"
)
_QUOTA = _Leaf(
    ChatClientUnavailableException, "quota", "has no quota left for this key", "top it up or use another key"
)
_TOO_MANY = _Leaf(
    ChatClientUnavailableException,
    "rate_limited",
    "asks for fewer requests",
    "wait, or raise the rate limit",
    retryable=True,
)
_FAILED = _Leaf(
    ChatClientUnavailableException, "server_error", "failed", "try again, or use another provider", retryable=True
)
_TOO_LONG = _Leaf(
    ChatClientInvalidRequestException,
    "context_length_exceeded",
    "refused the request",
    "shorten the conversation or the instructions",
)
_WRONG_REQUEST = _Leaf(
    ChatClientInvalidRequestException,
    "invalid_request",
    "refused the request",
    "check the model's name, the base URL and the options",
)
_BROKEN = _Leaf(ChatClientInvalidResponseException, "bad_stream", "broke off its answer", "try again")

_WORDS: tuple[tuple[tuple[str, ...], _Leaf], ...] = (
    (("invalid_api_key", "api_key_invalid", "authentication_error", "permission_error", "unauthenticated"), _WRONG_KEY),
    (("content_filter", "content_policy", "contentfilter"), _FILTERED),
    (("insufficient_quota", "billing"), _QUOTA),
    (("context_length", "string_above_max"), _TOO_LONG),
    (("rate_limit", "resource_exhausted", "too_many_requests"), _TOO_MANY),
    (("server_error", "overloaded", "api_error", "unavailable", "internal", "timeout"), _FAILED),
    (("invalid_request", "invalid_argument", "not_found", "invalid_prompt"), _WRONG_REQUEST),
)
"""What providers call it, most telling words first; they stand in an error's code, type, status or reason."""
_LONG = ("context length", "context window", "context size", "prompt is too long", "token count", "too many tokens")
"""How the message of a refused request says that it is too long, of those that have no code for it."""


def error_of_response(
    status: int, headers: Mapping[str, str], body: bytes, *, provider: str, secrets: Iterable[str] = ()
) -> ChatClientException:
    """The exception for a refused request.

    Args:
        status: HTTP status, 300 or more.
        headers: Of the response.
        body: Of the response, or its beginning.
        provider: For the message.
        secrets: Never shown in the message.
    """
    try:
        error = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        error = None
    return error_of_status(status, headers, error, provider=provider, secrets=secrets)


def error_of_status(
    status: int, headers: Mapping[str, str], error: Any, *, provider: str, secrets: Iterable[str] = ()
) -> ChatClientException:
    """The exception for a refused request whose body has been decoded.

    Args:
        status: HTTP status, 300 or more.
        headers: Of the response.
        error: The body as JSON gives it; None where it is none.
        provider: For the message.
        secrets: Never shown in the message.
    """
    return _exception(
        error,
        status,
        provider=provider,
        secrets=secrets,
        request_id=headers.get("x-request-id") or headers.get("request-id"),
        retry_after_s=retry_after_s(headers),
    )


def error_in_stream(error: Any, *, provider: str, secrets: Iterable[str] = ()) -> ChatClientException:
    """The exception for an error that came in place of an answer's next piece."""
    fields = _inner(error)
    code = fields.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    return _exception(fields, status, provider=provider, secrets=secrets)


def unreadable(provider: str, why: object, advice: str = "check the base URL") -> ChatClientInvalidResponseException:
    """The exception for an answer that is not in the provider's form."""
    return ChatClientInvalidResponseException(
        f"{provider} sent a stream that cannot be read ({why}); {advice}.", code="bad_stream", provider=provider
    )


def filtered(provider: str) -> ChatClientContentFilterException:
    """The exception for an answer that was withheld before its first word."""
    return ChatClientContentFilterException(
        f"{provider}'s content filter withheld the answer; change the instructions or the model.",
        code="filtered",
        provider=provider,
    )


def no_answer(provider: str) -> ChatClientInvalidResponseException:
    """The exception for a stream that ended before it began."""
    return ChatClientInvalidResponseException(
        f"{provider} ended the stream without an answer; check that the endpoint serves the model.",
        code="bad_stream",
        provider=provider,
    )


def stalled(provider: str) -> ChatClientUnavailableException:
    """The exception for a provider that has sent nothing for too long."""
    return _unavailable(provider, "stalled", "sends nothing", "see whether it is well, or use another")


def not_reached(provider: str, url: str, why: str) -> ChatClientUnavailableException:
    """The exception for a provider to which no connection can be made."""
    return _unavailable(
        provider, "connect", f"cannot be reached at {url} ({why or 'timeout'})", "check the base URL and the network"
    )


def connection_lost(provider: str, why: object) -> ChatClientUnavailableException:
    """The exception for a connection that broke in mid answer."""
    return _unavailable(provider, "connection_lost", f"broke the connection ({why})", "try again")


def _unavailable(provider: str, code: str, what: str, advice: str) -> ChatClientUnavailableException:
    return ChatClientUnavailableException(f"{provider} {what}; {advice}.", code=code, provider=provider)


def _exception(
    error: Any,
    status: int | None,
    *,
    provider: str,
    secrets: Iterable[str],
    request_id: str | None = None,
    retry_after_s: float | None = None,
) -> ChatClientException:
    fields = _inner(error)
    message = " ".join(str(fields.get("message") or "").split())
    leaf = _leaf(status, _own_words(fields))
    if leaf is _WRONG_REQUEST and any(mark in message.lower() for mark in _LONG):
        leaf = _TOO_LONG
    detail = redact(message, secrets)[:_DETAIL_CHARS]
    shown = f" ({status})" if status else ""
    # A refused key is often quoted back, in part: that text is not repeated.
    said = f": {detail.rstrip('.')}" if detail and leaf is not _WRONG_KEY else ""
    return leaf.kind(
        f"{provider} {leaf.what}{shown}{said}; {leaf.advice}.",
        code="timeout" if leaf is _FAILED and status in (408, 504) else leaf.code,
        retryable=leaf.retryable,
        status_code=status,
        provider=provider,
        request_id=request_id,
        retry_after_s=retry_after_s,
    )


def _inner(error: Any) -> Mapping[str, Any]:
    """The error's own fields: providers wrap them in ``error``, and Google that in a list."""
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict) and error.get("error"):
        error = error["error"]
    return error if isinstance(error, dict) else {"message": error}


def _own_words(fields: Mapping[str, Any]) -> str:
    details = fields.get("details")
    reasons = (
        [detail.get("reason") for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []
    )
    inner = fields.get("innererror")
    reasons.append(inner.get("code") if isinstance(inner, dict) else None)
    words = [fields.get("code"), fields.get("type"), fields.get("status"), *reasons]
    return " ".join(str(word) for word in words if word).lower()


def _leaf(status: int | None, words: str) -> _Leaf:
    if status in _AUTH:
        return _WRONG_KEY
    for marks, leaf in _WORDS[:4]:
        if any(mark in words for mark in marks):
            return leaf
    if status is None:
        return next((leaf for marks, leaf in _WORDS[4:] if any(mark in words for mark in marks)), _BROKEN)
    if status == 402:
        return _QUOTA
    if status == 429:
        return _TOO_MANY
    if status in _BUSY or status >= 500:
        return _FAILED
    return next((leaf for marks, leaf in _WORDS[4:5] if any(mark in words for mark in marks)), _WRONG_REQUEST)
