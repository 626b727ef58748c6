"""OpenAI's Chat Completions, sans I/O: from messages and options to the body of a request.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from antiphon.models.llm.content import Content, FunctionCall, FunctionResult, HostedFile, Media
from antiphon.models.llm.contract import ChatOptions, ToolSpec
from antiphon.models.llm.families import family
from antiphon.models.llm.messages import Message
from antiphon.models.llm.providers import PLAIN, Dialect
from antiphon.models.llm.wire_cache import WireCache

_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Wire(NamedTuple):
    """A message's form: what stands in its place, and what must wait until all results of a step have been told."""

    now: bytes
    later: bytes = b""


class RequestWriter:
    """Writes the requests of one client; keeps the form of messages and tools that it has written.

    Args:
        provider: Whose own contents go back to it.
        dialect: What the provider's requests look like.
        images: Whether images are sent; a note stands in their place otherwise.
    """

    def __init__(self, provider: str, dialect: Dialect = PLAIN, *, images: bool = True) -> None:
        self._provider = provider
        self._dialect = dialect
        self._images = images
        self._messages: WireCache[Message, _Wire] = WireCache(self._wire_message)
        self._tools: WireCache[tuple[ToolSpec, ...], msgspec.Raw] = WireCache(_wire_tools)

    def body(self, model: str, messages: Sequence[Message], options: ChatOptions, *, usage: bool = True) -> bytes:
        """The JSON body of a streaming request.

        Args:
            model: The provider's name of the model, unless the options name another.
            messages: A valid conversation.
            options: None values are not sent.
            usage: Ask for the tokens at the end of the stream; not every server knows the key.
        """
        model = options.model or model
        body: dict[str, Any] = {"model": model, "messages": self._conversation(messages), "stream": True}
        if usage and self._dialect.stream_options:
            body["stream_options"] = {"include_usage": True}
        body.update(self._named(_sampling(model, options)))
        if options.tools:
            body.update(self._named(self._tool_keys(options)))
        body.update(options.extra)
        return msgspec.json.encode(body)

    def _named(self, keys: dict[str, Any]) -> dict[str, Any]:
        """The keys that have a value, under the provider's names."""
        names = self._dialect.names
        named = {names.get(key, key): value for key, value in keys.items() if value is not None}
        named.pop("", None)
        return named

    def _tool_keys(self, options: ChatOptions) -> dict[str, Any]:
        tools, choice = options.tools, None
        if options.tool_choice != "auto":
            choice = self._dialect.required if options.tool_choice == "required" else options.tool_choice
        if options.allowed_tools and options.tool_choice != "none":
            if self._dialect.allowed_tools:
                return self._tool_keys_allowed(options)
            tools = tuple([tool for tool in tools if tool.name in options.allowed_tools])
        keys: dict[str, Any] = {"tools": self._tools.of(tools), "tool_choice": choice} if tools else {}
        return {**keys, "parallel_tool_calls": options.parallel_tool_calls if tools else None}

    def _tool_keys_allowed(self, options: ChatOptions) -> dict[str, Any]:
        named = [{"type": "function", "function": {"name": name}} for name in options.allowed_tools]
        allowed = {"mode": options.tool_choice, "tools": named}
        return {
            "tools": self._tools.of(options.tools),
            "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed},
            "parallel_tool_calls": options.parallel_tool_calls,
        }

    def _conversation(self, messages: Sequence[Message]) -> msgspec.Raw:
        parts: list[bytes] = []
        waiting: list[bytes] = []
        for message in messages:
            now, later = self._messages.of(message)
            if waiting and message.role != "tool":
                parts += waiting
                waiting.clear()
            if now:
                parts.append(now)
            if later:
                waiting.append(later)
        return msgspec.Raw(b"[" + b",".join([*parts, *waiting]) + b"]")

    def _wire_message(self, message: Message) -> tuple[_Wire, int]:
        results = [content for content in message.contents if content.type == "function_result"]
        if results:
            return _sized(self._wire_results(results))
        fields: dict[str, Any] = {"role": message.role, "content": self._content(message)}
        if message.role == "assistant":
            calls = message.calls
            if calls:
                fields["content"] = fields["content"] or None
                fields["tool_calls"] = [_wire_call(call) for call in calls]
                if thoughts := self._thoughts(message):
                    fields[self._dialect.reasoning] = thoughts
        if not fields["content"] and len(fields) == 2:
            return _Wire(b""), 0
        return _sized(_Wire(msgspec.json.encode(fields)))

    def _wire_results(self, results: Sequence[FunctionResult]) -> _Wire:
        """One message for each result. Images must wait: nothing may stand between the results of one step."""
        told = [{"role": "tool", "tool_call_id": each.call_id, "content": each.text} for each in results]
        media = [part for each in results for part in each.media]
        later = b""
        if media:
            later = msgspec.json.encode({"role": "user", "content": [self._wire_media(part) for part in media]})
        return _Wire(b",".join([msgspec.json.encode(each) for each in told]), later)

    def _content(self, message: Message) -> str | list[dict[str, Any]]:
        """Plain text where there is nothing else, as every server takes it."""
        if all(content.type != "uri" and content.type != "hosted_file" for content in message.contents):
            return message.text
        parts = [self._part(content) for content in message.contents]
        return [part for part in parts if part is not None]

    def _part(self, content: Content) -> dict[str, Any] | None:
        if content.type == "uri":
            return self._wire_media(content)
        if content.type == "hosted_file":
            return self._wire_file(content)
        words = content.text if content.type == "text" else content.words if content.type == "audio" else ""
        return {"type": "text", "text": words} if words else None

    def _wire_media(self, media: Media) -> dict[str, Any]:
        if self._images and media.media_type.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": media.uri}}
        return {"type": "text", "text": media_note(media)}

    def _wire_file(self, file: HostedFile) -> dict[str, Any] | None:
        return {"type": "file", "file": {"file_id": file.file_id}} if file.provider == self._provider else None

    def _thoughts(self, message: Message) -> str:
        """What led to the calls; providers want it back with them, and not without."""
        if not self._dialect.reasoning:
            return ""
        thoughts = [content for content in message.contents if content.type == "text_reasoning"]
        return "".join([thought.text for thought in thoughts if thought.provider == self._provider])


def media_note(media: Media) -> str:
    """What a model reads in place of a file that it cannot take."""
    return f"(A file that this model cannot read: {media.name or 'unnamed'}, {media.media_type}.)"


def sound_arguments(arguments: str) -> str:
    """Arguments as servers take them back: many parse them, and refuse the whole request when that fails."""
    try:
        _OBJECT.decode(arguments)
    except (msgspec.MsgspecError, RecursionError):
        return "{}"
    return arguments


def parameters_of(tool: ToolSpec) -> Mapping[str, Any]:
    """The schema of a tool's arguments; providers refuse an empty one."""
    return tool.parameters or _NO_PARAMETERS


def _sized(wire: _Wire) -> tuple[_Wire, int]:
    return wire, len(wire.now) + len(wire.later)


def _wire_call(call: FunctionCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": sound_arguments(call.arguments)}
    return {"id": call.call_id, "type": "function", "function": function}


def _wire_tools(tools: tuple[ToolSpec, ...]) -> tuple[msgspec.Raw, int]:
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": parameters_of(tool)} for tool in tools
    ]
    wire = msgspec.json.encode([{"type": "function", "function": function} for function in functions])
    return msgspec.Raw(wire), len(wire)


def _sampling(model: str, options: ChatOptions) -> dict[str, Any]:
    """How to draw the words, under OpenAI's names; None for what is not to be sent."""
    known = family(model)
    keys: dict[str, Any] = {
        "max_completion_tokens" if known.thinks else "max_tokens": options.max_tokens,
        "stop": options.stop or None,
        "seed": options.rng,
        "logit_bias": options.logit_bias or None,
        "response_format": _response_format(options),
        "reasoning_effort": options.reasoning_effort if known.effort else None,
        "verbosity": options.verbosity if known.verbosity else None,
        "user": options.user,
        "metadata": options.metadata or None,
        "store": options.store,
    }
    if known.samples:
        keys["temperature"] = options.temperature
        keys["top_p"] = options.top_p
        keys["frequency_penalty"] = options.frequency_penalty
        keys["presence_penalty"] = options.presence_penalty
    return keys


def _response_format(options: ChatOptions) -> dict[str, Any] | None:
    if options.output is None:
        return None
    output = options.output
    return {
        "type": "json_schema",
        "json_schema": {"name": output.name, "schema": output.schema, "strict": output.strict},
    }
