"""Scripted participants, and the event lists of orchestrations as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from antiphon import Agent
from antiphon.agents.orchestrations.contract import OrchestrationEvent
from antiphon.agents.orchestrations.orchestration import Orchestration
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, Script, ScriptedChatClient

T = TypeVar("T")

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "orchestrations"


class Cast:
    """Scripted agents by name, each with its model, in virtual time."""

    def __init__(self, scripts: Mapping[str, Iterable[str | Reply]] | None = None) -> None:
        self.clock = VirtualClock()
        self.clients: dict[str, ScriptedChatClient] = {}
        self.agents = {name: self.agent(name, replies) for name, replies in (scripts or {}).items()}

    def agent(self, name: str, replies: Iterable[str | Reply] | Script, **more: Any) -> Agent:
        """One more agent."""
        client = self.clients[name] = ScriptedChatClient(replies, clock=self.clock)
        more.setdefault("description", f"Does the part of the {name}.")
        return Agent(name, f"You are the {name}.", model=client, **more)

    def __getitem__(self, name: str) -> Agent:
        return self.agents[name]

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run something to its end in virtual time, and see that no task and no model's stream is left."""

        async def checked() -> T:
            try:
                return await main
            finally:
                await asyncio.sleep(0)
                left = asyncio.all_tasks() - {asyncio.current_task()}
                assert not left, left
                assert all(client.opened == client.closed for client in self.clients.values())

        return self.clock.run(checked())

    def session(self) -> AgentSession:
        """A conversation in virtual time."""
        return AgentSession(clock=self.clock)

    def seen_by(self, name: str, request: int = -1) -> list[tuple[str, str]]:
        """The roles and texts of a request to an agent's model, without its instructions."""
        messages = self.clients[name].requests[request].messages
        return [(message.role, message.text) for message in messages if message.role != "system"]


def idle(name: str) -> Agent:
    """An agent that is never asked."""
    return Agent(name, model=ScriptedChatClient([]))


def collected(cast: Cast, orchestration: Orchestration, words: str = "Bread?") -> tuple[list[OrchestrationEvent], Any]:
    """All events of a run, and what it raised."""

    async def collect() -> tuple[list[OrchestrationEvent], Any]:
        events: list[OrchestrationEvent] = []
        try:
            async with aclosing(orchestration.events(words, session=cast.session(), run_id="run")) as stream:
                async for event in stream:
                    events.append(event)  # noqa: PERF401 (what came before an error counts)
        except Exception as error:
            return events, error
        return events, None

    return cast.run(collect())


def as_golden(events: Iterable[OrchestrationEvent]) -> str:
    """The events as the golden files have them, one a line."""
    lines = ",\n".join(json.dumps(event.to_dict(), ensure_ascii=False) for event in events)
    return f"[\n{lines}\n]\n"


def as_json(value: Any) -> str:
    """JSON without spaces, which a scripted model streams as one word."""
    return json.dumps(value, separators=(",", ":"))


def progress(speaker: str, instruction: str = "Do it.", **more: Any) -> str:
    """A manager's record of a round: something moves, unless told otherwise."""
    record = {"is_done": False, "is_loop": False, "is_progress": True}
    return as_json({**record, "instruction": instruction, "next_speaker": speaker, **more})


DONE = progress("", "", is_done=True)


def said(messages: Iterable[Message]) -> list[tuple[str | None, str]]:
    """Who said what."""
    return [(message.author_name, message.text) for message in messages]
