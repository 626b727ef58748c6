"""What all orchestrations are: an immutable description that stands where an agent stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

from antiphon.agents.agent import Input
from antiphon.agents.delegate import delegate_tool
from antiphon.agents.orchestrations.contract import OrchestrationEvent, SupportsAgentRun
from antiphon.agents.orchestrations.stage import Approve, OnEvent, Stage
from antiphon.agents.orchestrations.turn import OrchestrationTurn, read
from antiphon.agents.responses import AgentResponse
from antiphon.agents.session import AgentSession
from antiphon.agents.stream import ResponseStream
from antiphon.tools.tool import ApprovalMode, FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent


@dataclass(frozen=True, eq=False)
class Orchestration(ABC):
    """Several participants and the form of their work. Any number of runs may go on at once.

    Args:
        participants: Agents, orchestrations, or what else has their members, in order; names are unique.
        name: 1 to 64 characters.
        description: What it is for, for other agents and for people.
        share_tools: Hand calls and their results on with the words; else they stay with the agent that called.
        approve: Asks a person about a call that needs approval; without it such a call fails the run.
        on_event: Told of every event of every run, at once, also of ``run`` and of a run that is cancelled.

    Raises:
        ValueError: There are no participants, two have one name, or the name is empty or too long.
    """

    participants: Sequence[SupportsAgentRun]
    _: KW_ONLY
    name: str = "orchestration"
    description: str = ""
    share_tools: bool = False
    approve: Approve | None = None
    on_event: OnEvent | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "participants", tuple(self.participants))
        if not 1 <= len(self.name) <= 64:
            raise ValueError(f"An orchestration's name has 1 to 64 characters; this one has {len(self.name)}.")
        names = [each.name for each in self.members]
        if not self.participants:
            raise ValueError(f"Orchestration {self.name!r} has no participants; give at least one agent.")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"Orchestration {self.name!r} has two agents with the name {twice!r}; rename one.")

    @abstractmethod
    async def conduct(self, stage: Stage) -> AgentResponse:
        """Do the work of one run."""

    @property
    def members(self) -> tuple[SupportsAgentRun, ...]:
        """The participants, and who leads them where there is somebody."""
        return tuple(self.participants)

    def replace(self, **changes: Any) -> Self:
        """A copy with other values."""
        return replace(self, **changes)

    def create_session(self, session_id: str | None = None) -> AgentSession:
        """A conversation with this orchestration."""
        return AgentSession(session_id) if session_id else AgentSession()

    @overload
    def run(
        self,
        messages: Input | None = None,
        *,
        stream: Literal[False] = False,
        session: AgentSession | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Coroutine[Any, Any, AgentResponse]: ...

    @overload
    def run(
        self,
        messages: Input | None = None,
        *,
        stream: Literal[True],
        session: AgentSession | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> ResponseStream: ...

    def run(
        self,
        messages: Input | None = None,
        *,
        stream: bool = False,
        session: AgentSession | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Coroutine[Any, Any, AgentResponse] | ResponseStream:
        """One text turn: from a message to the outcome.

        In the stream, the words of the outcome are text. What participants say among themselves comes as reasoning,
        with the speaker's name: to be shown, not to be spoken.

        Args:
            messages: What the user says; None goes on with the session.
            stream: Give a ``ResponseStream``.
            session: The conversation that this turn belongs to; a throw-away one unless given. Participants have
                conversations of their own for the length of a run.
            values: Handed to the participants' tools as ``context.values``.

        Raises:
            AntiphonException: A participant failed, or the session is busy.
        """
        turn = OrchestrationTurn(self, messages, session=session, values=values)
        return ResponseStream(turn) if stream else turn.complete()

    def events(
        self,
        messages: Input | None = None,
        *,
        session: AgentSession | None = None,
        values: Mapping[str, Any] | None = None,
        run_id: str | None = None,
    ) -> AsyncGenerator[OrchestrationEvent]:
        """One text turn, told in events. Leaving the loop ends the run; see ``run`` for the arguments.

        Args:
            messages: What the user says.
            session: The conversation.
            values: For tools.
            run_id: Of the events; made up unless given.

        Raises:
            AntiphonException: As ``run``, behind the event ``failed``.
        """
        return read(OrchestrationTurn(self, messages, session=session, values=values, run_id=run_id))

    def as_tool(
        self,
        name: str | None = None,
        *,
        description: str | None = None,
        arg_name: str = "task",
        approval_mode: ApprovalMode = "never_require",
        share_session: bool = False,
        timeout_s: float = 300.0,
    ) -> FunctionTool:
        """This orchestration as a tool of an agent; see ``Agent.as_tool``."""
        return delegate_tool(
            cast("Agent", self),
            name=name,
            description=description,
            arg_name=arg_name,
            approval_mode=approval_mode,
            share_session=share_session,
            timeout_s=timeout_s,
        )
