"""The pieces of a run, in the order in which they happen. ``type`` tells them apart without ``isinstance``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from antiphon.models.llm.contract import FunctionCall, Message, Usage
from antiphon.tools.invoke import ToolResult

RunFinish = Literal["stop", "length", "content_filter", "limit", "error"]
Limit = Literal["max_model_steps", "max_tool_calls", "max_consecutive_errors", "max_seconds"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """New words of the answer. All deltas of a run, joined, are its text."""

    type: ClassVar[Literal["text"]] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class CallsRequested:
    """The model asks for calls. ``message`` is the assistant message that carries them, with the step's text."""

    type: ClassVar[Literal["calls"]] = "calls"
    message: Message


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call begins to run."""

    type: ClassVar[Literal["call_started"]] = "call_started"
    call: FunctionCall


@dataclass(frozen=True, slots=True)
class CallProgress:
    """A tool tells how far it is."""

    type: ClassVar[Literal["call_progress"]] = "call_progress"
    call: FunctionCall
    text: str


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A call has its result. Results come as they are there, not in the order of the calls."""

    type: ClassVar[Literal["call_finished"]] = "call_finished"
    call: FunctionCall
    result: ToolResult


@dataclass(frozen=True, slots=True)
class Filler:
    """Words for a caller who waits for a slow tool. Never part of the answer or of the history."""

    type: ClassVar[Literal["filler"]] = "filler"
    text: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last update of a run that was not ended early.

    Attributes:
        messages: What the run adds to the history, in order, every call with its result.
        usage: The sum over all requests.
        finish_reason: ``limit`` when a limit was met.
        limit_hit: Which one.
    """

    type: ClassVar[Literal["finished"]] = "finished"
    messages: tuple[Message, ...]
    usage: Usage
    finish_reason: RunFinish
    limit_hit: Limit | None = None


CallUpdate = CallStarted | CallProgress | CallFinished | Filler
Update = TextDelta | CallsRequested | CallUpdate | Finished
