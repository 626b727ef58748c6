"""The default: nothing happens until the conversation is too long, then one strategy after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from antiphon.agents.compaction.contract import Compaction
from antiphon.agents.compaction.grown_view import MadeView, learnt
from antiphon.agents.compaction.sliding_window import SlidingWindow
from antiphon.agents.compaction.summarization import DEFAULT_TOKENS, Summarization
from antiphon.agents.compaction.tokens import CACHED_CONVERSATIONS, ByMessage, TokenCounter
from antiphon.agents.compaction.tool_results import ToolResultCompaction
from antiphon.agents.compaction.truncation import Truncation
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.messages import Message

SHARE = 0.85
"""Of the model's context window; the rest is for instructions, tools and the answer."""
CUT_TO = 0.8
"""What is too long is made this part of the limit, so that it is not too long again at once."""
_LEAST_FACTOR, _MOST_FACTOR = 0.25, 4.0


class TokenBudget:
    """Runs a chain of strategies until the conversation fits.

    Args:
        max_tokens: The most that a view has; 0.85 of what the model can take unless given, 8 000 when that is not
            known.
        client: Writes summaries; without one, the chain has none.
        chain: The strategies; by default older tool results are cut, then the summary is used, then the last 20 turns
            are kept, then the oldest leaves.
        tokenizer: Tokens of a text; an estimate that the provider's counts correct unless given.
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        *,
        client: ChatClient | None = None,
        chain: Sequence[Compaction] | None = None,
        tokenizer: Callable[[str], int] | None = None,
    ) -> None:
        self._max_tokens = max_tokens
        self._chain = tuple(_default_chain(client, tokenizer) if chain is None else chain)
        self._counter = TokenCounter(tokenizer)
        self._made: ByMessage[MadeView] = ByMessage(CACHED_CONVERSATIONS)
        # Of the provider's counts to ours. The limits are divided by it, so that the counts can stay as they are.
        self._factor = 1.0

    def __repr__(self) -> str:
        return f"TokenBudget({self._max_tokens}, chain={self._chain!r}, tokenizer={self._counter!r})"

    def view(self, messages: Sequence[Message], *, max_tokens: int | None, state: dict[str, Any]) -> list[Message]:
        """The conversation as it is where it fits; else as the chain leaves it.

        What the chain has left only grows at its end until it is too long itself, so that providers find its
        beginning in their caches.
        """
        limit = self._limit(max_tokens)
        view = list(messages)
        if self._counter.total(view) > limit:
            view = self._shorter(view, limit, state)
        state["max_tokens"] = limit
        return view

    async def learn(self, messages: Sequence[Message], *, state: dict[str, Any]) -> None:
        """Let every strategy of the chain learn, one after the other."""
        for strategy in self._chain:
            await strategy.learn(messages, state=state)

    def estimate(self, messages: Sequence[Message]) -> int:
        """Tokens of a request, as the provider would probably count them."""
        return round(sum(map(self._counter.of, messages)) * self._factor)

    def note_usage(self, estimated: int, real: int) -> None:
        """Correct the estimate.

        Args:
            estimated: What ``estimate`` said of a request's messages.
            real: What the provider counted for them.
        """
        if estimated <= 0 or real <= 0:
            return
        # Halfway: one odd request, such as one with an image, must not turn the measure over.
        factor = self._factor * (1 + real / estimated) / 2
        self._factor = min(max(factor, _LEAST_FACTOR), _MOST_FACTOR)

    def _shorter(self, given: list[Message], limit: int, state: dict[str, Any]) -> list[Message]:
        made = self._made.get(given[0])
        grown = made.grown(given, state) if made else None
        if grown is not None and self._counter.total(grown) <= limit:
            return grown
        view = given
        for strategy in self._chain:
            if self._counter.total(view) <= limit * CUT_TO:
                break
            view = strategy.view(view, max_tokens=int(limit * CUT_TO), state=state)
        self._made.put(given[0], MadeView(given, view, learnt(state)))
        return view.copy()

    def _limit(self, max_tokens: int | None) -> int:
        if self._max_tokens is not None:
            most: float = self._max_tokens
        else:
            most = DEFAULT_TOKENS if max_tokens is None else SHARE * max_tokens
        return int(most / self._factor)


def _default_chain(client: ChatClient | None, tokenizer: Callable[[str], int] | None) -> list[Compaction]:
    return [
        ToolResultCompaction(),
        *([Summarization(client, tokenizer=tokenizer)] if client is not None else []),
        SlidingWindow(),
        Truncation(tokenizer=tokenizer),
    ]
