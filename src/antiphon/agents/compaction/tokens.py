"""How many tokens messages are, without asking a provider. A conversation that grew is not counted anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from antiphon.models.llm.content import Content
from antiphon.models.llm.messages import Message

T = TypeVar("T")

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
MEDIA_TOKENS = 1_000
"""What an image or a file is taken for: providers count pixels or pages, which are not known here."""
CACHED_MESSAGES = 20_000
CACHED_CONVERSATIONS = 1_000


class ByMessage(Generic[T]):
    """What was worked out for messages, by identity; what was put longest ago leaves when it is full.

    Args:
        size: Entries.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[int, tuple[Message, T]] = {}

    def get(self, message: Message) -> T | None:
        """What is kept for this very message."""
        found = self._kept.get(id(message))
        return found[1] if found else None

    def put(self, message: Message, value: T) -> T:
        """Keep a value, and give it. The message is held too, since another one could get its address otherwise."""
        self._kept.pop(id(message), None)
        if len(self._kept) >= self._size:
            del self._kept[next(iter(self._kept))]
        self._kept[id(message)] = (message, value)
        return value


class TokenCounter:
    """Counts tokens.

    Args:
        tokenizer: Tokens of a text; an estimate of a token for four bytes unless given.
    """

    def __init__(self, tokenizer: Callable[[str], int] | None = None) -> None:
        self._tokenizer = tokenizer
        self._tokens: ByMessage[int] = ByMessage(CACHED_MESSAGES)
        self._totals: ByMessage[tuple[list[Message], int]] = ByMessage(CACHED_CONVERSATIONS)

    def __repr__(self) -> str:
        return getattr(self._tokenizer, "__qualname__", type(self._tokenizer).__qualname__)

    def of(self, message: Message) -> int:
        """Tokens of one message."""
        known = self._tokens.get(message)
        return self._tokens.put(message, self._count(message)) if known is None else known

    def total(self, messages: list[Message]) -> int:
        """Tokens of a conversation; only what is new since the last time is counted."""
        if not messages:
            return 0
        known = self._totals.get(messages[0])
        if known is not None:
            seen, tokens = known
            if messages == seen:  # Compares identities first: a few nanoseconds a message.
                return tokens
            if messages[: len(seen)] == seen:
                return self._remember(messages, tokens + sum(map(self.of, messages[len(seen) :])))
        return self._remember(messages, sum(map(self.of, messages)))

    def _remember(self, messages: list[Message], tokens: int) -> int:
        self._totals.put(messages[0], (messages.copy(), tokens))
        return tokens

    def _count(self, message: Message) -> int:
        texts = [_sent(content) for content in message.contents]
        media = sum(map(_media, message.contents)) * MEDIA_TOKENS
        if self._tokenizer is not None:
            return TOKENS_PER_MESSAGE + media + sum(self._tokenizer(text) for text in texts if text)
        size = sum(len(text.encode(errors="replace")) for text in texts)
        return TOKENS_PER_MESSAGE + media + -(-size // BYTES_PER_TOKEN)


def _sent(content: Content) -> str:
    """The text of a content as far as a model is sent it."""
    if content.type == "text" or content.type == "function_result":
        return content.text
    if content.type == "function_call":
        return content.name + content.arguments
    if content.type == "audio":
        return content.words
    if content.type == "text_reasoning":
        return content.text + (content.protected or "")
    if content.type == "hosted_tool":
        return msgspec.json.encode(content.payload).decode()
    return ""


def _media(content: Content) -> int:
    if content.type == "function_result":
        return len(content.media)
    return 1 if content.type in ("uri", "hosted_file") else 0
