"""Short ways to run an agent in a test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from antiphon import Agent, Message, tool
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate
from antiphon.agents.run import Run
from antiphon.agents.runner import ToolRunner
from antiphon.agents.session import AgentSession
from antiphon.clock import Clock, WallClock
from antiphon.models.llm.content import FunctionResult
from antiphon.models.llm.contract import ChatClient

USER = [Message("user", "2+3?")]


@tool
async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def agent_with(*tools: Any, **options: Any) -> Agent:
    """A desk with these tools, ``add`` unless given."""
    return Agent("desk", "Be kind.", tools=tools or (add,), **options)


def run_of(
    agent: Agent, client: ChatClient, tools: ToolRunner, *, messages: Sequence[Message] = USER, **options: Any
) -> Run:
    """A run that has not begun."""
    return Run(
        agent,
        messages,
        session=options.pop("session", None) or AgentSession(clock=tools.clock),
        tools=tools,
        clock=tools.clock,
        client_for=lambda _: client,
        **options,
    )


@dataclass(frozen=True)
class Ran:
    """A run that is over."""

    updates: list[AgentResponseUpdate]
    response: AgentResponse

    @property
    def kinds(self) -> list[str]:
        """What was told, by type."""
        return kinds(self.updates)

    @property
    def text(self) -> str:
        """The words that were told."""
        return "".join(update.text for update in self.updates)

    @property
    def results(self) -> list[FunctionResult]:
        """The results in the history's order."""
        return results_of(self.response.messages)


async def ran(
    agent: Agent, client: ChatClient, *, clock: Clock | None = None, messages: Sequence[Message] = USER, **options: Any
) -> Ran:
    """Run to the end."""
    async with ToolRunner(clock or WallClock()) as tools:
        run = run_of(agent, client, tools, messages=messages, **options)
        updates = [update async for update in run.updates()]
        return Ran(updates, run.response())


def kinds(updates: Sequence[AgentResponseUpdate]) -> list[str]:
    """What updates tell, by type."""
    return [update.contents[0].type for update in updates]


def results_of(messages: Sequence[Message]) -> list[FunctionResult]:
    """The results among messages, in order."""
    return [message.result for message in messages if message.result is not None]


def roles(messages: Sequence[Message]) -> list[str]:
    """Who speaks, in order."""
    return [message.role for message in messages]


def plain(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Who says what."""
    return [(message.role, message.text) for message in messages]


async def nothing() -> AsyncGenerator[Any]:
    """A stream without anything in it."""
    return
    yield


def check_request(messages: Sequence[Message]) -> None:
    """A request that every provider takes: one system message at most and first, every call with its result."""
    assert [place for place, message in enumerate(messages) if message.role == "system"] in ([], [0])
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            result = message.result
            assert result is not None
            assert waiting
            assert result.call_id == waiting.pop(0)
            continue
        assert not waiting, "a call without its result"
        assert message.text or message.calls
        waiting = [call.call_id for call in message.calls]
    assert not waiting, "a call without its result"
