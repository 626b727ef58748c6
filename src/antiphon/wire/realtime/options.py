"""What a session and a single response can both set, read from a client's fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec

from antiphon.wire.realtime.fields import Fields, too_long
from antiphon.wire.realtime.refusal import invalid_value, missing

WireFormat = Literal["pcm", "pcmu", "pcma"]
"""``pcm`` is 16-bit little-endian at 24 000 Hz; ``pcmu`` and ``pcma`` are G.711 at 8 000 Hz. All are mono."""

Modality = Literal["audio", "text"]

MAX_TOOLS = 128
MAX_SCHEMA = 65_536
"""Longest JSON Schema of a function, in characters."""

MAX_NAME = 512
"""Longest name, URL's label or other short text, in characters."""

MAX_URL = 8_192
"""Longest URL of a server, in characters."""

MAX_SERVERS = 16
"""MCP servers of a session or a response."""

_PCM_HZ = 24_000
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OWN_HEADERS = frozenset({"connection", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade"})
_SECRET_KEYS = frozenset({"authorization", "headers"})


def read_modality(fields: Fields, name: str = "output_modalities") -> Modality:
    """``["audio"]`` or ``["text"]``; null is audio, which always comes with its transcript."""
    value = fields.get(name)
    if value is None or value == ["audio"]:
        return "audio"
    if value == ["text"]:
        return "text"
    raise fields.refuse(name, 'must be ["audio"] or ["text"]')


def read_max_tokens(fields: Fields, name: str = "max_output_tokens") -> int | None:
    """1 to 4096; None for ``inf`` and null."""
    return None if fields.get(name) == "inf" else fields.integer(name, 1, 4_096)


def read_format(fields: Fields, name: str = "format") -> WireFormat:
    """The audio format; null is PCM."""
    within = fields.fields(name)
    if within is None:
        return "pcm"
    kind = within.choice("type", ("audio/pcm", "audio/pcmu", "audio/pcma"))
    if kind is None:
        raise missing(within.where("type"))
    if kind == "audio/pcm" and within.get("rate") not in (None, _PCM_HZ):
        raise within.refuse("rate", f"must be {_PCM_HZ}")
    within.close()
    return cast(WireFormat, kind.removeprefix("audio/"))


def format_object(value: WireFormat) -> dict[str, Any]:
    """The format as events tell it."""
    return {"type": "audio/pcm", "rate": _PCM_HZ} if value == "pcm" else {"type": f"audio/{value}"}


def read_voice(fields: Fields, name: str = "voice") -> str | None:
    """The voice's name, also from ``{"id": …}``; None for null and an empty text."""
    if not isinstance(fields.get(name), Mapping):
        return fields.text(name, limit=MAX_NAME) or None
    within = Fields(fields.get(name), fields.where(name), strict=fields.strict, parent=fields)
    voice = within.needed_text("id", limit=MAX_NAME)
    within.close()
    return voice or None


def read_prompt(fields: Fields, name: str = "prompt") -> dict[str, Any] | None:
    """A stored prompt's ``id``, ``version`` and ``variables``, or None."""
    within = fields.fields(name)
    if within is None:
        return None
    prompt: dict[str, Any] = {"id": within.needed_text("id", limit=MAX_NAME)}
    if (version := within.text("version", limit=MAX_NAME)) is not None:
        prompt["version"] = version
    if (variables := within.mapping("variables")) is not None:
        prompt["variables"] = variables
    within.close()
    return prompt


def read_reasoning(
    fields: Fields, current: Mapping[str, Any] | None, *, name: str = "reasoning"
) -> dict[str, Any] | None:
    """How hard the model thinks, merged into what is set now; None is the model's own."""
    within = fields.fields(name)
    if within is None:
        return None
    merged = dict(current or {})
    if "effort" in within:
        effort = within.choice("effort", ("minimal", "low", "medium", "high", "xhigh"))
        merged = {} if effort is None else {"effort": effort}
    within.close()
    return merged or None


def read_tool_choice(fields: Fields, name: str = "tool_choice") -> str | dict[str, Any]:
    """``none``, ``auto``, ``required``, or an object that names a function or an MCP server; null is ``auto``."""
    if not isinstance(fields.get(name), Mapping):
        return fields.choice(name, ("none", "auto", "required")) or "auto"
    within = Fields(fields.get(name), fields.where(name), strict=fields.strict, parent=fields)
    kind = within.choice("type", ("function", "mcp"))
    if kind is None:
        raise missing(within.where("type"))
    choice: dict[str, Any] = {"type": kind}
    if kind == "function":
        choice["name"] = within.needed_text("name", limit=MAX_NAME)
    else:
        choice["server_label"] = within.needed_text("server_label", limit=MAX_NAME)
        if (tool := within.text("name", limit=MAX_NAME)) is not None:
            choice["name"] = tool
    within.close()
    return choice


def read_tools(fields: Fields, name: str = "tools") -> tuple[dict[str, Any], ...]:
    """The functions and MCP servers, each with its documented fields only; null is none."""
    values = fields.get(name)
    if values is None:
        return ()
    if not isinstance(values, list) or len(values) > MAX_TOOLS:
        raise fields.refuse(name, f"must be a list of at most {MAX_TOOLS} tools")
    path = fields.where(name)
    tools = tuple(
        _read_tool(Fields(value, f"{path}[{index}]", strict=fields.strict, parent=fields))
        for index, value in enumerate(values)
    )
    labels = [tool["server_label"] for tool in tools if tool["type"] == "mcp"]
    if len(labels) > MAX_SERVERS:
        raise fields.refuse(name, f"must hold at most {MAX_SERVERS} MCP servers")
    if len(set(labels)) < len(labels):
        raise fields.refuse(name, "must give each MCP server a server_label of its own")
    return tools


def tool_objects(tools: tuple[Mapping[str, Any], ...]) -> list[dict[str, Any]]:
    """The tools as events tell them: without what a server's key could be read from."""
    return [{key: value for key, value in tool.items() if key not in _SECRET_KEYS} for tool in tools]


def _read_tool(fields: Fields) -> dict[str, Any]:
    kind = fields.choice("type", ("function", "mcp"))
    if kind is None:
        raise missing(fields.where("type"))
    tool = _read_function(fields) if kind == "function" else _read_mcp(fields)
    fields.close()
    return {"type": kind, **tool}


def _read_function(fields: Fields) -> dict[str, Any]:
    function: dict[str, Any] = {"name": fields.needed_text("name", limit=MAX_NAME)}
    if (description := fields.text("description")) is not None:
        function["description"] = description
    if (parameters := fields.mapping("parameters")) is not None:
        if len(msgspec.json.encode(parameters)) > MAX_SCHEMA:
            raise too_long(fields.where("parameters"), MAX_SCHEMA)
        function["parameters"] = parameters
    return function


def _read_mcp(fields: Fields) -> dict[str, Any]:
    for name in ("connector_id", "tunnel_id"):
        if fields.get(name) is not None:
            raise fields.refuse(name, "is not served here: give the server's URL as server_url")
    server: dict[str, Any] = {
        "server_label": fields.needed_text("server_label", limit=MAX_NAME),
        "server_url": _read_url(fields),
        "authorization": _read_authorization(fields),
        "headers": _read_headers(fields),
        "server_description": fields.text("server_description"),
        "allowed_tools": _read_allowed(fields),
        "require_approval": _read_approval(fields),
        "allowed_callers": fields.texts("allowed_callers"),
        "defer_loading": fields.flag("defer_loading"),
    }
    return {key: value for key, value in server.items() if value is not None}


def _read_url(fields: Fields) -> str:
    url = fields.needed_text("server_url", limit=MAX_URL)
    if not url.startswith(("http://", "https://")):
        raise fields.refuse("server_url", "must begin with https:// or http://")
    return url


def _read_authorization(fields: Fields) -> str | None:
    token = fields.text("authorization")
    if token is not None and not _HEADER_VALUE.fullmatch(token):
        raise fields.refuse("authorization", "must be printable ASCII, as HTTP headers have it")
    return token


def _read_headers(fields: Fields) -> dict[str, str] | None:
    headers = fields.mapping("headers")
    if headers is None:
        return None
    for name, value in headers.items():
        # What cannot be sent would be told in a log, by whoever refuses to send it.
        if not _HEADER_NAME.fullmatch(name) or not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise fields.refuse("headers", "must hold names and printable ASCII texts as HTTP headers have them")
        if name.lower() in _OWN_HEADERS:
            raise fields.refuse("headers", f"must not hold {name.lower()}, which the connection sets itself")
    return headers


def _read_filter(fields: Fields) -> dict[str, Any]:
    values = {"tool_names": fields.texts("tool_names"), "read_only": fields.flag("read_only")}
    fields.close()
    return {key: value for key, value in values.items() if value is not None}


def _read_allowed(fields: Fields) -> list[str] | dict[str, Any] | None:
    if not isinstance(fields.get("allowed_tools"), Mapping):
        return fields.texts("allowed_tools")
    within = fields.fields("allowed_tools")
    return None if within is None else _read_filter(within)


def _read_approval(fields: Fields) -> str | dict[str, Any] | None:
    if not isinstance(fields.get("require_approval"), Mapping):
        return fields.choice("require_approval", ("always", "never"))
    approval: dict[str, Any] = {}
    if within := fields.fields("require_approval"):
        for name in ("always", "never"):
            if (of_name := within.fields(name)) is not None:
                approval[name] = _read_filter(of_name)
        within.close()
    return approval


def read_metadata(fields: Fields, name: str = "metadata") -> dict[str, str] | None:
    """At most 16 values by short names; what is no text is told as JSON."""
    values = fields.mapping(name)
    if values is None:
        return None
    if len(values) > 16:
        raise fields.refuse(name, "must hold at most 16 keys")
    metadata: dict[str, str] = {}
    for key, value in values.items():
        path = f"{fields.where(name)}.{key[:64]}"
        if len(key) > 64:
            raise too_long(path, 64)
        metadata[key] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if len(metadata[key]) > 512:
            raise too_long(path, 512)
    return metadata


def read_truncation(fields: Fields, name: str = "truncation") -> str | dict[str, Any]:
    """What happens when the context is full; null is ``auto``."""
    if not isinstance(fields.get(name), Mapping):
        return fields.choice(name, ("auto", "disabled")) or "auto"
    within = Fields(fields.get(name), fields.where(name), strict=fields.strict, parent=fields)
    if within.choice("type", ("retention_ratio",)) is None:
        raise missing(within.where("type"))
    ratio = within.number("retention_ratio", 0.0, 1.0)
    if ratio is None:
        raise missing(within.where("retention_ratio"))
    truncation: dict[str, Any] = {"type": "retention_ratio", "retention_ratio": ratio}
    if limits := within.fields("token_limits"):
        if (after := limits.integer("post_instructions", 0, 2**31)) is not None:
            truncation["token_limits"] = {"post_instructions": after}
        limits.close()
    within.close()
    return truncation


def read_tracing(fields: Fields, name: str = "tracing") -> str | dict[str, Any] | None:
    """None, ``auto``, or the trace's name, group and metadata."""
    if not isinstance(fields.get(name), Mapping):
        return fields.choice(name, ("auto",))
    within = Fields(fields.get(name), fields.where(name), strict=fields.strict, parent=fields)
    values = {
        "workflow_name": within.text("workflow_name", limit=MAX_NAME),
        "group_id": within.text("group_id", limit=MAX_NAME),
        "metadata": within.mapping("metadata"),
    }
    within.close()
    return {key: value for key, value in values.items() if value is not None}


def read_include(fields: Fields, name: str = "include") -> tuple[str, ...] | None:
    """Extra fields that the client wants, or None."""
    values = fields.texts(name)
    known = "item.input_audio_transcription.logprobs"
    if values is not None and any(value != known for value in values):
        raise invalid_value(f"'{fields.where(name)}' may hold {known} only.", fields.where(name))
    return None if values is None else tuple(values)
