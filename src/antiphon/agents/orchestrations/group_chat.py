"""Agents in one conversation: each round one of them speaks, chosen by a function or by a model."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from antiphon.agents.agent import Agent
from antiphon.agents.orchestrations.choices import Until, choice_schema, in_turn, is_over, team_text
from antiphon.agents.orchestrations.contract import SupportsAgentRun
from antiphon.agents.orchestrations.orchestration import Orchestration
from antiphon.agents.orchestrations.stage import Stage
from antiphon.agents.responses import AgentResponse, Limit
from antiphon.errors import AgentInvalidResponseException
from antiphon.models.llm.messages import Message

_WHO = (
    "You lead this conversation. Decide who speaks next, or that it is done (then next_speaker is empty).\n"
    "The participants are:\n{team}"
)


@dataclass(frozen=True, slots=True)
class GroupState:
    """What a choice of the next speaker is made from.

    Attributes:
        round: From 0.
        participants: Their names, in declared order.
        messages: The conversation; ``author_name`` tells who has spoken.
        last: Who spoke last; empty at first.
        fault: What was wrong with the choice that was just made; empty at the first try.
    """

    round: int
    participants: tuple[str, ...]
    messages: Sequence[Message]
    last: str = ""
    fault: str = ""


Select = Callable[[GroupState], str | Awaitable[str | None] | None]
"""Names the next speaker; None ends the conversation."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupChat(Orchestration):
    """One speaker a round: ``GroupChat([writer, critic], select=alternate, max_rounds=6)``.

    Args:
        select: A function that names the next speaker, or an agent that leads. A name that is nobody's is asked for
            once more; then the next in declared order speaks.
        max_rounds: Speeches at most; the outcome then has ``limit_hit`` ``max_rounds``.
        until: Whether the conversation is over.
        answer_from: The participant whose last words are the outcome; who speaks last unless given.
    """

    select: Select | Agent
    name: str = "group_chat"
    max_rounds: int = 12
    until: Until | None = None
    answer_from: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_rounds < 1:
            raise ValueError(f"GroupChat.max_rounds is {self.max_rounds}; choose at least 1.")
        names = [each.name for each in self.participants]
        if self.answer_from is not None and self.answer_from not in names:
            raise ValueError(f"GroupChat.answer_from is {self.answer_from!r}; choose one of: {', '.join(names)}.")

    @property
    def members(self) -> tuple[SupportsAgentRun, ...]:
        """The participants, and the agent that leads where there is one."""
        return (*self.participants, *([self.select] if isinstance(self.select, Agent) else []))

    async def conduct(self, stage: Stage) -> AgentResponse:
        """Let one participant after the other speak."""
        names = tuple(each.name for each in self.participants)
        choose = self._chooser(stage, names)
        spoken: dict[str, AgentResponse] = {}
        limit: Limit | None = None
        state = GroupState(0, names, stage.conversation.messages)
        while (speaker := await choose(state)) is not None:
            await stage.tell("group_chat", stage.name, {"round": state.round, "speaker": speaker})
            spoken[speaker] = await stage.ask(stage.seats[speaker])
            stage.conversation.add(stage.seats[speaker], spoken[speaker])
            state = replace(state, round=state.round + 1, last=speaker)
            if await is_over(self.until, stage.conversation.messages):
                break
            if state.round == self.max_rounds:
                limit = "max_rounds"
                break
        answers = self.answer_from or state.last
        response = spoken.get(answers)
        return stage.outcome(response.text if response else "", last=response, agent=answers, limit=limit)

    def _chooser(self, stage: Stage, names: tuple[str, ...]) -> Callable[[GroupState], Awaitable[str | None]]:
        select = self.select
        if isinstance(select, Agent):
            leader = _Leader(stage, select, self.participants)
            return leader.choose

        async def choose(state: GroupState) -> str | None:
            return await _chosen_by(select, stage, state)

        return choose


class _Leader:
    """An agent that names the next speaker."""

    def __init__(self, stage: Stage, agent: Agent, participants: Sequence[SupportsAgentRun]) -> None:
        self._stage = stage
        self._seat = stage.seats[agent.name]
        self._agent = agent.replace(output_type=choice_schema([each.name for each in participants]))
        self._prompt = _WHO.format(team=team_text(participants))

    async def choose(self, state: GroupState) -> str | None:
        """The next speaker. The run itself lets the model repair an answer that does not fit, once."""
        try:
            choice = (await self._stage.ask(self._seat, self._prompt, agent=self._agent)).value
        except AgentInvalidResponseException as error:
            return await in_turn(self._stage, state.participants, state.last, str(error))
        if choice["is_done"]:
            return None
        speaker: str = choice["next_speaker"]
        return speaker or await in_turn(
            self._stage, state.participants, state.last, f"{self._agent.name} named nobody."
        )


async def _chosen_by(select: Select, stage: Stage, state: GroupState) -> str | None:
    """What a function chooses; a name that is nobody's is given back to it once, with what is wrong."""
    names = state.participants
    speaker = await _asked(select, state)
    if speaker is not None and speaker not in names:
        fault = f"{speaker!r} is no participant; choose one of: {', '.join(names)}."
        speaker = await _asked(select, replace(state, fault=fault))
    if speaker is None or speaker in names:
        return speaker
    return await in_turn(stage, names, state.last, f"{speaker!r} is no participant.")


async def _asked(select: Select, state: GroupState) -> str | None:
    made = select(state)
    return await made if inspect.isawaitable(made) else made
