"""The contract of a language model: messages in, a stream of deltas out, closed as soon as nobody listens.

The tool loop is the agent's, so a client is one method. Messages are the agent's own (``Message``); a client turns
them into its provider's form.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error"]
Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call that the model asks for.

    Attributes:
        call_id: Pairs the call with its result.
        name: The tool's name.
        arguments: The model's own JSON text; may be malformed.
    """

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a conversation, as the model gets it.

    Attributes:
        role: Who says it.
        text: The words; for a tool its result.
        calls: Tool calls of an assistant message.
        call_id: Of a tool message: the call that it answers.
        name: Of a tool message: the tool.
        interrupted: Of an assistant message: the caller cut it; ``text`` is what was heard.
    """

    role: Role
    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    call_id: str | None = None
    name: str | None = None
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it: ``parameters`` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more requests; ``+`` adds."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How to answer; None means the provider's default.

    Attributes:
        tools: What may be called.
        tool_choice: ``none`` forbids calls, ``required`` demands one.
        temperature: 0..2.
        max_tokens: Longest answer.
        stop: Texts that end the answer.
        extra: Further keys of the provider's request.
    """

    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    temperature: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """A piece of an answer.

    Attributes:
        text: New words; may be empty.
        calls: Tool calls that are now whole. A client joins fragments itself.
        finish_reason: On the last delta.
        usage: On the last delta, where the provider tells.
    """

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


class ChatClient(Protocol):
    """A language model, shared by all calls.

    A client that runs the model itself may also have ``async prefill(messages, options)``: read the conversation so
    far into its cache, while the caller still speaks. It is cancelled when the request itself comes.
    """

    name: str
    """``provider/model``, for logs and metrics."""
    notice: str | None
    """One sentence that people must be told about this model, such as that it is the small embedded one."""

    def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once. Closing the generator closes the request within 50 ms, so that no more tokens are made.

        Raises:
            ChatClientException: One of its five leaves.
        """
        ...

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Load, connect, and where the provider can, evaluate these messages and tools into its prefix cache."""
        ...

    async def aclose(self) -> None:
        """Free everything."""
        ...
