"""How a conversation may be cut: between turns, and never between a call and its results."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.models.llm.messages import Message


def group_heads(messages: Sequence[Message]) -> list[int]:
    """For each message, where its group begins: a result's group begins with its call, any other's with itself.

    Results may come late, with other messages between them and their calls, which are no part of the group.
    """
    heads: list[int] = []
    callers: dict[str, int] = {}
    for index, message in enumerate(messages):
        head = index
        if message.role == "assistant":
            for content in message.contents:
                if content.type == "function_call":
                    callers[content.call_id] = index
        elif message.role == "tool" and message.result is not None:
            head = callers.get(message.result.call_id, index)
        heads.append(head)
    return heads


def turn_starts(messages: Sequence[Message]) -> list[int]:
    """Where the turns begin: with what the user says. What was said before the first is a turn too."""
    return [
        index
        for index, message in enumerate(messages)
        if index == 0 or (message.role == "user" and messages[index - 1].role != "user")
    ]


def kept_from(messages: Sequence[Message], keep_turns: int) -> int:
    """Where the part begins that stays: the last ``keep_turns`` whole turns, and the one that runs."""
    starts = turn_starts(messages)
    return starts[-keep_turns - 1] if len(starts) > keep_turns else 0


def held_groups(messages: Sequence[Message], heads: Sequence[int], cut: int) -> set[int]:
    """The groups that stay when what is before ``cut`` leaves: with a message behind it, or one that is pinned."""
    return {
        head
        for index, (head, message) in enumerate(zip(heads, messages, strict=True))
        if index >= cut or message.pinned or message.role == "system"
    }


def without_oldest(messages: Sequence[Message], cut: int) -> list[Message]:
    """The conversation without what is before ``cut``, save what is held."""
    heads = group_heads(messages)
    held = held_groups(messages, heads, cut)
    return [message for head, message in zip(heads, messages, strict=True) if head in held]
