"""Asking a model about a conversation, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

from antiphon.errors import ChatClientException
from antiphon.logs import Log
from antiphon.models.llm.contract import ChatClient, ChatOptions
from antiphon.models.llm.messages import Message

MESSAGE_CHARACTERS = 4_000
"""Of one message, what the model reads."""
ANSWER_TOKENS = 1_000

_log = Log(__name__)


class BackgroundModel:
    """A model with one task, that is asked about a conversation once at a time.

    Args:
        client: The model.
        prompt: What to do with a text.
        timeout_s: For an answer.
    """

    def __init__(self, client: ChatClient, prompt: str, timeout_s: float) -> None:
        self._client = client
        self._prompt = prompt
        self._timeout_s = timeout_s
        self._asked: set[int] = set()  # The states of the conversations that it is asked about now.

    def __repr__(self) -> str:
        return f"BackgroundModel({self._client.name!r}, {self._prompt!r}, {self._timeout_s})"

    async def ask(self, text: str, *, state: dict[str, Any]) -> str | None:
        """The answer about a text.

        Args:
            text: The text.
            state: Of the conversation.

        Returns:
            The answer; None when there is none, the conversation is being asked about, or the model failed, which is
            logged.
        """
        if id(state) in self._asked:
            return None
        self._asked.add(id(state))
        request = [Message("system", self._prompt), Message("user", text)]
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                aclosing(self._client.stream(request, ChatOptions(max_tokens=ANSWER_TOKENS))) as deltas,
            ):
                words = [delta.text async for delta in deltas]
        except (ChatClientException, TimeoutError) as error:
            _log.warning("compaction_failed", model=self._client.name, error=str(error) or "It took too long.")
            return None
        finally:
            self._asked.discard(id(state))
        return "".join(words).strip() or None


def transcript(messages: Iterable[Message]) -> str:
    """A conversation as a model reads it in one text. Only what was heard of an answer is in it."""
    return "\n".join(line for message in messages for line in _lines(message))


def _lines(message: Message) -> list[str]:
    result = message.result
    if result is not None:
        return [f"Result of {result.name} ({result.status}): {_short(result.text)}"]
    who = {"user": "User", "assistant": message.author_name or "Assistant"}.get(message.role, "Note")
    said = [f"{who}: {_short(message.text)}"] if message.text else []
    return said + [f"{who} calls {call.name}: {_short(call.arguments)}" for call in message.calls]


def _short(text: str) -> str:
    return text if len(text) <= MESSAGE_CHARACTERS else f"{text[:MESSAGE_CHARACTERS]} …"
