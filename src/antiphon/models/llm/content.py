"""What a message is made of: one small frozen type for each kind of content, told apart by ``type``.

Text, audio and media are said; calls and results are done; approvals and input are asked for; progress, fillers,
handoffs and usage are told while a run goes on. JSON keeps everything: a type, or a key of a known type, that this
version does not know comes out as it went in.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

import msgspec

ResultStatus = Literal["ok", "error", "timeout", "rejected", "interrupted", "pending", "unknown"]
"""What came of a call; ``unknown``: the process died while it ran."""
ApprovalScope = Literal["once", "session", "always"]
HandoffType = Literal["announced", "discrete"]


class Part(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True, kw_only=True, tag_field="type"):
    """What all contents share.

    Attributes:
        more: Keys that a newer version has written.
    """

    type: ClassVar[str]
    more: dict[str, Any] = {}


class Text(Part, frozen=True, tag="text"):
    """Words.

    Attributes:
        text: The words.
        annotations: What a provider says of them, such as citations.
    """

    type: ClassVar[Literal["text"]] = "text"
    text: str
    annotations: tuple[dict[str, Any], ...] = ()


class Reasoning(Part, frozen=True, tag="text_reasoning"):
    """What a model thought. Never spoken, and sent to no other provider than the one it came from.

    Attributes:
        text: The thought, where the provider shows it.
        protected: The provider's sealed form of it.
        provider: Where it came from.
    """

    type: ClassVar[Literal["text_reasoning"]] = "text_reasoning"
    text: str = ""
    protected: str | None = None
    provider: str | None = None


class Media(Part, frozen=True, tag="uri"):
    """An image or another file, by address; small ones lie in a ``data:`` URI.

    Attributes:
        uri: ``https:`` or ``data:``.
        media_type: Such as ``image/png``.
        name: For people.
    """

    type: ClassVar[Literal["uri"]] = "uri"
    uri: str
    media_type: str
    name: str | None = None

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str, name: str | None = None) -> Media:
        """A file that lies in the message itself."""
        return cls(f"data:{media_type};base64,{base64.b64encode(data).decode()}", media_type, name)

    @property
    def is_inline(self) -> bool:
        """Whether the bytes lie in ``uri``."""
        return self.uri.startswith("data:")

    @property
    def base64(self) -> str:
        """The bytes of an inline file, as base64; empty for another."""
        return self.uri.partition(";base64,")[2] if self.is_inline else ""


class Audio(Part, frozen=True, tag="audio"):
    """Sound that was said or heard; its bytes lie elsewhere, under ``ref``.

    Attributes:
        media_type: Such as ``audio/pcmu``.
        rate_hz: Samples per second.
        duration_ms: Length.
        transcript: The words of all of it.
        alignment: Pairs of a character's place in the transcript and the time in ms at which it has been said.
        heard_ms: How much of it was heard; None for all.
        heard_text: The words of that part.
        ref: Where the bytes are.
    """

    type: ClassVar[Literal["audio"]] = "audio"
    media_type: str = "audio/pcm"
    rate_hz: int | None = None
    duration_ms: float | None = None
    transcript: str = ""
    alignment: tuple[tuple[int, float], ...] = ()
    heard_ms: float | None = None
    heard_text: str | None = None
    ref: str | None = None

    @property
    def words(self) -> str:
        """What was heard of it, in words."""
        return self.transcript if self.heard_text is None else self.heard_text


class FunctionCall(Part, frozen=True, tag="function_call"):
    """A call that the model asks for.

    Attributes:
        call_id: Pairs the call with its result.
        name: The tool's name.
        arguments: The model's own JSON text; may be malformed.
    """

    type: ClassVar[Literal["function_call"]] = "function_call"
    call_id: str
    name: str
    arguments: str


class FunctionResult(Part, frozen=True, tag="function_result"):
    """What came of a call.

    Attributes:
        call_id: The call that this answers.
        name: The tool.
        status: ``ok``, or why the text is no answer.
        text: What the model reads.
        duration_ms: How long it took.
        media: Images and files that the tool gave besides its text.
        exception: What went wrong, for people; no model sees it.
        requests: What a person has to decide before there is a result; of an agent that runs as a tool.
    """

    type: ClassVar[Literal["function_result"]] = "function_result"
    call_id: str
    name: str
    status: ResultStatus = "ok"
    text: str = ""
    duration_ms: float = 0.0
    media: tuple[Media, ...] = ()
    exception: str | None = None
    requests: tuple[ApprovalRequest, ...] = ()


class ApprovalRequest(Part, frozen=True, tag="approval_request"):
    """A call that a person has to approve before it runs. Answer it with ``approve()`` or ``reject()``.

    Attributes:
        id: Of the request.
        call: What would run.
        prompt: For the person who decides; sensitive arguments are masked.
        expires_at: ISO time at which it counts as rejected; None for never.
        agent: The name of the agent that called.
        within: The call of that agent as a tool, where it runs as one: the decision goes on into it.
    """

    type: ClassVar[Literal["approval_request"]] = "approval_request"
    id: str
    call: FunctionCall
    prompt: str = ""
    expires_at: str | None = None
    agent: str = ""
    within: FunctionCall | None = None

    def approve(self, scope: ApprovalScope = "once") -> ApprovalResponse:
        """Let this call run; ``session``: and any further call of this tool in the conversation."""
        return ApprovalResponse(self.id, True, call=self.call, scope=scope)

    def reject(self, reason: str = "") -> ApprovalResponse:
        """Do not let it run; the model reads the reason."""
        return ApprovalResponse(self.id, False, call=self.call, reason=reason)


class ApprovalResponse(Part, frozen=True, tag="approval_response"):
    """A person's decision.

    Attributes:
        id: Of the request.
        approved: Whether the call may run.
        call: What was approved; another call or other arguments than the request's are refused.
        reason: For the model.
        scope: How far the approval goes.
    """

    type: ClassVar[Literal["approval_response"]] = "approval_response"
    id: str
    approved: bool
    call: FunctionCall | None = None
    reason: str = ""
    scope: ApprovalScope = "once"


class InputRequest(Part, frozen=True, tag="input_request"):
    """A question to a person, asked by a tool's server or a workflow."""

    type: ClassVar[Literal["input_request"]] = "input_request"
    id: str
    data: Any = None
    response_schema: dict[str, Any] = {}


class InputResponse(Part, frozen=True, tag="input_response"):
    """The answer to an ``InputRequest``."""

    type: ClassVar[Literal["input_response"]] = "input_response"
    id: str
    value: Any = None


class LateResult(Part, frozen=True, tag="late_result"):
    """The result of a call that the model has been told to wait for."""

    type: ClassVar[Literal["late_result"]] = "late_result"
    call: FunctionCall
    result: FunctionResult


class ErrorNote(Part, frozen=True, tag="error"):
    """Something that went wrong, for the record."""

    type: ClassVar[Literal["error"]] = "error"
    code: str
    message: str = ""


class HostedFile(Part, frozen=True, tag="hosted_file"):
    """A file that lies at a provider; sent to that provider only."""

    type: ClassVar[Literal["hosted_file"]] = "hosted_file"
    file_id: str
    provider: str
    media_type: str | None = None


class HostedTool(Part, frozen=True, tag="hosted_tool"):
    """A step of a tool that the provider runs itself, in the provider's form; sent to that provider only."""

    type: ClassVar[Literal["hosted_tool"]] = "hosted_tool"
    provider: str
    payload: dict[str, Any] = {}


class Usage(Part, frozen=True, tag="usage"):
    """Tokens of one or more requests; ``+`` adds key by key.

    Attributes:
        input_tokens: All that was read, cached or not.
        output_tokens: All that was written, thoughts included.
        cache_read_tokens: Of the input, what came from the provider's cache.
        cache_write_tokens: Of the input, what was put there.
        reasoning_tokens: Of the output, the thoughts.
        other: Further counts of the provider.
    """

    type: ClassVar[Literal["usage"]] = "usage"
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    other: dict[str, int] = {}

    @property
    def total_tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens

    def __add__(self, added: Usage) -> Usage:
        other = self.other
        if added.other:
            other = {name: other.get(name, 0) + added.other.get(name, 0) for name in {**other, **added.other}}
        return Usage(
            self.input_tokens + added.input_tokens,
            self.output_tokens + added.output_tokens,
            self.cache_read_tokens + added.cache_read_tokens,
            self.cache_write_tokens + added.cache_write_tokens,
            self.reasoning_tokens + added.reasoning_tokens,
            other,
        )


class ToolStarted(Part, frozen=True, tag="tool_started"):
    """A call begins to run."""

    type: ClassVar[Literal["tool_started"]] = "tool_started"
    call: FunctionCall


class ToolProgress(Part, frozen=True, tag="tool_progress"):
    """A tool tells how far it is."""

    type: ClassVar[Literal["tool_progress"]] = "tool_progress"
    call: FunctionCall
    text: str


class ToolFinished(Part, frozen=True, tag="tool_finished"):
    """A call has its result. Results come as they are there, not in the order of the calls."""

    type: ClassVar[Literal["tool_finished"]] = "tool_finished"
    call: FunctionCall
    result: FunctionResult


class Filler(Part, frozen=True, tag="filler"):
    """Words for a caller who waits for a slow tool. Never part of the answer or of the history."""

    type: ClassVar[Literal["filler"]] = "filler"
    text: str
    call_id: str = ""


class HandedOff(Part, frozen=True, tag="handoff"):
    """Another agent goes on. Agents are named."""

    type: ClassVar[Literal["handoff"]] = "handoff"
    source: str
    target: str
    handoff_type: HandoffType = "announced"
    reason: str = ""


class AgentToolStarted(Part, frozen=True, tag="agent_tool_started"):
    """A small agent asks the caller for something, and the agent that has called it as a tool waits.

    Attributes:
        call: The call, which has its result when that is over.
        tool_type: What is asked for, such as ``collect_email``.
    """

    type: ClassVar[Literal["agent_tool_started"]] = "agent_tool_started"
    call: FunctionCall
    tool_type: str = ""


class AgentToolEnded(Part, frozen=True, tag="agent_tool_ended"):
    """It is over, and the agent that has waited goes on; values that nobody may read are masked in ``result``."""

    type: ClassVar[Literal["agent_tool_ended"]] = "agent_tool_ended"
    call: FunctionCall
    result: FunctionResult
    tool_type: str = ""


class Unknown(msgspec.Struct, frozen=True):
    """A content of a type that this version does not know; it is kept, and sent to no model.

    Attributes:
        fields: The whole content, its type included.
    """

    type: ClassVar[Literal["unknown"]] = "unknown"
    fields: dict[str, Any]


Known = (
    Text
    | Reasoning
    | Media
    | Audio
    | FunctionCall
    | FunctionResult
    | ApprovalRequest
    | ApprovalResponse
    | InputRequest
    | InputResponse
    | LateResult
    | ErrorNote
    | HostedFile
    | HostedTool
    | Usage
    | ToolStarted
    | ToolProgress
    | ToolFinished
    | Filler
    | HandedOff
    | AgentToolStarted
    | AgentToolEnded
)
Content = Known | Unknown

TYPES: Mapping[str, type[Part]] = {kind.type: kind for kind in Part.__subclasses__()}
"""The known types by their name in JSON."""
_INNER = ("call", "result", "media")
"""Fields that hold contents themselves."""


def content_to_dict(content: Content) -> dict[str, Any]:
    """The JSON form of a content; what has its default is left out."""
    if content.type == "unknown":
        return dict(content.fields)
    fields: dict[str, Any] = _unfolded(msgspec.to_builtins(content))
    return fields


def content_from_dict(fields: Mapping[str, Any]) -> Content:
    """A content from its JSON form.

    Raises:
        ValueError: It has no type, or a known type with values that do not fit.
    """
    name = fields.get("type")
    if not isinstance(name, str):
        raise ValueError("A content needs a type, such as {'type': 'text', 'text': 'Hello.'}.")
    kind = TYPES.get(name)
    if kind is None:
        return Unknown(dict(fields))
    return cast("Known", msgspec.convert(_folded(fields), kind))


def _unfolded(value: Any) -> Any:
    """Keys of a newer version beside the known ones, as they came."""
    if isinstance(value, list | tuple):
        return [_unfolded(item) for item in value]
    more = value.pop("more", {})
    return {**{name: _unfolded(part) if name in _INNER else part for name, part in value.items()}, **more}


def _folded(value: Any) -> Any:
    """Keys that are not known put into ``more``, where msgspec keeps them."""
    if isinstance(value, list | tuple):
        return [_folded(item) for item in value]
    kind = TYPES.get(str(value.get("type"))) if isinstance(value, Mapping) else None
    if kind is None:
        return value
    known = {"type", *kind.__struct_fields__} - {"more"}
    folded = {name: _folded(part) if name in _INNER else part for name, part in value.items() if name in known}
    return {**folded, "more": {name: part for name, part in value.items() if name not in known}}
