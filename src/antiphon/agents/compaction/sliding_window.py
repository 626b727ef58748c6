"""The last turns only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from antiphon.agents.compaction.groups import kept_from, without_oldest
from antiphon.models.llm.messages import Message


class SlidingWindow:
    """The oldest turns leave.

    Args:
        keep_turns: Turns that stay besides the one that runs.
    """

    def __init__(self, keep_turns: int = 20) -> None:
        self._keep_turns = keep_turns

    def __repr__(self) -> str:
        return f"SlidingWindow(keep_turns={self._keep_turns})"

    def view(self, messages: Sequence[Message], *, max_tokens: int | None, state: dict[str, Any]) -> list[Message]:
        """The last turns, and what is pinned."""
        cut = kept_from(messages, self._keep_turns)
        return without_oldest(messages, cut) if cut else list(messages)

    async def learn(self, messages: Sequence[Message], *, state: dict[str, Any]) -> None:
        """Nothing is learnt."""
