"""Conversations as a small ChatML model reads them, and its answers as a caller should hear them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from antiphon.models.llm.contract import ToolSpec
from antiphon.models.llm.facts import all_known, is_question, relevant
from antiphon.models.llm.messages import Message

END = "<|im_end|>"
_MANNER = "You speak with a caller on the phone. Answer in one short sentence, only with what you know."
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
    return conversation(messages, room_tokens=room_tokens) + "<|im_start|>assistant\n"


def conversation(messages: Sequence[Message], *, room_tokens: int) -> str:
    """What was said so far; arguments as in ``chat_prompt``, whose beginning this is."""
    system, turns = split(messages)
    begun = opening(system)
    room = room_tokens * _CHARACTERS_PER_TOKEN - len(begun)
    rendered = _turns(system, turns)
    dropped = 0
    while dropped < len(rendered) - 1 and sum(map(len, rendered[dropped:])) > room:
        dropped += _DROP
    return begun + "".join(rendered[min(dropped, len(rendered) - 1) :])


def split(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """The system message's text, and the rest."""
    if messages and messages[0].role == "system":
        return messages[0].text, messages[1:]
    return "", messages


def is_unknown(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> bool:
    """Whether the last message asks for what neither the instructions, the tools nor the conversation speak of."""
    last = messages[-1]
    if last.role != "user" or not is_question(last.text) or is_known(messages):
        return False
    return not all_known(
        [*(message.text for message in messages[:-1]), *(tool.description for tool in tools)], last.text
    )


def is_known(messages: Sequence[Message]) -> bool:
    """Whether the last message is a question that the instructions say something about."""
    last = messages[-1]
    return is_question(last.text) and bool(relevant(split(messages)[0], last.text))


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


def _turns(system: str, messages: Sequence[Message]) -> list[str]:
    """Each message as a turn: a question with the facts that it is about, a tool's result as what is to be said.

    A turn stays the same as the conversation grows, but for a result, which leaves once the agent has told it.
    """
    rendered: list[str] = []
    for place, message in enumerate(messages):
        if message.role == "tool":
            if place + 1 == len(messages):
                rendered.append(_turn("user", f"Answer with this: {message.text}"))
        elif message.role == "user":
            led_to_call = place + 1 < len(messages) and bool(messages[place + 1].calls)
            known = "" if led_to_call else " ".join(relevant(system, message.text))
            rendered.append(_turn("user", f"{message.text}\n\nAnswer with this: {known}" if known else message.text))
        elif message.text:
            rendered.append(_turn(message.role, message.text))
    return rendered or [""]


def _turn(role: str, text: str) -> str:
    return f"<|im_start|>{role}\n{clean(text)}{END}\n"
