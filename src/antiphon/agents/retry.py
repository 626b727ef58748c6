"""Ask a model, and once more if it failed before its first word; never after, because words were said by then."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Sequence

import structlog

from antiphon.agents.deadline import Deadline
from antiphon.clock import Clock
from antiphon.errors import ChatClientException
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions, Message

_log = structlog.get_logger(__name__)

ATTEMPTS = 2
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 1.0


async def begin(
    client: ChatClient, messages: Sequence[Message], options: ChatOptions, *, clock: Clock, deadline: Deadline
) -> tuple[ChatDelta | None, AsyncGenerator[ChatDelta]]:
    """Ask for an answer and wait for its first delta.

    Args:
        client: The model.
        messages: A valid request, as ``build_request`` makes it.
        options: How to answer.
        clock: Waits between two attempts.
        deadline: The end of the run's time.

    Returns:
        The first delta, None for an empty answer, and the stream that gives the others. The caller closes it.

    Raises:
        ChatClientException: The provider failed, and did so again where another attempt could help.
        OutOfTime: The run's time is over.
    """
    attempt = 1
    while True:
        deltas = client.stream(messages, options)
        try:
            with deadline:
                return await anext(deltas, None), deltas
        except ChatClientException as error:
            wait_s = _wait_s(error, attempt)
            if wait_s is None:
                raise
            _log.warning("llm.retry", client=client.name, code=error.code, status=error.status_code, attempt=attempt)
        with deadline:
            await clock.sleep(wait_s)
        attempt += 1


def _wait_s(error: ChatClientException, attempt: int) -> float | None:
    """Seconds before the next attempt; None where there is none."""
    if attempt >= ATTEMPTS or not error.retryable:
        return None
    wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * attempt) * random.uniform(1.0, 1.25)
    if error.retry_after_s is not None:
        # A caller waits on the line: a provider that wants longer than a moment has failed.
        return max(wait_s, error.retry_after_s) if error.retry_after_s <= _LONGEST_WAIT_S else None
    return wait_s
