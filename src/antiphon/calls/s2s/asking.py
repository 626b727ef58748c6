"""A collector in a call that one model holds: the model is the one who asks, and then again who has waited."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from antiphon.agents.interviews import Change, Interviews
from antiphon.agents.session import AgentSession
from antiphon.calls.s2s.persona import Persona
from antiphon.models.llm.content import AgentToolEnded, AgentToolStarted, FunctionCall, FunctionResult
from antiphon.models.s2s.contract import Brief, S2SSession
from antiphon.tools.invoke import result_of
from antiphon.tools.tool import FunctionTool

_ASK = "From here on you are the one who asks, as your instructions now say. Ask."
_TO_SAY = "From here on you are the one who asks. First say this, word for word, and nothing else: "
_DONE = "You are again who you were before, and get the result of {name}: {result} Go on."
_UNASKED = "[Result of {name}: {result}] Go on."


class Asking:
    """The interviews of one call.

    Args:
        session: The conversation.
        persona: Who the model is.
        model: Gives the model's session.
        changed: Told when somebody else speaks.
        keep: Notes the result of a call, without that the model is told.
        tell: Tells the model something in writing, and has it answered.
    """

    def __init__(
        self,
        session: AgentSession,
        persona: Persona,
        *,
        model: Callable[[], S2SSession | None],
        changed: Callable[[AgentToolStarted | AgentToolEnded], None],
        keep: Callable[[FunctionCall, FunctionResult], None],
        tell: Callable[[str], None],
    ) -> None:
        self._session = session
        self._persona = persona
        self._model = model
        self._changed = changed
        self._keep = keep
        self._tell = tell
        self._interviews = Interviews(session)

    @property
    def is_on(self) -> bool:
        """Whether somebody asks."""
        return self._session.interview is not None

    def heard_caller(self) -> None:
        """The caller has had a turn, and can have confirmed what was read back."""
        if self._session.interview is not None:
            self._session.interview.is_read_back = True

    def settle(
        self, calls: Sequence[FunctionCall], *, tools: Mapping[str, FunctionTool], settled: dict[str, FunctionResult]
    ) -> set[str]:
        """See ``Interviews``."""
        return self._interviews.settle(self._persona.agent, calls, tools=tools, settled=settled)

    async def step_over(self, answers: Sequence[FunctionResult]) -> None:
        """The calls of a step have their results: give them to the model, and have somebody else go on if it is time.

        Args:
            answers: Of the calls of an interview; those of other steps the model has.
        """
        change = self._interviews.change(self._persona.agent)
        if change is not None and change.record.type == "agent_tool_started":
            await self._begin(change)
        elif change is not None and change.record.type == "agent_tool_ended":
            self._end(change.record, answers)
        else:
            self._give(answers)

    def give_up(self) -> None:
        """The time is over, and nobody speaks."""
        change = self._interviews.change(self._persona.agent)
        if change is not None and change.record.type == "agent_tool_ended":
            self._resume(change.record)
            self._tell(_UNASKED.format(name=change.record.call.name, result=change.record.result.text))

    async def _begin(self, change: Change) -> None:
        self._persona.lend()
        self._brief(await self._persona.become(change.agent))
        self._changed(change.record)
        text = _TO_SAY + change.words if change.words else _ASK
        self._give([result_of(change.record.call, "pending", text)])

    def _end(self, record: AgentToolEnded, answers: Sequence[FunctionResult]) -> None:
        """The model is told of the result by that of its last call: what it had called first is long answered."""
        self._resume(record)
        *others, last = answers
        self._give(others)
        done = _DONE.format(name=record.call.name, result=record.result.text)
        self._give([result_of(FunctionCall(last.call_id, last.name, ""), "ok", f"{last.text} {done}")])

    def _resume(self, record: AgentToolEnded) -> None:
        self._keep(record.call, record.result)
        self._brief(self._persona.take_back())
        self._changed(record)

    def _brief(self, brief: Brief) -> None:
        model = self._model()
        if model is not None:
            model.rebrief(brief)

    def _give(self, answers: Sequence[FunctionResult]) -> None:
        model = self._model()
        for answer in answers if model is not None else ():
            model.tool_result(answer.call_id, answer.text)  # type: ignore[union-attr]
