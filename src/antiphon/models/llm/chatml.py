"""Conversations as a small ChatML model reads them, and its answers as a caller should hear them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from antiphon.models.llm.contract import Message

END = "<|im_end|>"
_MANNER = (
    "You speak with a caller on the phone. Answer in one or two short, plain sentences. "
    "Say only what is written above; if it is not written there, say that you do not know."
)
_CHARACTERS_PER_TOKEN = 2.5
"""Fewer than English has, so that a history which is measured by it fits for sure."""
_DROP = 8
"""Messages are dropped in eights: each drop makes the model read the rest of the history anew."""
_SPECIAL = re.compile(r"<\|[^|<>]*\|>")
_SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s+[^\s])")
_ABBREVIATION = re.compile(r"(?:\b(?:Dr|Mr|Mrs|Ms|St|No|vs|approx|e\.g|i\.e)|\b[ap]\.m|\b[A-Z])\.$")


def opening(system: str) -> str:
    """The beginning of every prompt of an agent; what is evaluated before the first call."""
    return _turn("system", f"{system}\n\n{_MANNER}" if system else _MANNER)


def chat_prompt(messages: Sequence[Message], *, room_tokens: int) -> str:
    """The prompt of an answer.

    Args:
        messages: One system message at most, first.
        room_tokens: What the model can take besides the answer; the oldest messages are left out for it.
    """
    system, turns = split(messages)
    begun = opening(system)
    room = room_tokens * _CHARACTERS_PER_TOKEN - len(begun)
    rendered = _turns(turns)
    dropped = 0
    while dropped < len(rendered) - 1 and sum(map(len, rendered[dropped:])) > room:
        dropped += _DROP
    return begun + "".join(rendered[min(dropped, len(rendered) - 1) :]) + "<|im_start|>assistant\n"


def split(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """The system message's text, and the rest."""
    if messages and messages[0].role == "system":
        return messages[0].text, messages[1:]
    return "", messages


def clean(text: str) -> str:
    """Text without the model's special tokens, so that nobody can speak in another's name."""
    return _SPECIAL.sub("", text)


def within_sentences(text: str, most: int) -> int | None:
    """Where the ``most``-th sentence of a growing text ends; None as long as no further one has begun."""
    found = 0
    for match in _SENTENCE_END.finditer(text):
        if _ABBREVIATION.search(text, 0, match.end()) is None:
            found += 1
            if found == most:
                return match.end()
    return None


def _turns(messages: Sequence[Message]) -> list[str]:
    """Each message as a turn. A tool's result stands as what the agent has just been told."""
    rendered: list[str] = []
    for message in messages:
        if message.role == "tool":
            rendered.append(_turn("user", f"Result of {message.name or 'the tool'}: {message.text}\nTell the caller."))
        elif message.text:
            rendered.append(_turn(message.role, message.text))
    return rendered or [""]


def _turn(role: str, text: str) -> str:
    return f"<|im_start|>{role}\n{clean(text)}{END}\n"
