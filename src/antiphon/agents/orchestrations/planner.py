"""Agents that work to a plan: a manager writes it, gives out the work, and begins anew when nothing moves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from antiphon.agents.agent import Agent
from antiphon.agents.orchestrations.choices import choice_schema, in_turn, team_text
from antiphon.agents.orchestrations.contract import SupportsAgentRun
from antiphon.agents.orchestrations.conversation import Seat
from antiphon.agents.orchestrations.orchestration import Orchestration
from antiphon.agents.orchestrations.stage import Stage
from antiphon.agents.responses import AgentResponse, Limit
from antiphon.errors import AgentInvalidResponseException

_FACTS = (
    "Before the work on this task begins, write down briefly: what is given, what has to be looked up, what has to be "
    "worked out, and what you can only guess."
)
_PLAN = "Now write a short plan in steps. Say of each step who does it. Your team is:\n{team}"
_WHY_NOT = (
    "The work does not move. Write the facts anew: keep what is known by now, add what was learned, and say what "
    "went wrong."
)
_PROGRESS = (
    "Judge the work. is_done: the task is fulfilled. is_loop: the same is being done again and again. is_progress: "
    "the last answers brought the task forward; true at the beginning. next_speaker: who works next; empty when it "
    "is done. instruction: what exactly that one has to do now. Your team is:\n{team}"
)
_ANSWER = "The task is fulfilled. Write the answer for the one who asked."
_PARTIAL = "The work has to end here. Write for the one who asked what was found out so far, and say what is missing."
_GO_ON = "Go on with the step of the plan that is yours."

_PROPERTIES = {
    "is_loop": {"type": "boolean"},
    "is_progress": {"type": "boolean"},
    "instruction": {"type": "string"},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the manager wants to do.

    Attributes:
        facts: What is known, and what is not.
        steps: The plan, in the manager's words.
        resets: How often the work has begun anew before.
    """

    facts: str
    steps: str
    resets: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How the manager judges a round.

    Attributes:
        is_done: The task is fulfilled.
        is_loop: The same is done again and again.
        is_progress: Something has moved.
        next_speaker: Who works next.
        instruction: What that one has to do.
    """

    is_done: bool
    is_loop: bool
    is_progress: bool
    next_speaker: str
    instruction: str


ReviewPlan = Callable[[Plan], Awaitable[str | None]]
"""Shows a plan to a person: None takes it as it is, a text takes its place."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Planner(Orchestration):
    """A manager and its team: ``Planner([researcher, writer], manager=manager)``.

    Args:
        manager: Writes the plan, judges each round, and gives the answer.
        max_stall_count: Rounds in a row without progress after which the work begins anew, with a new plan.
        max_reset_count: How often it may begin anew; then ``limit_hit`` is ``max_reset_count``.
        max_round_count: Rounds in all; then ``limit_hit`` is ``max_round_count``.
        review_plan: Shows every plan to a person first.
    """

    manager: Agent
    name: str = "planner"
    max_stall_count: int = 3
    max_reset_count: int = 2
    max_round_count: int = 20
    review_plan: ReviewPlan | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("max_stall_count", 1), ("max_reset_count", 0), ("max_round_count", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"Planner.{name} is {getattr(self, name)}; choose at least {least}.")

    @property
    def members(self) -> tuple[SupportsAgentRun, ...]:
        """The team and its manager."""
        return (*self.participants, self.manager)

    async def conduct(self, stage: Stage) -> AgentResponse:
        """Plan, give out the work round by round, and answer."""
        limit = await _Work(self, stage).to_the_end()
        manager = stage.seats[self.manager.name]
        response = await stage.ask(manager, _PARTIAL if limit else _ANSWER, is_answer=True)
        stage.conversation.add(manager, response)
        return stage.outcome(response.text, last=response, agent=manager.name, limit=limit)


class _Work:
    """The rounds of one run."""

    def __init__(self, planner: Planner, stage: Stage) -> None:
        self._planner = planner
        self._stage = stage
        self._names = [each.name for each in planner.participants]
        self._team = team_text(planner.participants)
        self._judge = planner.manager.replace(output_type=choice_schema(self._names, **_PROPERTIES))
        self._given = len(stage.conversation.messages)
        self._last = ""
        self._stalls = 0
        self._resets = 0

    async def to_the_end(self) -> Limit | None:
        """Work until the task is fulfilled; gives the cap that ended it, if one did."""
        planner, stage = self._planner, self._stage
        await self._plan(_FACTS)
        for number in range(planner.max_round_count):
            progress = await self._judged()
            if progress.is_done:
                await self._tell(number, progress)
                return None
            moves = progress.is_progress and not progress.is_loop
            self._stalls = 0 if moves else self._stalls + 1
            await self._tell(number, progress)
            if self._stalls < planner.max_stall_count:
                await self._give_out(progress)
            elif self._resets == planner.max_reset_count:
                return "max_reset_count"
            else:
                await self._begin_anew()
        await stage.tell("planner", stage.name, {"kind": "out_of_rounds", "rounds": planner.max_round_count})
        return "max_round_count"

    @property
    def _manager(self) -> Seat:
        return self._stage.seats[self._planner.manager.name]

    async def _plan(self, ask_for_facts: str) -> None:
        planner, stage, manager = self._planner, self._stage, self._manager
        facts = (await stage.ask(manager, ask_for_facts)).text
        steps = (await stage.ask(manager, _PLAN.format(team=self._team))).text
        if planner.review_plan is not None:
            reviewed = await planner.review_plan(Plan(facts, steps, self._resets))
            if reviewed is not None:
                steps = reviewed
                manager.notes.append(f"The plan was changed. It is now:\n{steps}")
        await stage.tell("planner", stage.name, {"kind": "plan", "facts": facts, "plan": steps, "resets": self._resets})
        stage.conversation.say(manager, f"What is known:\n{facts}\n\nThe plan:\n{steps}")

    async def _judged(self) -> Progress:
        """The manager's record; one that cannot be read, also not after its repair, is a round without progress."""
        stage = self._stage
        try:
            response = await stage.ask(self._manager, _PROGRESS.format(team=self._team), agent=self._judge)
        except AgentInvalidResponseException as error:
            speaker = await in_turn(stage, self._names, self._last, str(error))
            return Progress(False, False, False, speaker, _GO_ON)
        progress = Progress(**response.value)
        if progress.is_done or progress.next_speaker:
            return progress
        speaker = await in_turn(stage, self._names, self._last, f"{self._manager.name} named nobody.")
        return Progress(False, progress.is_loop, progress.is_progress, speaker, progress.instruction or _GO_ON)

    async def _give_out(self, progress: Progress) -> None:
        stage = self._stage
        seat = stage.seats[progress.next_speaker]
        stage.conversation.say(self._manager, f"{seat.name}, {progress.instruction}")
        stage.conversation.add(seat, await stage.ask(seat))
        self._last = seat.name

    async def _begin_anew(self) -> None:
        """New facts and a new plan; the team forgets what it did, the manager does not."""
        stage = self._stage
        self._resets += 1
        self._stalls = 0
        stage.restart(self._given, keeps=self._manager)
        await self._plan(_WHY_NOT)

    async def _tell(self, number: int, progress: Progress) -> None:
        record = {name: getattr(progress, name) for name in Progress.__slots__}
        data = {"kind": "progress", "round": number, **record, "stalls": self._stalls}
        await self._stage.tell("planner", self._stage.name, data)
