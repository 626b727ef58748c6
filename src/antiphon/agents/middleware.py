"""Middleware: code around a run, a request to the model, or a call of a tool.

    async def log_tools(context: FunctionContext, call_next: CallNext) -> None:
        await call_next()
        print(context.tool.name, context.result)

The annotation of the first parameter says what it is put around; ``@agent_middleware``, ``@chat_middleware`` and
``@function_middleware`` say it for code without annotations. The first of a list is the outermost.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.session import AgentSession

Layer = Literal["agent", "chat", "function"]
CallNext = Callable[[], Awaitable[None]]
Middleware = Callable[[Any, CallNext], Awaitable[None]]


@dataclass(slots=True, eq=False)
class AgentContext:
    """Around a run.

    Attributes:
        agent: Who answers.
        session: The conversation.
        messages: The new messages; may be changed before ``call_next``.
        stream: Whether the caller reads updates.
        result: After ``call_next``: the ``AgentResponse``, or the stream of updates where ``stream`` is set. What is
            put here is what the caller gets.
        metadata: Shared by the middleware of this run.
    """

    agent: Agent
    session: AgentSession
    messages: list[Message]
    stream: bool
    result: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class ChatContext:
    """Around one request to the model.

    Attributes:
        client: The model.
        messages: The request; may be changed before ``call_next``.
        options: How to answer; may be changed before ``call_next``.
        step: The number of the request in this run, from 0.
        result: After ``call_next``: the stream of ``ChatDelta``, which may be replaced by another.
        metadata: Shared by the middleware of this request.
    """

    client: ChatClient
    messages: list[Message]
    options: ChatOptions
    step: int
    result: AsyncGenerator[ChatDelta] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class FunctionContext:
    """Around one call of a tool.

    Attributes:
        tool: What is called.
        arguments: Checked; may be changed before ``call_next``.
        call_id: The call.
        session_id: The conversation.
        values: What the application handed to the run.
        result: After ``call_next``: what the function returned; what is put here is what the model reads.
        metadata: Shared by the middleware of this call.
    """

    tool: FunctionTool
    arguments: dict[str, Any]
    call_id: str
    session_id: str
    values: Mapping[str, Any]
    result: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)


_CONTEXTS: dict[Any, Layer] = {AgentContext: "agent", ChatContext: "chat", FunctionContext: "function"}


def agent_middleware(middleware: Middleware) -> Middleware:
    """Say that a function without annotations goes around the run."""
    return _marked(middleware, "agent")


def chat_middleware(middleware: Middleware) -> Middleware:
    """Say that a function without annotations goes around each request to the model."""
    return _marked(middleware, "chat")


def function_middleware(middleware: Middleware) -> Middleware:
    """Say that a function without annotations goes around each call of a tool."""
    return _marked(middleware, "function")


def by_layer(given: Iterable[Middleware]) -> dict[Layer, tuple[Middleware, ...]]:
    """Middleware by what it goes around, in order.

    Raises:
        ValueError: One does not say it.
    """
    found: dict[Layer, list[Middleware]] = {"agent": [], "chat": [], "function": []}
    for middleware in given:
        found[_layer_of(middleware)].append(middleware)
    return {layer: tuple(members) for layer, members in found.items()}


async def run_through(middleware: Sequence[Middleware], context: Any, inner: CallNext) -> None:
    """Run ``inner`` inside of all middleware."""
    call = inner
    for each in reversed(middleware):
        call = partial(each, context, call)
    await call()


def _marked(middleware: Middleware, layer: Layer) -> Middleware:
    middleware.antiphon_layer = layer  # type: ignore[attr-defined]
    return middleware


def _layer_of(middleware: Middleware) -> Layer:
    marked: Layer | None = getattr(middleware, "antiphon_layer", None)
    if marked is not None:
        return marked
    function = middleware if inspect.isroutine(middleware) else type(middleware).__call__
    names = [name for name in inspect.signature(middleware).parameters if name != "self"]
    try:
        hint = get_type_hints(function).get(names[0]) if names else None
    except NameError:
        hint = None
    if hint not in _CONTEXTS:
        name = getattr(middleware, "__name__", type(middleware).__name__)
        raise ValueError(
            f"Middleware {name!r} does not say what it goes around: annotate its first parameter with AgentContext, "
            "ChatContext or FunctionContext, or mark it with @agent_middleware, @chat_middleware or "
            "@function_middleware."
        )
    return _CONTEXTS[hint]
