"""Text conversations: a session that keeps its messages, and one turn of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from antiphon.agents.agent import Agent
from antiphon.agents.history import result_message
from antiphon.agents.instructions import instructions_for
from antiphon.agents.loop import run_loop
from antiphon.agents.runner import ToolRunner
from antiphon.agents.updates import Finished, Limit, RunFinish
from antiphon.clock import WallClock
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.contract import ChatClient, Message, Usage


@dataclass(slots=True, eq=False)
class AgentSession:
    """A text conversation. One turn at a time; one agent after the other may use it.

    Attributes:
        id: Its id.
        messages: What was said and done so far.
    """

    id: str = field(default_factory=lambda: f"ses_{uuid4().hex[:24]}")
    messages: list[Message] = field(default_factory=list)
    busy: bool = field(default=False, repr=False)


@dataclass(frozen=True, slots=True)
class AgentResponse:
    """The outcome of a turn.

    Attributes:
        text: All that the agent said.
        messages: What the turn added to the conversation behind the user's message, calls and results included.
        usage: The sum over all requests.
        finish_reason: Why it ended.
        limit_hit: The limit, where ``finish_reason`` is ``limit``.
    """

    text: str
    messages: tuple[Message, ...]
    usage: Usage
    finish_reason: RunFinish
    limit_hit: Limit | None = None


async def run_turn(
    agent: Agent,
    message: str | Message | Sequence[Message],
    *,
    session: AgentSession | None,
    variables: Mapping[str, Any],
    values: Mapping[str, Any],
) -> AgentResponse:
    """One text turn; see ``Agent.run``.

    The user's message is in the session before the first request leaves. A turn that fails or is cancelled leaves
    what it did, and the next request is valid all the same.
    """
    session = session or AgentSession()
    if session.busy:
        raise AgentInvalidRequestException(
            f"Session {session.id} is busy with another turn; wait for it, or use a session of its own.",
            code="session_busy",
        )
    session.busy = True
    try:
        client = client_of(agent)
        instructions = await instructions_for(agent, session_id=session.id, variables=variables)
        session.messages.extend(_as_messages(message))
        return await _turn(agent, session, client, instructions, values)
    finally:
        session.busy = False


def client_of(agent: Agent) -> ChatClient:
    """The model of an agent; one that is named, or left to the configuration, comes from the catalog.

    Raises:
        ConfigurationError: The name is not known, or no model is configured.
    """
    if agent.model is None or isinstance(agent.model, str):
        from antiphon.models.catalog import chat_client

        return chat_client(agent.model)
    return agent.model


async def _turn(
    agent: Agent, session: AgentSession, client: ChatClient, instructions: str, values: Mapping[str, Any]
) -> AgentResponse:
    clock = WallClock()
    before_turn = len(session.messages)
    text: list[str] = []
    finished: Finished | None = None
    runner = ToolRunner(
        clock,
        session_id=session.id,
        values=values,
        on_result=lambda call, result: session.messages.append(result_message(call, result)),
    )
    run = run_loop(agent, tuple(session.messages), client=client, tools=runner, clock=clock, instructions=instructions)
    async with runner, aclosing(run) as updates:
        async for update in updates:
            if update.type == "text":
                text.append(update.text)
            elif update.type == "calls":
                session.messages.append(update.message)
            elif update.type == "call_finished":
                session.messages.append(result_message(update.call, update.result))
            elif update.type == "finished":
                finished = update
    assert finished is not None, "a run that nobody ends early has a last update"
    session.messages[before_turn:] = finished.messages
    return AgentResponse("".join(text), finished.messages, finished.usage, finished.finish_reason, finished.limit_hit)


def _as_messages(message: str | Message | Sequence[Message]) -> Sequence[Message]:
    if isinstance(message, str):
        return (Message("user", message),)
    return (message,) if isinstance(message, Message) else message
