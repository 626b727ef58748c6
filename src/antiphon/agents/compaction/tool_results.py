"""Older tool results, cut to their beginning: what was looked up long ago is seldom needed in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from antiphon.agents.compaction.tokens import ByMessage
from antiphon.models.llm.content import Content
from antiphon.models.llm.messages import Message

_CACHED = 4_000
_MARK = " … [{} characters more were left out]"


class ToolResultCompaction:
    """Cuts the results of all but the last call groups, and says so in them. Pinned results stay.

    Args:
        keep_groups: Call groups whose results stay whole.
        max_chars: What stays of the others.
    """

    def __init__(self, keep_groups: int = 3, max_chars: int = 400) -> None:
        self._keep_groups = keep_groups
        self._max_chars = max_chars
        self._short: ByMessage[Message] = ByMessage(_CACHED)

    def __repr__(self) -> str:
        return f"ToolResultCompaction({self._keep_groups}, {self._max_chars})"

    def view(self, messages: Sequence[Message], *, max_tokens: int | None, state: dict[str, Any]) -> list[Message]:
        """The conversation with older results cut."""
        older = self._older(messages)
        return [
            *[self._shortened(each) if each.role == "tool" and not each.pinned else each for each in messages[:older]],
            *messages[older:],
        ]

    async def learn(self, messages: Sequence[Message], *, state: dict[str, Any]) -> None:
        """Nothing is learnt."""

    def _older(self, messages: Sequence[Message]) -> int:
        end = len(messages)
        left = self._keep_groups
        while left and end:
            end -= 1
            left -= 1 if messages[end].calls else 0
        return end

    def _shortened(self, message: Message) -> Message:
        known = self._short.get(message)
        if known is not None:
            return known
        contents = tuple(map(self._cut, message.contents))
        return self._short.put(message, message if contents == message.contents else message.replace(contents=contents))

    def _cut(self, content: Content) -> Content:
        if content.type != "function_result":
            return content
        text = content.text
        cut = text[: self._max_chars] + _MARK.format(len(text) - self._max_chars)
        return replace(content, text=min(text, cut, key=len), media=())
