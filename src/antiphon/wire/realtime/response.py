"""One response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from antiphon.wire.realtime.items import Item
from antiphon.wire.realtime.session import Modality, SessionConfig, WireFormat

ResponseStatus = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]


@dataclass(frozen=True, slots=True)
class ResponseConfig:
    modality: Modality
    instructions: str
    output_format: WireFormat
    voice: str
    speed: float
    tools: tuple[Mapping[str, Any], ...] = field(repr=False)
    tool_choice: str | Mapping[str, Any]
    max_output_tokens: int | None
    parallel_tool_calls: bool
    reasoning: Mapping[str, Any] | None = None
    prompt: Mapping[str, Any] | None = None
    metadata: Mapping[str, str] | None = None
    conversation: str = "auto"
    input: tuple[Item, ...] | None = None
    ignored: int = field(default=0, compare=False)


def response_config(session: SessionConfig, response: Mapping[str, Any], *, strict: bool = False) -> ResponseConfig:
    raise NotImplementedError


def response_object(
    response_id: str,
    config: ResponseConfig,
    *,
    conversation_id: str | None,
    status: ResponseStatus = "in_progress",
    reason: str | None = None,
    error: Mapping[str, Any] | None = None,
    output: Sequence[Mapping[str, Any]] = (),
    usage: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    raise NotImplementedError


def usage_object(
    *,
    input_text: int = 0,
    input_audio: int = 0,
    input_image: int = 0,
    cached_text: int = 0,
    cached_audio: int = 0,
    cached_image: int = 0,
    output_text: int = 0,
    output_audio: int = 0,
) -> dict[str, Any]:
    raise NotImplementedError


def transcription_usage(seconds: float) -> dict[str, Any]:
    raise NotImplementedError
