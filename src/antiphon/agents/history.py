"""What a model may be sent: one system message first, every call with its result, no two turns of one side in a row."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from msgspec.structs import replace

from antiphon.agents.approval import WAITING
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import Content, FunctionCall, Text
from antiphon.models.llm.messages import Message, tool_message
from antiphon.tools.invoke import INTERRUPTED, result_of

MAX_INSTRUCTION_CHARS = 262_144
_JOINT = {"user": "\n", "assistant": " "}
_SENT = frozenset({"text", "uri", "audio", "text_reasoning", "hosted_file", "hosted_tool", "function_call"})


def build_request(instructions: str, messages: Iterable[Message], *, waiting: Container[str] = ()) -> list[Message]:
    """The messages of a request.

    Args:
        instructions: The agent's system message.
        messages: The conversation. Its own system messages (a summary, facts) are joined to the instructions.
        waiting: The ids of calls that wait for a person.

    Returns:
        At most one system message, first, then the repaired conversation.

    Raises:
        AgentInvalidRequestException: The instructions have more than 262 144 characters.
    """
    if len(instructions) > MAX_INSTRUCTION_CHARS:
        raise AgentInvalidRequestException(
            f"The instructions have {len(instructions)} characters; at most {MAX_INSTRUCTION_CHARS} are sent. Give the "
            "agent a tool that looks up what it seldom needs.",
            code="input_invalid",
        )
    system = [instructions]
    rest: list[Message] = []
    for message in messages:
        if message.role == "system":
            system.append(message.text)
        else:
            rest.append(message)
    text = "\n\n".join([part for part in system if part])
    return [Message("system", text), *repair(rest, waiting=waiting)] if text else repair(rest, waiting=waiting)


def repair(messages: Iterable[Message], *, waiting: Container[str] = ()) -> list[Message]:
    """Make a history that every provider takes, without changing what is sound in it.

    A call without a result gets the text that it was interrupted, or that it waits for a person; results go directly
    behind their calls, in the calls' order; results without a call and messages that say nothing leave. Neighbours of
    the same side, which an interruption leaves behind, are joined.
    """
    sound: list[Message] = []
    open_calls: dict[str, int] = {}
    for message in messages:
        if message.role == "tool":
            result = message.result
            place = open_calls.pop(result.call_id, None) if result is not None else None
            if place is not None:
                sound[place] = message
            continue
        if not _says_something(message):
            continue
        if sound and sound[-1].role == message.role:
            message = _joined(sound.pop(), message)
        sound.append(message)
        for content in message.contents:
            if content.type == "function_call":
                open_calls[content.call_id] = len(sound)
                is_waiting = content.call_id in waiting
                result = result_of(content, *(("pending", WAITING) if is_waiting else ("interrupted", INTERRUPTED)))
                sound.append(tool_message(result))
    return sound


def without_calls(messages: Sequence[Message]) -> list[Message]:
    """The conversation without its tool calls and results, for a server that refuses them."""
    plain: list[Message] = []
    for message in messages:
        if message.role == "tool":
            continue
        contents = tuple(content for content in message.contents if content.type != "function_call")
        if contents:
            plain.append(message if len(contents) == len(message.contents) else message.replace(contents=contents))
    return [*plain[:1], *repair(plain[1:])] if plain and plain[0].role == "system" else repair(plain)


def with_unique_ids(calls: Sequence[FunctionCall], messages: Iterable[Message]) -> tuple[FunctionCall, ...]:
    """The calls with an id each that no other call of the conversation has; sound ids stay."""
    taken = {
        content.call_id
        for message in messages
        if message.role == "assistant"
        for content in message.contents
        if content.type == "function_call"
    }
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


def _says_something(message: Message) -> bool:
    for content in message.contents:
        kind = content.type
        if kind == "audio" and content.heard_text == "":  # type: ignore[union-attr]
            continue  # nothing of it was heard
        if kind in _SENT and (kind != "text" or content.text):  # type: ignore[union-attr]
            return True
    return False


def _joined(before: Message, message: Message) -> Message:
    """Two messages of one side as one."""
    if len(before.contents) == 1 and before.contents[0].type == "text" and message.contents[0].type == "text":
        words = f"{before.contents[0].text}{_JOINT[message.role]}{message.contents[0].text}".strip()
        return message.replace(contents=(Text(words), *message.contents[1:]))
    between: tuple[Content, ...] = (Text(_JOINT[message.role]),)
    return message.replace(contents=(*before.contents, *between, *message.contents))
