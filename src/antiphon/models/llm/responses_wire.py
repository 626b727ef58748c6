"""OpenAI's Responses, sans I/O: from messages and options to the body of a request.

The provider keeps nothing unless it is told to: thoughts come back sealed and are sent again with the next request.
Source: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.models.llm.content import Content, FunctionResult, HostedFile, Media, Reasoning
from antiphon.models.llm.contract import ChatOptions, ToolSpec
from antiphon.models.llm.families import family
from antiphon.models.llm.messages import Message
from antiphon.models.llm.openai_wire import media_note, parameters_of, sound_arguments
from antiphon.models.llm.wire_cache import WireCache

_PDF = "application/pdf"


class ResponsesWriter:
    """Writes the requests of one client; keeps the form of messages and tools that it has written.

    Args:
        provider: Whose own contents go back to it.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._messages: WireCache[Message, bytes] = WireCache(self._wire_message)
        self._tools: WireCache[tuple[ToolSpec, ...], msgspec.Raw] = WireCache(_wire_tools)

    def body(self, model: str, messages: Sequence[Message], options: ChatOptions) -> bytes:
        """The JSON body of a streaming request.

        Args:
            model: The provider's name of the model, unless the options name another.
            messages: A valid conversation. Of one that the provider keeps, only what follows its last answer is sent.
            options: None values are not sent.
        """
        model = options.model or model
        kept = options.conversation_id
        instructions = "\n\n".join([message.text for message in messages if message.role == "system"])
        said = [message for message in messages if message.role != "system"]
        body: dict[str, Any] = {
            "model": model,
            "input": self._input(_after_last_answer(said) if kept else said),
            "stream": True,
            "store": bool(kept) if options.store is None else options.store,
        }
        if kept:
            body["conversation" if kept.startswith("conv_") else "previous_response_id"] = kept
        keys = {"instructions": instructions or None, **_sampling(model, options), **self._tool_keys(options)}
        body.update({key: value for key, value in keys.items() if value is not None})
        body.update(options.extra)
        return msgspec.json.encode(body)

    def _tool_keys(self, options: ChatOptions) -> dict[str, Any]:
        if not options.tools:
            return {}
        choice: Any = None if options.tool_choice == "auto" else options.tool_choice
        if options.allowed_tools and choice != "none":
            named = [{"type": "function", "name": name} for name in options.allowed_tools]
            choice = {"type": "allowed_tools", "mode": options.tool_choice, "tools": named}
        return {
            "tools": self._tools.of(options.tools),
            "tool_choice": choice,
            "parallel_tool_calls": options.parallel_tool_calls,
        }

    def _input(self, messages: Sequence[Message]) -> msgspec.Raw:
        parts = [wire for message in messages if (wire := self._messages.of(message))]
        return msgspec.Raw(b"[" + b",".join(parts) + b"]")

    def _wire_message(self, message: Message) -> tuple[bytes, int]:
        items: list[dict[str, Any]] = []
        words: list[dict[str, Any]] = []
        for content in message.contents:
            part = self._part(content, message.role)
            if part is not None:
                words.append(part)
            elif (item := self._item(content)) is not None:
                _flush(words, message.role, items)
                items.append(item)
        _flush(words, message.role, items)
        wire = b",".join([msgspec.json.encode(item) for item in items])
        return wire, len(wire)

    def _part(self, content: Content, role: str) -> dict[str, Any] | None:
        """A content as a part of a message."""
        if content.type == "text" or content.type == "audio":
            words = content.text if content.type == "text" else content.words
            return {"type": "output_text" if role == "assistant" else "input_text", "text": words} if words else None
        if content.type == "uri" and role != "assistant":
            return _wire_media(content)
        if content.type == "hosted_file" and content.provider == self._provider:
            return _wire_file(content)
        return None

    def _item(self, content: Content) -> dict[str, Any] | None:
        """A content as an item of its own."""
        if content.type == "function_call":
            arguments = sound_arguments(content.arguments)
            return {"type": "function_call", "call_id": content.call_id, "name": content.name, "arguments": arguments}
        if content.type == "function_result":
            return {"type": "function_call_output", "call_id": content.call_id, "output": _wire_output(content)}
        if content.type == "text_reasoning":
            return self._wire_thought(content)
        if content.type == "hosted_tool" and content.provider == self._provider:
            return content.payload
        return None

    def _wire_thought(self, thought: Reasoning) -> dict[str, Any] | None:
        if thought.provider != self._provider or thought.protected is None:
            return None
        summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
        item = {"type": "reasoning", "summary": summary, "encrypted_content": thought.protected}
        return {**item, "id": thought.more["id"]} if "id" in thought.more else item


def _flush(words: list[dict[str, Any]], role: str, items: list[dict[str, Any]]) -> None:
    if words:
        items.append({"type": "message", "role": role, "content": list(words)})
        words.clear()


def _after_last_answer(messages: Sequence[Message]) -> Sequence[Message]:
    last = max((place for place, message in enumerate(messages) if message.role == "assistant"), default=-1)
    return messages[last + 1 :]


def _wire_media(media: Media) -> dict[str, Any]:
    if media.media_type.startswith("image/"):
        return {"type": "input_image", "image_url": media.uri}
    if media.media_type == _PDF:
        name = media.name or "file.pdf"
        return {
            "type": "input_file",
            **({"filename": name, "file_data": media.uri} if media.is_inline else {"file_url": media.uri}),
        }
    return {"type": "input_text", "text": media_note(media)}


def _wire_file(file: HostedFile) -> dict[str, Any]:
    is_image = (file.media_type or "").startswith("image/")
    return {"type": "input_image" if is_image else "input_file", "file_id": file.file_id}


def _wire_output(result: FunctionResult) -> str | list[dict[str, Any]]:
    if not result.media:
        return result.text
    text = [{"type": "input_text", "text": result.text}] if result.text else []
    return [*text, *[_wire_media(media) for media in result.media]]


def _wire_tools(tools: tuple[ToolSpec, ...]) -> tuple[msgspec.Raw, int]:
    wire = msgspec.json.encode(
        [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": parameters_of(tool),
                "strict": False,
            }
            for tool in tools
        ]
    )
    return msgspec.Raw(wire), len(wire)


def _sampling(model: str, options: ChatOptions) -> dict[str, Any]:
    known = family(model)
    text: dict[str, Any] = {}
    if options.output is not None:
        output = options.output
        schema = {"type": "json_schema", "name": output.name, "schema": output.schema, "strict": output.strict}
        text["format"] = schema
    if options.verbosity is not None and known.verbosity:
        text["verbosity"] = options.verbosity
    effort = options.reasoning_effort if known.effort else None
    return {
        "max_output_tokens": options.max_tokens,
        "temperature": options.temperature if known.samples else None,
        "top_p": options.top_p if known.samples else None,
        "text": text or None,
        "reasoning": {"effort": effort} if effort is not None else None,
        "include": ["reasoning.encrypted_content"] if known.thinks else None,
        "safety_identifier": options.user,
        "metadata": options.metadata or None,
    }
