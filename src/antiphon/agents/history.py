"""What a model may be sent: one system message first, every call with its result, no two turns of one side in a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from antiphon.models.llm.contract import FunctionCall, Message
from antiphon.tools.invoke import INTERRUPTED, ToolResult

_JOINT = {"user": "\n", "assistant": " "}


def build_request(instructions: str, messages: Iterable[Message]) -> list[Message]:
    """The messages of a request.

    Args:
        instructions: The agent's system message.
        messages: The conversation. Its own system messages (a summary, facts) are joined to the instructions.

    Returns:
        At most one system message, first, then the repaired conversation.
    """
    system = [instructions]
    rest: list[Message] = []
    for message in messages:
        if message.role == "system":
            system.append(message.text)
        else:
            rest.append(message)
    text = "\n\n".join(part for part in system if part)
    return [Message("system", text), *repair(rest)] if text else repair(rest)


def repair(messages: Iterable[Message]) -> list[Message]:
    """Make a history that every provider takes, without changing what is sound in it.

    A call without a result gets the text that it was interrupted; results go directly behind their calls, in the
    calls' order; results without a call and messages without content leave. Neighbours of the same side, which an
    interruption leaves behind, are joined.
    """
    sound: list[Message] = []
    open_calls: dict[str, int] = {}
    for message in messages:
        if message.role == "tool":
            place = open_calls.pop(message.call_id or "", None)
            if place is not None:
                sound[place] = message
            continue
        if not message.text and not message.calls:
            continue
        if sound and sound[-1].role == message.role and not sound[-1].calls:
            before = sound.pop().text
            message = replace(message, text=f"{before}{_JOINT[message.role]}{message.text}".strip())
        sound.append(message)
        for call in message.calls:
            open_calls[call.call_id] = len(sound)
            sound.append(result_message(call, None))
    return sound


def result_message(call: FunctionCall, result: ToolResult | None) -> Message:
    """The tool message that answers a call; without a result it says that the call was interrupted."""
    return Message("tool", INTERRUPTED if result is None else result.text, call_id=call.call_id, name=call.name)


def with_unique_ids(calls: Sequence[FunctionCall], messages: Iterable[Message]) -> tuple[FunctionCall, ...]:
    """The calls with an id each that no other call of the conversation has; sound ids stay."""
    taken = {call.call_id for message in messages for call in message.calls}
    fixed: list[FunctionCall] = []
    for call in calls:
        number = len(taken)
        call_id = call.call_id
        while not call_id or call_id in taken:
            number += 1
            call_id = f"call_{number}"
        taken.add(call_id)
        fixed.append(call if call_id == call.call_id else replace(call, call_id=call_id))
    return tuple(fixed)
