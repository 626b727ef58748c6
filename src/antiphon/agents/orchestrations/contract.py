"""What can stand where an agent stands, and what an orchestration tells of its run."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from antiphon.agents.agent import Input
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate
from antiphon.models.llm.content import content_to_dict

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from antiphon.agents.session import AgentSession
    from antiphon.agents.stream import ResponseStream

EventType = Literal[
    "started",
    "executor_invoked",
    "executor_completed",
    "executor_failed",
    "intermediate",
    "output",
    "handoff",
    "group_chat",
    "planner",
    "warning",
    "failed",
    "cancelled",
]


class SupportsAgentRun(Protocol):
    """Who can be asked: an agent, an orchestration, or an object of a user's own with these members."""

    @property
    def name(self) -> str:
        """1 to 64 characters; unique among the participants of an orchestration."""
        ...

    @property
    def description(self) -> str:
        """What it is for, for other agents and for people."""
        ...

    def create_session(self, session_id: str | None = None) -> AgentSession:
        """A conversation with it."""
        ...

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
        """One text turn; ``values`` reach tools as ``context.values``."""
        ...


def is_agent(thing: object) -> TypeIs[SupportsAgentRun]:
    """Whether this can be asked, where a function may stand as well."""
    return hasattr(thing, "run") and hasattr(thing, "create_session")


@dataclass(frozen=True, slots=True)
class OrchestrationEvent:
    """One thing that happened in the run of an orchestration.

    Attributes:
        type: What happened.
        run_id: Of the run.
        seq: The number of the event in the run, from 0, without gaps.
        agent: The participant, or the orchestration's own name.
        data: ``intermediate``: the participant's ``AgentResponseUpdate``; ``executor_completed``: its
            ``AgentResponse``; ``output``: the ``AgentResponse`` of the run; else a mapping, or None.
        is_answer: The words of this ``intermediate`` event are part of the outcome's text.
        at_s: Seconds since the run began.
    """

    type: EventType
    run_id: str
    seq: int
    agent: str = ""
    data: AgentResponse | AgentResponseUpdate | Mapping[str, Any] | None = None
    is_answer: bool = False
    at_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; of responses it has what people read, without their messages."""
        fields: dict[str, Any] = {"type": self.type, "run_id": self.run_id, "seq": self.seq, "agent": self.agent}
        if self.data is not None:
            fields["data"] = _plain(self.data)
        if self.is_answer:
            fields["is_answer"] = True
        return {**fields, "at_s": round(self.at_s, 6)}


def _plain(data: AgentResponse | AgentResponseUpdate | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(data, AgentResponseUpdate):
        contents = [content_to_dict(content) for content in data.contents]
        return {"agent": data.agent, "step": data.step, "contents": contents}
    if isinstance(data, AgentResponse):
        usage = {"input_tokens": data.usage.input_tokens, "output_tokens": data.usage.output_tokens}
        plain = {"text": data.text, "finish_reason": data.finish_reason, "steps": data.steps, "usage": usage}
        return plain if data.limit_hit is None else {**plain, "limit_hit": data.limit_hit}
    return dict(data)
