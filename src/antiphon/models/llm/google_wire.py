"""Google's ``generateContent``, sans I/O: from messages and options to the arguments of a request.

Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.models.llm.content import Content, FunctionCall, FunctionResult, Media
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.families import family
from antiphon.models.llm.messages import Message
from antiphon.models.llm.openai_wire import media_note, parameters_of, sound_arguments

PROVIDER = "google"
SIGNATURE = "thought_signature"
"""Where a call keeps the provider's seal on the thoughts that led to it; it must come back with the call."""

_OPENING = "(The conversation begins.)"
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_READ = ("image/", "audio/", "video/", "application/pdf", "text/")

Part = dict[str, Any]


def request(model: str, messages: Sequence[Message], options: ChatOptions) -> dict[str, Any]:
    """The arguments of a streaming request; None values are not sent."""
    model = options.model or model
    return {"model": model, "contents": _contents(messages), "config": _config(model, messages, options)}


def _config(model: str, messages: Sequence[Message], options: ChatOptions) -> dict[str, Any]:
    system = [message.text for message in messages if message.role == "system" and message.text]
    effort = options.reasoning_effort if family(model).effort else None
    http = {"headers": dict(options.headers), "extra_body": dict(options.extra)}
    keys: dict[str, Any] = {
        "system_instruction": "\n\n".join(system) or None,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "max_output_tokens": options.max_tokens,
        "stop_sequences": list(options.stop) or None,
        "seed": options.rng,
        "frequency_penalty": options.frequency_penalty,
        "presence_penalty": options.presence_penalty,
        "thinking_config": {"thinking_level": effort} if effort is not None else None,
        "http_options": {key: value for key, value in http.items() if value} or None,
        "automatic_function_calling": {"disable": True},
    }
    if options.output is not None:
        keys["response_mime_type"] = "application/json"
        keys["response_json_schema"] = dict(options.output.schema)
    if options.tools:
        keys.update(_tools(options))
    return {key: value for key, value in keys.items() if value is not None}


def _tools(options: ChatOptions) -> dict[str, Any]:
    offered = [tool for tool in options.tools if not options.allowed_tools or tool.name in options.allowed_tools]
    declared = [
        {"name": tool.name, "description": tool.description, "parameters_json_schema": dict(parameters_of(tool))}
        for tool in offered or options.tools
    ]
    keys: dict[str, Any] = {"tools": [{"function_declarations": declared}]}
    mode = _MODES[options.tool_choice] if offered else "NONE"
    return keys if mode == "AUTO" else {**keys, "tool_config": {"function_calling_config": {"mode": mode}}}


def _contents(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The turns; what one side says in a row, such as the results of one step, is one turn."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = [part for content in message.contents for part in _parts(content)]
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        elif parts:
            turns.append({"role": role, "parts": parts})
    if not turns or turns[0]["role"] == "model":
        turns.insert(0, {"role": "user", "parts": [{"text": _OPENING}]})
    return turns


def _parts(content: Content) -> list[Part]:
    if content.type == "text" or content.type == "audio":
        words = content.text if content.type == "text" else content.words
        return [{"text": words}] if words else []
    if content.type == "function_call":
        return [_call(content)]
    if content.type == "function_result":
        return [_result(content), *[_media(media) for media in content.media]]
    if content.type == "uri":
        return [_media(content)]
    if content.type == "text_reasoning" and content.provider == PROVIDER and content.protected is not None:
        return [{"text": content.text, "thought": True, SIGNATURE: content.protected}]
    if content.type == "hosted_file" and content.provider == PROVIDER:
        return [{"file_data": {"file_uri": content.file_id, "mime_type": content.media_type}}]
    if content.type == "hosted_tool" and content.provider == PROVIDER:
        return [content.payload]
    return []


def _call(call: FunctionCall) -> Part:
    arguments = msgspec.json.decode(sound_arguments(call.arguments))
    part: Part = {"function_call": {"id": call.call_id, "name": call.name, "args": arguments}}
    return {**part, SIGNATURE: call.more[SIGNATURE]} if SIGNATURE in call.more else part


def _result(result: FunctionResult) -> Part:
    told = {"error" if result.status == "error" else "result": result.text}
    return {"function_response": {"id": result.call_id, "name": result.name, "response": told}}


def _media(media: Media) -> Part:
    if not media.media_type.startswith(_READ):
        return {"text": media_note(media)}
    if media.is_inline:
        return {"inline_data": {"mime_type": media.media_type, "data": media.base64}}
    return {"file_data": {"mime_type": media.media_type, "file_uri": media.uri}}
