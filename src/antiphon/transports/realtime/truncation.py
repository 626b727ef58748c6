"""What leaves the model's context when it is full, as the client has chosen. The items stay in the conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from antiphon.agents.compaction.summarization import DEFAULT_TOKENS
from antiphon.agents.compaction.token_budget import SHARE
from antiphon.agents.compaction.tokens import BYTES_PER_TOKEN, TokenCounter
from antiphon.agents.compaction.truncation import Truncation
from antiphon.calls.reply import Fit
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.messages import Message
from antiphon.wire.realtime.response import ResponseConfig

Rule = str | Mapping[str, Any]
"""``auto``, ``disabled``, or a ``retention_ratio`` object."""


def truncated(messages: Sequence[Message], rule: Rule, *, max_tokens: int, counter: TokenCounter) -> list[Message]:
    """The messages that a model gets: the oldest leave, a call and its result together; the turn that runs stays.

    Args:
        messages: The conversation, without the instructions.
        rule: What happens when it is too long.
        max_tokens: The most that it may have.
        counter: Counts them.

    Raises:
        AgentInvalidRequestException: It is too long, and nothing may leave; the code is ``context_length_exceeded``.
    """
    given = list(messages)
    limit = kept = max_tokens
    if isinstance(rule, Mapping):
        limit = min(limit, rule.get("token_limits", {}).get("post_instructions", limit))
        kept = int(limit * rule["retention_ratio"])
    tokens = counter.total(given)
    if tokens <= limit:
        return given
    if rule == "disabled":
        raise AgentInvalidRequestException(
            f"The conversation has about {tokens} tokens and the model takes {limit}: delete items, or let the oldest "
            'leave with truncation "auto".',
            code="context_length_exceeded",
        )
    return Truncation(kept).view(given, max_tokens=None, state={})


def fit_by(rule: Rule, config: ResponseConfig, *, counter: TokenCounter) -> Fit:
    """Truncation by a session's rule, for a response.

    Where the rule is ``auto``, the agent's own compaction works as on any call; it counts on instructions and functions
    that leave it most of the context, so here only those are answered for that do not.

    Args:
        rule: The session's.
        config: What is in effect for the response.
        counter: Of the session.
    """
    taken = counter.of(Message("system", config.instructions)) + (config.max_output_tokens or 0)
    taken += len(msgspec.json.encode([tool for tool in config.tools if tool["type"] == "function"])) // BYTES_PER_TOKEN

    def fit(messages: Sequence[Message], client: ChatClient) -> Sequence[Message]:
        window: int | None = getattr(client, "context_window", None)
        share = DEFAULT_TOKENS if window is None else int(SHARE * window)
        room = share if window is None else max(0, min(share, window - taken))
        if rule == "auto" and room == share:
            return messages
        return truncated(messages, rule, max_tokens=room, counter=counter)

    return fit
