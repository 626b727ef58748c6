"""What people, models and tools say, as the conventions write it: JSON, with secrets and personal data masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from antiphon.agents.keypad import without_typed
from antiphon.agents.observability.switch import SWITCH
from antiphon.models.llm.content import Content, FunctionCall
from antiphon.models.llm.contract import ChatDelta
from antiphon.models.llm.messages import Message
from antiphon.telemetry import MASK, redacted
from antiphon.tools.tool import FunctionTool

Tools = Mapping[str, FunctionTool]


def system_instructions(messages: Sequence[Message]) -> str:
    """The value of ``gen_ai.system_instructions``."""
    return _json([_text(message.text) for message in messages if message.role == "system"])


def input_messages(messages: Sequence[Message], tools: Tools) -> str:
    """The value of ``gen_ai.input.messages``.

    Args:
        messages: The request.
        tools: Which know their sensitive arguments; all arguments of a call of another one are masked.
    """
    written = [
        {"role": message.role, "parts": [_part(content, tools) for content in message.contents]}
        for message in messages
        if message.role != "system"
    ]
    return _json(written)


def output_messages(deltas: Sequence[ChatDelta], tools: Tools) -> str:
    """The value of ``gen_ai.output.messages``."""
    parts: list[dict[str, Any]] = []
    if thought := "".join([delta.reasoning for delta in deltas]):
        parts.append({"type": "reasoning", "content": plain(thought)})
    if text := "".join([delta.text for delta in deltas]):
        parts.append(_text(text))
    parts += [_call(call, tools) for delta in deltas for call in delta.calls]
    finish = next((delta.finish_reason for delta in reversed(deltas) if delta.finish_reason), "")
    return _json([{"role": "assistant", "parts": parts, "finish_reason": finish}])


def call_arguments(call: FunctionCall, tools: Tools) -> str:
    """The value of ``gen_ai.tool.call.arguments``."""
    return _json(_arguments(call, tools))


def plain(text: str) -> str:
    """A text without credentials and typed numbers and, unless that is switched off, without personal data."""
    return str(redacted("", without_typed(text), SWITCH.scrub))


def _part(content: Content, tools: Tools) -> dict[str, Any]:
    if content.type == "text":
        return _text(content.text)
    if content.type == "function_call":
        return _call(content, tools)
    if content.type == "function_result":
        return {"type": "tool_call_response", "id": content.call_id, "response": plain(content.text)}
    if content.type == "audio":
        return _text(content.words)
    if content.type == "text_reasoning":
        return {"type": "reasoning", "content": plain(content.text)}
    return {"type": content.type}  # Files and the like: what they are, and not what is in them.


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": plain(text)}


def _call(call: FunctionCall, tools: Tools) -> dict[str, Any]:
    return {"type": "tool_call", "id": call.call_id, "name": call.name, "arguments": _arguments(call, tools)}


def _arguments(call: FunctionCall, tools: Tools) -> dict[str, Any]:
    tool = tools.get(call.name)
    if tool is None:
        return dict.fromkeys(_names(call.arguments), MASK)
    return {name: redacted(name, value, SWITCH.scrub) for name, value in tool.visible_arguments(call.arguments).items()}


def _names(arguments: str) -> list[str]:
    try:
        given = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        return []
    return list(given) if isinstance(given, dict) else []


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
