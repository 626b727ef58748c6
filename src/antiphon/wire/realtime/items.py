"""The conversation's items: what a client may add, and how items are told."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import msgspec

from antiphon.wire.realtime.fields import MAX_TEXT, Fields, check_size, too_long
from antiphon.wire.realtime.ids import new_id
from antiphon.wire.realtime.options import MAX_NAME
from antiphon.wire.realtime.refusal import invalid_value, missing

Role = Literal["system", "user", "assistant"]
Status = Literal["completed", "incomplete", "in_progress"]

MAX_AUDIO_TEXT = 15 * 1024 * 1024
"""Longest audio in one event, in characters of base64."""

MAX_IMAGE_TEXT = 10 * 1024 * 1024 * 4 // 3
"""Longest image of 10 MiB as a data URI, in characters."""

MAX_IMAGE_TOLD = 262_144
"""Longest image that events repeat: a frame has to stay below what clients accept."""

_IMAGES = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/jpg;base64,")


@dataclass(frozen=True, slots=True)
class ContentPart:
    """A part of a message.

    Attributes:
        type: ``input_text``, ``input_audio``, ``input_image``, ``output_text`` or ``output_audio``.
        text: Of a text part.
        transcript: What an audio part says, where it is known.
        audio: What a client sent, in the session's input format.
        image_url: A data URI.
        detail: How closely to look at an image.
    """

    type: str
    text: str | None = None
    transcript: str | None = None
    audio: bytes | None = field(default=None, repr=False)
    image_url: str | None = field(default=None, repr=False)
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the conversation.

    Attributes:
        id: Ours or the client's.
        type: ``message``, ``function_call``, ``function_call_output``, ``item_reference`` or one of MCP.
        role: Of a message.
        status: How far it has come.
        content: Of a message.
        name: Of a function, or of a tool of MCP.
        call_id: Joins a function's call and its output.
        arguments: JSON text of a call's arguments.
        output: A call's output.
        extra: Further fields of an item of MCP, as they are told.
    """

    id: str
    type: str
    role: Role | None = None
    status: Status = "completed"
    content: tuple[ContentPart, ...] = ()
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None
    output: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_item(value: Any, *, path: str = "item", strict: bool = False, new_id: Callable[[str], str] = new_id) -> Item:
    """An item that a client adds.

    Args:
        value: The client's object, in the names of either dialect.
        path: Where it stands.
        strict: Whether unknown fields, and arguments that are no JSON object, are refused.
        new_id: Makes ids where the client gave none.

    Raises:
        Refusal: The item is wrong; ``param`` is the path of the field at fault.
    """
    item = _read(Fields(value, path, strict=strict), new_id, _READERS)
    check_size(item_object(item), path)
    return item


def read_input(
    values: Any, path: str = "response.input", *, strict: bool = False, new_id: Callable[[str], str] = new_id
) -> tuple[Item, ...]:
    """The context of a single response: items, and references to items of the conversation (``item_reference``).

    Args:
        values: The client's list.
        path: Where it stands.
        strict: As for ``read_item``.
        new_id: As for ``read_item``.

    Raises:
        Refusal: An item is wrong.
    """
    if not isinstance(values, list):
        raise invalid_value(f"'{path}' must be a list of items.", path)
    return tuple(
        _read(Fields(value, f"{path}[{index}]", strict=strict), new_id, _INPUT_READERS)
        for index, value in enumerate(values)
    )


def item_object(item: Item, *, audio: str | None = None) -> dict[str, Any]:
    """The item as events tell it.

    Args:
        item: The item.
        audio: Base64 for its audio part. Only ``conversation.item.retrieved`` carries audio.
    """
    told: dict[str, Any] = {"id": item.id, "object": "realtime.item", "type": item.type, "status": item.status}
    if item.type == "message":
        told["role"] = item.role
        told["content"] = [_content_object(part, audio) for part in item.content]
    for name in ("name", "call_id", "arguments", "output"):
        if (value := getattr(item, name)) is not None:
            told[name] = value
    return {**told, **item.extra}


def part_object(part: ContentPart) -> dict[str, Any]:
    """The part as ``response.content_part.*`` tells it, whose types have other names than an item's content."""
    if part.type == "output_audio":
        return {"type": "audio", "transcript": part.transcript or ""}
    return {"type": "text", "text": part.text or ""}


def decode_audio(text: str, path: str) -> bytes:
    """Audio of an event.

    Args:
        text: Base64.
        path: Where it stands.

    Raises:
        Refusal: It is too long, or no base64.
    """
    if len(text) > MAX_AUDIO_TEXT:
        raise too_long(path, MAX_AUDIO_TEXT)
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise invalid_value(f"'{path}' must be base64.", path) from None


def _content_object(part: ContentPart, audio: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {"type": part.type}
    if part.type in ("input_audio", "output_audio"):
        told["transcript"] = part.transcript
        if audio is not None:
            told["audio"] = audio
    elif part.type == "input_image":
        told["detail"] = part.detail
        if part.image_url is not None and len(part.image_url) <= MAX_IMAGE_TOLD:
            told["image_url"] = part.image_url
    else:
        told["text"] = part.text or ""
    return told


_Reader = Callable[[Fields, str, Callable[[str], str]], Item]


def _read(fields: Fields, new_id: Callable[[str], str], readers: Mapping[str, _Reader]) -> Item:
    kind = fields.choice("type", tuple(readers))
    if kind is None:
        raise missing(fields.where("type"))
    item_id = fields.id("id") or new_id("item")
    # A replayed item carries these; an item that a client adds is always complete.
    fields.get("object")
    fields.get("status")
    item = readers[kind](fields, item_id, new_id)
    fields.close()
    return item


def _read_message(fields: Fields, item_id: str, _: Callable[[str], str]) -> Item:
    role = fields.choice("role", ("system", "user", "assistant", "developer"))
    if role is None:
        raise missing(fields.where("role"))
    # Clients fail at any other role than these three.
    told = cast(Role, "system" if role == "developer" else role)
    values = fields.get("content")
    if values is None:
        raise missing(fields.where("content"))
    if not isinstance(values, list):
        raise fields.refuse("content", "must be a list of parts")
    path = fields.where("content")
    content = tuple(
        _read_part(told, Fields(value, f"{path}[{index}]", strict=fields.strict, parent=fields))
        for index, value in enumerate(values)
    )
    if sum(len(part.text or part.transcript or "") for part in content) > MAX_TEXT:
        raise too_long(path, MAX_TEXT)
    return Item(item_id, "message", told, content=content)


# The types of content by role: the older names, and those of today.
_OLDER_NAMES: Mapping[Role, Mapping[str, str]] = {
    "system": {"text": "input_text"},
    "user": {"text": "input_text", "audio": "input_audio"},
    "assistant": {"text": "output_text", "audio": "output_audio"},
}
_PART_TYPES: Mapping[Role, tuple[str, ...]] = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text", "output_audio"),
}


def _read_part(role: Role, fields: Fields) -> ContentPart:
    older = _OLDER_NAMES[role]
    given = fields.choice("type", (*_PART_TYPES[role], *older))
    if given is None:
        raise missing(fields.where("type"))
    kind = older.get(given, given)
    if kind == "input_audio":
        part = _read_audio(fields)
    elif kind == "input_image":
        part = _read_image(fields)
    else:
        # Speech of the assistant cannot be put into its mouth: only what it says counts.
        part = ContentPart("output_text" if kind == "output_audio" else kind, fields.needed_text("text"))
        for name in ("audio", "transcript") if kind == "output_audio" else ():
            fields.get(name)
    fields.close()
    return part


def _read_audio(fields: Fields) -> ContentPart:
    transcript = fields.text("transcript")
    audio = fields.text("audio", limit=MAX_AUDIO_TEXT)
    if audio is None:
        # A replayed turn has its words only.
        if fields.strict or transcript is None:
            raise missing(fields.where("audio"))
        return ContentPart("input_audio", transcript=transcript)
    return ContentPart("input_audio", transcript=transcript, audio=decode_audio(audio, fields.where("audio")))


def _read_image(fields: Fields) -> ContentPart:
    url = fields.needed_text("image_url", limit=MAX_IMAGE_TEXT)
    if not url.startswith(_IMAGES):
        raise fields.refuse("image_url", "must be a data URI of a PNG or JPEG image in base64")
    detail = fields.choice("detail", ("auto", "low", "high")) or "auto"
    return ContentPart("input_image", image_url=url, detail=detail)


def _read_call(fields: Fields, item_id: str, new_id: Callable[[str], str]) -> Item:
    name = fields.needed_text("name", limit=MAX_NAME)
    arguments = _read_arguments(fields)
    return Item(
        item_id, "function_call", name=name, call_id=fields.id("call_id") or new_id("call"), arguments=arguments
    )


def _read_arguments(fields: Fields) -> str:
    arguments = fields.needed_text("arguments")
    if fields.strict:
        try:
            msgspec.json.decode(arguments, type=dict[str, Any])
        except (ValueError, RecursionError):
            raise fields.refuse("arguments", "must be the JSON text of an object") from None
    return arguments


def _read_output(fields: Fields, item_id: str, _: Callable[[str], str]) -> Item:
    call_id = fields.needed_id("call_id")
    return Item(item_id, "function_call_output", call_id=call_id, output=fields.needed_text("output"))


def _read_reference(fields: Fields, _: str, __: Callable[[str], str]) -> Item:
    return Item(fields.needed_id("id"), "item_reference")


def _read_mcp_tools(fields: Fields, item_id: str, _: Callable[[str], str]) -> Item:
    label = fields.needed_text("server_label", limit=MAX_NAME)
    values = fields.get("tools")
    if not isinstance(values, list):
        raise fields.refuse("tools", "must be a list")
    path = fields.where("tools")
    tools = [
        _read_mcp_tool(Fields(value, f"{path}[{index}]", strict=fields.strict, parent=fields))
        for index, value in enumerate(values)
    ]
    return Item(item_id, "mcp_list_tools", extra={"server_label": label, "tools": tools})


def _read_mcp_tool(fields: Fields) -> dict[str, Any]:
    tool: dict[str, Any] = {"name": fields.needed_text("name", limit=MAX_NAME)}
    if (schema := fields.mapping("input_schema")) is None:
        raise missing(fields.where("input_schema"))
    tool["input_schema"] = schema
    if (description := fields.text("description")) is not None:
        tool["description"] = description
    if (annotations := fields.mapping("annotations")) is not None:
        tool["annotations"] = annotations
    fields.close()
    return tool


def _read_mcp_call(fields: Fields, item_id: str, _: Callable[[str], str]) -> Item:
    extra: dict[str, Any] = {"server_label": fields.needed_text("server_label", limit=MAX_NAME)}
    if (approval := fields.id("approval_request_id")) is not None:
        extra["approval_request_id"] = approval
    if (error := fields.mapping("error")) is not None:
        extra["error"] = error
    return Item(
        item_id,
        "mcp_call",
        name=fields.needed_text("name", limit=MAX_NAME),
        arguments=_read_arguments(fields),
        output=fields.text("output"),
        extra=extra,
    )


def _read_approval_request(fields: Fields, item_id: str, _: Callable[[str], str]) -> Item:
    return Item(
        item_id,
        "mcp_approval_request",
        name=fields.needed_text("name", limit=MAX_NAME),
        arguments=_read_arguments(fields),
        extra={"server_label": fields.needed_text("server_label", limit=MAX_NAME)},
    )


def _read_approval_response(fields: Fields, item_id: str, _: Callable[[str], str]) -> Item:
    extra: dict[str, Any] = {"approval_request_id": fields.needed_id("approval_request_id")}
    approve = fields.flag("approve")
    if approve is None:
        raise missing(fields.where("approve"))
    extra["approve"] = approve
    if (reason := fields.text("reason")) is not None:
        extra["reason"] = reason
    return Item(item_id, "mcp_approval_response", extra=extra)


_READERS: Mapping[str, _Reader] = {
    "message": _read_message,
    "function_call": _read_call,
    "function_call_output": _read_output,
    "mcp_list_tools": _read_mcp_tools,
    "mcp_call": _read_mcp_call,
    "mcp_approval_request": _read_approval_request,
    "mcp_approval_response": _read_approval_response,
}
_INPUT_READERS: Mapping[str, _Reader] = {**_READERS, "item_reference": _read_reference}
