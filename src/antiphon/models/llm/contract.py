"""The contract of a language model: messages in, a stream of deltas out, closed as soon as nobody listens.

The tool loop is the agent's, so a client is one method. Messages are the agent's own, see
``antiphon.models.llm.messages``; a client turns them into its provider's form.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from antiphon.models.llm.content import Content, FunctionCall, Usage
from antiphon.models.llm.messages import Message

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error"]
ToolChoice = Literal["auto", "none", "required"]
Feature = Literal["tools", "parallel_tools", "json_schema", "images", "audio", "reasoning"]

BASIC_FEATURES: frozenset[Feature] = frozenset({"tools", "parallel_tools"})
"""What a client can do that does not say what it ``supports``."""


MAX_TOOLS = 128


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it: ``parameters`` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """The form that the whole answer must have.

    Attributes:
        schema: JSON Schema, without references where that is possible.
        name: For the provider.
        strict: Ask the provider to hold the model to it.
    """

    schema: Mapping[str, Any]
    name: str = "answer"
    strict: bool = True


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How to answer; None means the provider's default, and is not sent.

    Attributes:
        tools: What may be called.
        tool_choice: ``none`` forbids calls, ``required`` demands one.
        allowed_tools: Only these of the tools may be called; empty for all.
        parallel_tool_calls: Whether one answer may hold several calls.
        model: Another model of the same provider.
        temperature: 0..2.
        top_p: 0..1.
        max_tokens: Longest answer.
        stop: Texts that end the answer.
        rng: Start of the random numbers, for answers that can be repeated.
        frequency_penalty: -2..2.
        presence_penalty: -2..2.
        logit_bias: By token.
        output: The form that the answer must have.
        reasoning_effort: ``low``, ``medium``, ``high`` and what else the model knows; sent to models that think.
        verbosity: ``low``, ``medium``, ``high``; sent to models that know it.
        user: Who asks, in the provider's sense.
        metadata: For the provider's log.
        store: Whether the provider keeps the answer.
        conversation_id: A history that the provider keeps.
        extra: Further keys of the provider's request.
        headers: Further headers of the provider's request.

    Raises:
        ValueError: There are more than 128 tools.
    """

    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    allowed_tools: tuple[str, ...] = ()
    parallel_tool_calls: bool | None = None
    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    rng: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[str, float] = field(default_factory=dict)
    output: OutputFormat | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    user: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    store: bool | None = None
    conversation_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.tools) > MAX_TOOLS:
            raise ValueError(
                f"A model is offered {MAX_TOOLS} tools at most, not {len(self.tools)}: leave some out, such as with an "
                "MCP server's allowed_tools, or give them to another agent."
            )


class ChatDelta(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A piece of an answer.

    Attributes:
        text: New words; may be empty.
        calls: Tool calls that are now whole. A client joins fragments itself.
        finish_reason: On the last delta.
        usage: On the last delta, where the provider tells.
        reasoning: New words of the model's thoughts; never spoken.
        contents: What else belongs into the message: sealed thoughts, hosted tools, images.
        response_id: The provider's id of the answer, on any delta.
        model: The model that answers, as the provider names it, on any delta.
        conversation_id: Where the provider keeps the history.
        client: Name of the client that answers, of several that stand in for each other; on the first delta.
    """

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    reasoning: str = ""
    contents: tuple[Content, ...] = ()
    response_id: str | None = None
    model: str | None = None
    conversation_id: str | None = None
    client: str | None = None


class ChatClient(Protocol):
    """A language model, shared by all calls.

    Read where a client has them, and not asked for otherwise:

    - ``supports``: the ``Feature`` names that it can do; ``BASIC_FEATURES`` unless given.
    - ``context_window``: tokens that a request and its answer may have together.
    - ``base_url``: where it asks, without user, password and query; for traces.
    - ``async prefill(messages, options)``, of a client that runs the model itself: read the conversation so far into
      its cache, while the caller still speaks. It is cancelled when the request itself comes.
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


def supports(client: ChatClient, feature: Feature) -> bool:
    """Whether a client says that it can do something."""
    features: frozenset[Feature] = getattr(client, "supports", BASIC_FEATURES)
    return feature in features
