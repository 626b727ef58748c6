"""Errors that the service tells of: which are harmless, which end the conversation, which answer is asked for again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.errors import AntiphonException, IntegrationInvalidAuthException, IntegrationInvalidRequestException
from antiphon.logs import Log
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.metrics import ClientMetrics
from antiphon.realtime.outbox import ALREADY_ACTIVE
from antiphon.realtime.reconnect import fatal_code, is_repeatable

BENIGN = frozenset(
    {
        ALREADY_ACTIVE,
        "response_cancel_not_active",
        "input_audio_buffer_commit_empty",
        "item_delete_invalid_item_id",
        "item_retrieve_invalid_item_id",
        "item_truncate_invalid_item_id",
    }
)
"""What two sides that act at the same time say to each other."""

REPEAT_AFTER_S = 1.0

_KEY_CODES = frozenset({"invalid_api_key", "account_deactivated"})

_log = Log(__name__)


def error_in(event: ServerEvent) -> Mapping[str, Any] | None:
    """The error object of an ``error``, or of a response that failed; None: there is none."""
    if event.type == "error":
        return event.part("error")
    response = event.part("response") if event.type == "response.done" else {}
    details = response.get("status_details")
    error = details.get("error") if isinstance(details, dict) and response.get("status") == "failed" else None
    return error if isinstance(error, dict) else None


def fatal_error(error: Mapping[str, Any]) -> AntiphonException | None:
    """What no new connection can help against, as an exception; None: it is not of that kind."""
    code = fatal_code(error)
    if code is None:
        return None
    said = str(error.get("message") or "it says no more")[:300]
    if code in _KEY_CODES:
        return IntegrationInvalidAuthException(
            f"The Realtime service refuses the key ({code}): {said} Check the key.", code=code
        )
    return IntegrationInvalidRequestException(f"The Realtime service refuses to go on ({code}): {said}", code=code)


def report(event: ServerEvent, error: Mapping[str, Any], metrics: ClientMetrics) -> None:
    """Count an error and write it to the log. What people said is never in it: messages of services may quote."""
    code = str(error.get("code") or error.get("type") or "unknown")
    metrics.count("errors_total", category="api", code=code)
    tell = _log.debug if code in BENIGN else _log.warning
    tell("the Realtime service reports an error", error_category="api", error_code=code, event_type=event.type)


class FailedResponses:
    """Decides which failed response is asked for once more: a repeat that fails is not repeated."""

    __slots__ = ("_repeated",)

    def __init__(self) -> None:
        self._repeated = False

    def should_repeat(self, event: ServerEvent) -> bool:
        """Whether to ask again, a second after this ``response.done``."""
        error = error_in(event)
        if error is None:
            self._repeated = False
            return False
        repeat = not self._repeated and fatal_code(error) is None and is_repeatable(error)
        self._repeated = repeat
        return repeat
