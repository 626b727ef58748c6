"""Agents side by side: all get the same input at once, and their answers are put together."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from antiphon.agents.orchestrations.contract import SupportsAgentRun, is_agent
from antiphon.agents.orchestrations.conversation import Seat, last_words
from antiphon.agents.orchestrations.orchestration import Orchestration
from antiphon.agents.orchestrations.stage import Stage, fault_of
from antiphon.agents.responses import AgentResponse

Aggregate = Callable[[Mapping[str, AgentResponse]], str | Awaitable[str]]
"""Makes one text of the answers, which stand by name in declared order."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Concurrent(Orchestration):
    """All participants at once: ``Concurrent([legal, medical, finance])``.

    Args:
        aggregator: A function of the answers, or an agent that reads them and answers; unless given, the last
            messages of all are joined in declared order.
        allow_partial: Go on without participants that fail, as long as one answers.
        max_parallel: Participants at work at once.
    """

    name: str = "concurrent"
    aggregator: Aggregate | SupportsAgentRun | None = None
    allow_partial: bool = False
    max_parallel: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_parallel < 1:
            raise ValueError(f"Concurrent.max_parallel is {self.max_parallel}; choose at least 1.")

    @property
    def members(self) -> tuple[SupportsAgentRun, ...]:
        """The participants, and the agent that puts their answers together where there is one."""
        return (*self.participants, *([self.aggregator] if is_agent(self.aggregator) else []))

    async def conduct(self, stage: Stage) -> AgentResponse:
        """Ask all participants, then put their answers together."""
        seats = [stage.seats[each.name] for each in self.participants]
        answers = await self._answers(stage, seats)
        for name, response in answers.items():
            stage.conversation.add(stage.seats[name], response)
        if not is_agent(self.aggregator):
            text = await _joined(self.aggregator, answers)
            if self.aggregator is not None:
                stage.conversation.conclude(stage.name, text)
            return stage.outcome(text)
        leader = stage.seats[self.aggregator.name]
        response = await stage.ask(leader, is_answer=True)
        stage.conversation.add(leader, response)
        return stage.outcome(response.text, last=response, agent=leader.name)

    async def _answers(self, stage: Stage, seats: list[Seat]) -> dict[str, AgentResponse]:
        """The answers by name, in declared order."""
        gate = asyncio.Semaphore(self.max_parallel)
        failed: dict[str, Exception] = {}

        async def answer(seat: Seat) -> AgentResponse | None:
            async with gate:
                try:
                    return await stage.ask(seat)
                except Exception as error:  # a participant is somebody else's code
                    if not self.allow_partial:
                        raise
                    failed[seat.name] = error
                    return None

        try:
            async with asyncio.TaskGroup() as group:
                tasks = {seat.name: group.create_task(answer(seat), name=f"{stage.name} {seat.name}") for seat in seats}
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        if len(failed) == len(seats):
            raise next(iter(failed.values()))
        for name, error in failed.items():
            await stage.tell("warning", name, {"message": "Went on without this answer.", **fault_of(error)})
        return {name: response for name, task in tasks.items() if (response := task.result()) is not None}


async def _joined(aggregator: Aggregate | None, answers: Mapping[str, AgentResponse]) -> str:
    if aggregator is None:
        return "\n\n".join(words for response in answers.values() if (words := last_words(response)))
    made = aggregator(answers)
    return await made if inspect.isawaitable(made) else made
