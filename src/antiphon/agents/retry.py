"""Ask a model, and again if it failed before its first word; never after, because words were said by then."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from antiphon.agents.deadline import Deadline
from antiphon.clock import Clock
from antiphon.errors import ChatClientException
from antiphon.logs import Log
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message

if TYPE_CHECKING:
    from tenacity import RetryCallState

_log = Log(__name__)

Begun = tuple[ChatDelta | None, AsyncGenerator[ChatDelta]]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a model is asked that fails before its first word.

    Attributes:
        attempts: Requests in all.
        first_wait_s: Before the second; it doubles from then on.
        longest_wait_s: A provider that asks for a longer wait than this has failed.
    """

    attempts: int = 2
    first_wait_s: float = 0.25
    longest_wait_s: float = 1.0


VOICE = RetryPolicy()
"""For somebody who waits."""
TASK = RetryPolicy(attempts=3, first_wait_s=2.0, longest_wait_s=10.0)
"""For work in the background."""


async def begin(
    client: ChatClient,
    messages: Sequence[Message],
    options: ChatOptions,
    *,
    clock: Clock,
    deadline: Deadline,
    policy: RetryPolicy = VOICE,
) -> Begun:
    """Ask for an answer and wait for its first delta.

    Args:
        client: The model.
        messages: A valid request, as ``build_request`` makes it.
        options: How to answer.
        clock: Waits between two attempts.
        deadline: The end of the run's time.
        policy: How often, and with which waits.

    Returns:
        The first delta, None for an empty answer, and the stream that gives the others. The caller closes it.

    Raises:
        ChatClientException: The provider failed, and did so again where another attempt could help.
        OutOfTime: The run's time is over.
    """
    deltas = client.stream(messages, options)
    try:
        with deadline:
            return await anext(deltas, None), deltas
    except ChatClientException as error:
        if not _may_try_again(error, policy):
            raise
        return await _insist(client, messages, options, clock=clock, deadline=deadline, policy=policy, first=error)


async def _attempt(client: ChatClient, messages: Sequence[Message], options: ChatOptions, deadline: Deadline) -> Begun:
    deltas = client.stream(messages, options)
    with deadline:
        return await anext(deltas, None), deltas


async def _insist(
    client: ChatClient,
    messages: Sequence[Message],
    options: ChatOptions,
    *,
    clock: Clock,
    deadline: Deadline,
    policy: RetryPolicy,
    first: ChatClientException,
) -> Begun:
    """The attempts after the first one."""
    from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

    async def sleep(seconds: float) -> None:
        with deadline:
            await clock.sleep(seconds)

    def wait_s(state: RetryCallState) -> float:
        outcome = state.outcome.exception() if state.outcome is not None else None
        error = outcome if isinstance(outcome, ChatClientException) else first
        return _wait_s(error, state.attempt_number, policy)

    def log(state: RetryCallState) -> None:
        outcome = state.outcome.exception() if state.outcome is not None else None
        _log.warning("llm.retry", client=client.name, code=getattr(outcome, "code", None), attempt=state.attempt_number)

    failed_once = False

    async def attempt() -> Begun:
        nonlocal failed_once
        if not failed_once:
            failed_once = True
            raise first  # the attempt that was made without this machinery, which costs more than a whole turn
        return await _attempt(client, messages, options, deadline)

    retrying = AsyncRetrying(
        sleep=sleep,
        stop=stop_after_attempt(policy.attempts),
        wait=wait_s,
        retry=retry_if_exception(lambda error: _may_try_again(error, policy)),
        before_sleep=log,
        reraise=True,
    )
    return await retrying(attempt)


def _may_try_again(error: BaseException, policy: RetryPolicy) -> bool:
    if not isinstance(error, ChatClientException) or not error.retryable or policy.attempts < 2:
        return False
    return error.retry_after_s is None or error.retry_after_s <= policy.longest_wait_s


def _wait_s(error: ChatClientException, attempt: int, policy: RetryPolicy) -> float:
    """Seconds before the next attempt, with a jitter, so that many callers do not come back at once."""
    wait_s = min(policy.longest_wait_s, policy.first_wait_s * 2.0 ** (attempt - 1)) * random.uniform(1.0, 1.25)
    return max(wait_s, error.retry_after_s or 0.0)
