"""Chat and function middleware around the loop's requests and calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.agents.deadline import Deadline
from antiphon.agents.middleware import AgentContext, ChatContext, FunctionContext, Middleware, run_through
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate
from antiphon.agents.retry import begin
from antiphon.clock import Clock
from antiphon.errors import MiddlewareException, MiddlewareTermination
from antiphon.models.llm.content import Text
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import RunTool, run_tool, to_text
from antiphon.tools.tool import FunctionTool

NO_RESULT = "Agent middleware gave no result: await call_next(), or set context.result."


async def ask_through(
    layers: Sequence[Middleware],
    client: ChatClient,
    messages: Sequence[Message],
    options: ChatOptions,
    *,
    step: int,
    clock: Clock,
    deadline: Deadline,
) -> tuple[ChatDelta | None, AsyncGenerator[ChatDelta]]:
    """Ask the model inside of chat middleware; see ``antiphon.agents.retry.begin``."""
    context = ChatContext(client, list(messages), options, step)

    async with AsyncExitStack() as opened:

        async def ask() -> None:
            asked = await begin(context.client, context.messages, context.options, clock=clock, deadline=deadline)
            opened.push_async_callback(asked[1].aclose)
            context.result = _from(*asked)

        try:
            await run_through(layers, context, ask)
        except MiddlewareTermination as end:
            await opened.aclose()
            context.result = _answer(end.result)
        if context.result is None:
            raise MiddlewareException("Chat middleware gave no result: await call_next(), or set context.result.")
        with deadline:
            first = await anext(context.result, None)
        opened.pop_all()  # from here on the reader of the result closes it
        return first, context.result


async def tell_through(
    layers: Sequence[Middleware], context: AgentContext, tell: Callable[[], AsyncGenerator[AgentResponseUpdate]]
) -> AsyncGenerator[AgentResponseUpdate]:
    """Run a turn inside of agent middleware, and tell it as it goes.

    Args:
        layers: The middleware.
        context: Of the turn; its ``result`` may be an ``AgentResponse`` when middleware has answered itself.
        tell: Gives the updates of the turn.
    """

    async def inner() -> None:
        context.result = tell()

    try:
        await run_through(layers, context, inner)
    except MiddlewareTermination as end:
        context.result = response_of(end.result, context.agent)
    if isinstance(context.result, AgentResponse):
        yield AgentResponseUpdate((Text(context.result.text),), context.result.agent)
        return
    if context.result is None:
        raise MiddlewareException(NO_RESULT)
    async with aclosing(context.result) as updates:
        async for update in updates:
            yield update


def response_of(result: Any, agent: Agent) -> AgentResponse:
    """What middleware gives in the place of a run."""
    if isinstance(result, AgentResponse):
        return result
    text = result.text if isinstance(result, Message) else str(result) if result is not None else ""
    return AgentResponse(text, (Message("assistant", text, author_name=agent.name),), agent=agent.name)


def tool_runner_through(layers: Sequence[Middleware], ended: Callable[[], None]) -> RunTool:
    """What runs a tool inside of function middleware; ``ended`` is told when one ends the tool loop."""

    async def run(tool: FunctionTool, arguments: dict[str, Any], context: ToolContext) -> Any:
        around = FunctionContext(tool, arguments, context.call_id, context.session_id, context.values)

        async def work() -> None:
            around.result = await run_tool(around.tool, around.arguments, context)

        try:
            await run_through(layers, around, work)
        except MiddlewareTermination as end:
            ended()
            return end.result if end.result is not None else str(end)
        return around.result

    return run


async def _from(delta: ChatDelta | None, deltas: AsyncGenerator[ChatDelta]) -> AsyncGenerator[ChatDelta]:
    """A stream whose first delta was read already."""
    try:
        while delta is not None:
            yield delta
            delta = await anext(deltas, None)
    finally:
        await deltas.aclose()


async def _answer(result: Any) -> AsyncGenerator[ChatDelta]:
    """An answer that middleware gives in the model's place."""
    text = result.text if isinstance(result, Message) else to_text(result) if result is not None else ""
    yield ChatDelta(text)
    yield ChatDelta(finish_reason="stop")
