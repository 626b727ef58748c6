"""The ``compaction`` block of a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from antiphon.agents.compaction import (
    Compaction,
    FactSheet,
    SlidingWindow,
    Summarization,
    TokenBudget,
    ToolResultCompaction,
    Truncation,
)
from antiphon.agents.files.findings import Findings
from antiphon.agents.files.kinds import Read, plain
from antiphon.agents.files.models import check_name
from antiphon.models.catalog import chat_client
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message

_Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Strategy:
    """How a strategy is made, and which keys it takes."""

    make: Callable[..., Compaction]
    keys: tuple[str, ...]
    asks: bool = False


_STRATEGIES: Mapping[str, _Strategy] = MappingProxyType(
    {
        "token_budget": _Strategy(TokenBudget, ("max_tokens",)),
        "sliding_window": _Strategy(SlidingWindow, ("keep_turns",)),
        "truncation": _Strategy(Truncation, ("max_tokens", "keep_turns")),
        "tool_results": _Strategy(ToolResultCompaction, ("keep_groups", "max_chars")),
        "summarization": _Strategy(Summarization, ("keep_turns",), asks=True),
        "fact_sheet": _Strategy(FactSheet, ("max_facts", "every_turns"), asks=True),
    }
)


class NamedModel:
    """A model by its name, which is connected when it is first asked: a file is read before there is a connection."""

    notice: str | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once; see the contract."""
        stream = self._client().stream(messages, options)
        try:
            async for delta in stream:
                yield delta
        finally:
            await stream.aclose()

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Connect."""
        await self._client().warm(messages, options)

    async def aclose(self) -> None:
        """Nothing: the client is the catalog's, which closes it."""

    def _client(self) -> ChatClient:
        return chat_client(self.name)


def compaction_of(found: Findings, read: Read) -> Compaction | None:
    """The strategy that a block names."""
    block: Mapping[str, Read] = read.value
    if "strategy" not in block:
        found.fault(read.node, f"compaction.strategy is missing; choose {' or '.join(_STRATEGIES)}.")
        return None
    name = block["strategy"].value
    strategy = _STRATEGIES[name]
    takes = (*strategy.keys, "model") if strategy.asks else strategy.keys
    wrong = [key for key in block if key not in (*takes, "strategy")]
    for key in wrong:
        found.fault(block[key].node, f"compaction.{key} means nothing to {name}; it takes {', '.join(takes)}.")
    if strategy.asks and "model" not in block:
        found.fault(read.node, f"compaction.model is missing: {name} asks a model, such as openai:gpt-4o-mini.")
    elif not wrong:
        options = {key: plain(block[key]) for key in strategy.keys if key in block}
        if not strategy.asks:
            return strategy.make(**options)
        check_name(found, block["model"].node, "compaction.model", block["model"].value)
        return strategy.make(NamedModel(block["model"].value), **options)
    return None
