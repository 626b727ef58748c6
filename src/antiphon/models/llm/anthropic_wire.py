"""Anthropic's Messages, sans I/O: from messages and options to the arguments of a request.

The conversation begins with the user, ends with the user, and results stand directly behind their calls.
Source: https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.models.llm.content import Content, FunctionResult, Media, Reasoning
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.families import Family, family
from antiphon.models.llm.messages import Message
from antiphon.models.llm.openai_wire import media_note, parameters_of, sound_arguments

PROVIDER = "anthropic"
MAX_TOKENS = 4096
MAX_TOKENS_WITH_THOUGHTS = 16_384
"""The provider wants a limit in every request; of newer models the thoughts count too."""

_OPENING = "(The conversation begins.)"
_GO_ON = "(Go on.)"
_CACHED = {"type": "ephemeral"}
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_CHOICE = {"auto": "auto", "none": "none", "required": "any"}

Block = dict[str, Any]


def request(model: str, messages: Sequence[Message], options: ChatOptions) -> dict[str, Any]:
    """The arguments of a streaming request to the vendor's package.

    What not every release of the package knows goes into the body as it is. None values are not sent.
    """
    model = options.model or model
    known = family(model)
    body = {key: value for key, value in _body(known, messages, options).items() if value is not None}
    return {
        "model": model,
        "messages": _conversation(messages),
        "max_tokens": options.max_tokens or (MAX_TOKENS if known.samples else MAX_TOKENS_WITH_THOUGHTS),
        "stream": True,
        "extra_body": {**body, **options.extra},
        **({"extra_headers": dict(options.headers)} if options.headers else {}),
    }


def _body(known: Family, messages: Sequence[Message], options: ChatOptions) -> dict[str, Any]:
    system = "\n\n".join([message.text for message in messages if message.role == "system" and message.text])
    return {
        "system": [{"type": "text", "text": system, "cache_control": _CACHED}] if system else None,
        # The instructions and the conversation so far are read from the provider's cache with the next turn.
        "cache_control": _CACHED,
        # Its scale ends at 1.
        "temperature": min(options.temperature, 1.0) if options.temperature is not None and known.samples else None,
        # Some models refuse both together.
        "top_p": options.top_p if options.temperature is None and known.samples else None,
        "stop_sequences": options.stop or None,
        "metadata": {"user_id": options.user} if options.user else None,
        "output_config": _output(known, options),
        **(_tools(options) if options.tools else {}),
    }


def _tools(options: ChatOptions) -> dict[str, Any]:
    offered = [tool for tool in options.tools if not options.allowed_tools or tool.name in options.allowed_tools]
    kind = _CHOICE[options.tool_choice] if offered else "none"
    choice: dict[str, Any] = {"type": kind}
    if options.parallel_tool_calls is False and kind != "none":
        choice["disable_parallel_tool_use"] = True
    tools = [
        {"name": tool.name, "description": tool.description, "input_schema": dict(parameters_of(tool))}
        for tool in offered or options.tools
    ]
    return {"tools": tools} if choice == {"type": "auto"} else {"tools": tools, "tool_choice": choice}


def _output(known: Family, options: ChatOptions) -> dict[str, Any] | None:
    output: dict[str, Any] = {}
    if options.output is not None:
        output["format"] = {"type": "json_schema", "schema": dict(options.output.schema)}
    if options.reasoning_effort is not None and known.effort:
        output["effort"] = options.reasoning_effort
    return output or None


def _conversation(messages: Sequence[Message]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns or turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [_text(_OPENING)]})
    if turns[-1]["role"] == "assistant":
        turns.append({"role": "user", "content": [_text(_GO_ON)]})
    return turns


def _blocks(message: Message) -> list[Block]:
    blocks = [block for content in message.contents if (block := _block(content, message.role)) is not None]
    # Thoughts must come before what they led to.
    return sorted(blocks, key=lambda block: "thinking" not in block["type"])


def _block(content: Content, role: str) -> Block | None:
    if content.type == "text" or content.type == "audio":
        words = content.text if content.type == "text" else content.words
        return _text(words) if words.strip() else None
    if content.type == "function_call":
        arguments = msgspec.json.decode(sound_arguments(content.arguments))
        return {"type": "tool_use", "id": content.call_id, "name": content.name, "input": arguments}
    if content.type == "function_result":
        return _result(content)
    if content.type == "uri" and role != "assistant":
        return _media(content)
    if content.type == "text_reasoning":
        return _thought(content)
    if content.type == "hosted_tool" and content.provider == PROVIDER:
        return content.payload
    return None


def _text(words: str) -> Block:
    return {"type": "text", "text": words}


def _result(result: FunctionResult) -> Block:
    parts = [_text(result.text)] if result.text else []
    parts += [_media(media) for media in result.media]
    block: Block = {"type": "tool_result", "tool_use_id": result.call_id, "content": parts}
    return {**block, "is_error": True} if result.status == "error" else block


def _media(media: Media) -> Block:
    source: Block = {"type": "url", "url": media.uri}
    if media.is_inline:
        source = {"type": "base64", "media_type": media.media_type, "data": media.base64}
    if media.media_type in _IMAGES:
        return {"type": "image", "source": source}
    if media.media_type == "application/pdf":
        return {"type": "document", "source": source}
    return _text(media_note(media))


def _thought(thought: Reasoning) -> Block | None:
    if thought.provider != PROVIDER or thought.protected is None:
        return None
    if thought.more.get("redacted"):
        return {"type": "redacted_thinking", "data": thought.protected}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.protected}
