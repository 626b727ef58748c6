"""The last resort: the oldest leaves until the rest fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from antiphon.agents.compaction.groups import group_heads, held_groups, kept_from
from antiphon.agents.compaction.tokens import TokenCounter
from antiphon.models.llm.messages import Message


class Truncation:
    """Call groups and messages leave, the oldest first, until the rest fits. The turn that runs stays, fit or not.

    Args:
        max_tokens: The most that a view has; what the model can take unless given.
        keep_turns: Turns that stay besides the one that runs.
        tokenizer: Tokens of a text; an estimate unless given.
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        *,
        keep_turns: int = 0,
        tokenizer: Callable[[str], int] | None = None,
    ) -> None:
        self._max_tokens = max_tokens
        self._keep_turns = keep_turns
        self._counter = TokenCounter(tokenizer)

    def __repr__(self) -> str:
        return f"Truncation({self._max_tokens}, keep_turns={self._keep_turns}, tokenizer={self._counter!r})"

    def view(self, messages: Sequence[Message], *, max_tokens: int | None, state: dict[str, Any]) -> list[Message]:
        """What fits of the conversation, its end first."""
        given = list(messages)
        limit = min((most for most in (self._max_tokens, max_tokens) if most is not None), default=None)
        if limit is None or (tokens := self._counter.total(given)) <= limit:
            return given
        heads = group_heads(given)
        held = held_groups(given, heads, kept_from(given, self._keep_turns))
        sizes: dict[int, int] = {}
        for head, message in zip(heads, given, strict=True):
            sizes[head] = sizes.get(head, 0) + self._counter.of(message)
        left: set[int] = set()
        for head, size in sizes.items():  # In the order of the conversation.
            if tokens <= limit:
                break
            if head not in held:
                left.add(head)
                tokens -= size
        return [message for head, message in zip(heads, given, strict=True) if head not in left]

    async def learn(self, messages: Sequence[Message], *, state: dict[str, Any]) -> None:
        """Nothing is learnt."""
