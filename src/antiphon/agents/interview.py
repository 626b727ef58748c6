"""An interview: a small agent asks the caller for one thing, while the agent that wants it waits for the result.

For the model a collector is a tool. Its call stays open: the interviewer has the conversation, turn by turn, until the
value is checked and confirmed, declined, or the time is over. Then the call gets its result, and the agent goes on.
Each of the two sees its own part of the conversation only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.errors import ToolException
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import Message
from antiphon.tools.collect.form import CollectTool, Field, Form, Known
from antiphon.tools.collect.spoken import HIDDEN, without_numbers
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.session import AgentSession
    from antiphon.clock import Clock

RECORD, CONFIRM, DECLINE = "record", "confirm", "decline"
_MANY_REFUSED = 3
_MOST_BROKEN = 2
_BROKEN = "It could not be asked for: the model failed."
_TO_BEGIN = "Please go on."


@dataclass(slots=True)
class Interview:
    """What is being asked for in a conversation, and how far it is.

    Attributes:
        call: The call of the collector, which waits for its result.
        agent: The name of the agent that has called.
        ends_at: When it is over, whatever was said.
        secret: The names of values that nobody may read.
        values: What was recorded, checked.
        is_read_back: Whether the caller has spoken since the values were whole, and can have confirmed them.
        refused: Values in a row that were not right.
        broken: Turns that failed.
        outcome: What came of it: the values, that it was declined, or that the time was over.
        parent: The agent that waits; None until it is found again in another process.
        tool: What it has called; None likewise.
    """

    call: FunctionCall
    agent: str
    ends_at: datetime
    secret: frozenset[str] = frozenset()
    values: dict[str, str] = field(default_factory=dict)
    is_read_back: bool = False
    refused: int = 0
    broken: int = 0
    outcome: dict[str, Any] | None = None
    parent: Agent | None = None
    tool: CollectTool | None = None

    def is_over(self, clock: Clock) -> bool:
        """Whether the agent that waits goes on before anything else: something came of it, or the time is over."""
        return self.outcome is not None or clock.utc() >= self.ends_at

    def note_failure(self) -> None:
        """A turn has failed; after some of these the agent that waits goes on."""
        self.broken += 1
        if self.broken >= _MOST_BROKEN:
            self.outcome = {"failed": _BROKEN}

    def expects(self) -> Field | None:
        """What the caller is asked for now, if it is said in pieces."""
        missing = self.tool.form.missing(self.values) if self.tool is not None else []
        return missing[0] if missing and missing[0].expects is not None else None

    def bind(self, team: Mapping[str, Agent]) -> None:
        """Find the agent that waits, and its tool, in the agents of a conversation."""
        if self.parent is None and self.agent in team:
            self.parent = team[self.agent]
            tool = self.parent.toolset.get(self.call.name)
            self.tool = tool if isinstance(tool, CollectTool) else None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; values that nobody may read are left out, and asked for again."""
        return {
            "call": msgspec.to_builtins(self.call),
            "agent": self.agent,
            "ends_at": self.ends_at.isoformat(),
            "secret": sorted(self.secret),
            "values": {name: value for name, value in self.values.items() if name not in self.secret},
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Interview:
        """From the JSON form."""
        call = msgspec.convert(fields["call"], FunctionCall)
        ends_at = datetime.fromisoformat(fields["ends_at"])
        return cls(call, fields["agent"], ends_at, frozenset(fields["secret"]), dict(fields["values"]))


def opened(tool: CollectTool, call: FunctionCall, agent: Agent, clock: Clock) -> Interview:
    """An interview that begins now."""
    ends_at = clock.utc() + timedelta(seconds=tool.timeout_s)
    return Interview(call, agent.name, ends_at, tool.form.secret, parent=agent, tool=tool)


def interviewer(agent: Agent, tool: CollectTool, interview: Interview, clock: Clock) -> Agent:
    """Who asks: the voice, the model and the manner of the agent that waits, with a task and tools of its own."""
    return agent.replace(
        name=tool.name,
        instructions=(lambda _: _instructions(tool.form),),
        description="",
        tools=_tools(tool.form, interview, clock, agent.language),
        greeting="",
        handoffs=(),
        output_type=None,
        compaction=None,
        options=replace(agent.options, tool_choice="auto", allowed_tools=(), output=None),
        context_providers=(),
    )


def finished(tool: CollectTool, interview: Interview, clock: Clock) -> tuple[FunctionResult, dict[str, Any]]:
    """The result of the call as everybody may read it, and the whole of it."""
    whole, call = dict(interview.outcome or {}), interview.call
    took_s = tool.timeout_s - (interview.ends_at - clock.utc()).total_seconds()
    if "failed" in whole:
        return FunctionResult(call.call_id, call.name, "error", str(whole["failed"]), took_s * 1000), whole
    text = msgspec.json.encode(tool.form.shown(whole)).decode()
    return FunctionResult(call.call_id, call.name, "ok", text, took_s * 1000), whole


# Who sees what.


def seen_by_agent(messages: Sequence[Message], session: AgentSession) -> Sequence[Message]:
    """The part of a conversation that is for the agent that answers now."""
    if session.interview is not None:
        return interviewers_part(messages, session.interview)
    return without_interviews(messages, session.interviewed) if session.interviewed else messages


def interviewers_part(messages: Sequence[Message], interview: Interview) -> list[Message]:
    """What the interviewer sees: what the caller said last, and the interview itself."""
    call = interview.call
    place = next((place for place, message in _from_behind(messages) if call in message.calls), -1)
    inner = _calls_by(call.name, messages)
    before = next((message for message in reversed(messages[: max(place, 0)]) if message.role == "user"), None)
    part = [
        message for message in messages[place + 1 :] if message.role == "user" or _is_inner(message, call.name, inner)
    ]
    return [before or Message("user", _TO_BEGIN), *part]


def without_interviews(messages: Sequence[Message], done: Collection[str]) -> Sequence[Message]:
    """What other agents see: of an interview the call and its result, and words that nobody there has answered.

    Args:
        messages: The conversation.
        done: The ids of the calls of interviews that are over.
    """
    if not done:
        return messages
    seen: list[Message] = []
    waiting: list[Message] = []
    name, inner, place = "", frozenset[str](), 0
    for message in messages:
        result = message.result
        opening = next((each for each in message.calls if each.call_id in done), None)
        if opening is not None:
            seen += waiting
            place, waiting, name = len(seen), [], opening.name
            seen.append(message)
            inner = _calls_by(name, messages)
        elif name and result is not None and result.call_id in done:
            seen += [message, *waiting]
            waiting, name = [], ""
        elif name and message.role == "user":
            waiting.append(message)
        elif name and _is_inner(message, name, inner):
            waiting.clear()
        elif name and message.role == "assistant" and not message.calls:
            seen.insert(place, message)  # said beside the call, and known when it was heard
        else:
            seen.append(message)
    return [*seen, *waiting]


def covered(messages: Sequence[Message], interview: Interview) -> list[tuple[int, Message]]:
    """The messages of an interview that hold what nobody may read, each with its place, without it.

    Whole texts of the caller's leave: nothing tells which words were digits.
    """
    name, hidden = interview.call.name, interview.secret
    place = next((place for place, message in _from_behind(messages) if interview.call in message.calls), len(messages))
    found: list[tuple[int, Message]] = []
    for here, message in enumerate(messages[place + 1 :], place + 1):
        if message.result is not None and message.result.call_id == interview.call.call_id:
            break
        if message.role == "user" and message.text:
            found.append((here, message.with_text(HIDDEN)))
        elif message.author_name == name and message.calls:
            contents = [_masked(each, hidden) if each.type == "function_call" else each for each in message.contents]
            found.append((here, message.replace(contents=tuple(contents))))
    return found


def _masked(call: FunctionCall, hidden: Collection[str]) -> FunctionCall:
    try:
        given = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        given = {}
    shown = {name: HIDDEN if name in hidden else value for name, value in given.items()}
    return msgspec.structs.replace(call, arguments=msgspec.json.encode(shown).decode())


def _calls_by(name: str, messages: Sequence[Message]) -> frozenset[str]:
    """The ids of the calls of an interviewer."""
    return frozenset(call.call_id for message in messages if message.author_name == name for call in message.calls)


def _is_inner(message: Message, name: str, calls: Collection[str]) -> bool:
    """Whether a message between a collector's call and its result is of the interview itself.

    Args:
        message: The message.
        name: Of the interviewer.
        calls: The ids of its calls.
    """
    result = message.result
    return result.call_id in calls if result is not None else message.author_name == name


def _from_behind(messages: Sequence[Message]) -> list[tuple[int, Message]]:
    return list(reversed(list(enumerate(messages))))


# What the interviewer is told and may do.


def _instructions(form: Form) -> str:
    task = (
        f"You take down {form.wants}, and nothing else. Speak the caller's language, in one short sentence at a time."
    )
    record = (
        f"Whenever you have heard something of it, call {RECORD} with it as you heard it, and it is checked. English "
        "words for digits, letters and signs are understood; those of other languages write as digits and letters. If "
        "the caller has said it already, record it at once instead of asking. Never make anything up, and never "
        "complete it yourself. If it is refused, say briefly why and ask again."
    )
    confirm = (
        "When all is recorded, read it back as the function says and ask whether it is right. If it is, call "
        f"{CONFIRM}. If the caller corrects it, call {RECORD} again."
    )
    decline = (
        f"If the caller does not want to give it, does not have it, or insists on something else, call {DECLINE}. To "
        "other questions say that you will come to them in a moment."
    )
    return "\n".join(part for part in (task, form.guide, record, confirm if form.confirms else "", decline) if part)


def _tools(form: Form, interview: Interview, clock: Clock, language: str | None) -> list[FunctionTool]:
    properties = {each.name: {"type": "string", "description": each.about} for each in form.fields}

    async def record(**given: Any) -> str:
        return _record(form, interview, given, Known(clock.utc().date(), interview.values, language))

    async def confirm() -> str:
        missing = [each.name for each in form.missing(interview.values)]
        if missing:
            raise ToolException(f"Still missing: {', '.join(missing)}. Ask for it.")
        if not interview.is_read_back:
            raise ToolException("Read it back first, and wait for what the caller says.")
        interview.outcome = {**interview.values, **form.added(interview.values)}
        return "Confirmed."

    async def decline(reason: str = "") -> str:
        told = without_numbers(reason) if form.secret else reason
        interview.outcome = {"declined": True, "decline_reason": told}
        return "It is left open."

    made = [
        FunctionTool(
            record,
            name=RECORD,
            description=f"Take down {form.wants}, or a part of it.",
            schema={"type": "object", "properties": properties},
            sensitive_args=sorted(form.secret),
            exclusive=True,
        ),
        FunctionTool(
            decline, name=DECLINE, description="Leave it open. Give the reason in the caller's words.", exclusive=True
        ),
    ]
    if form.confirms:
        made.append(
            FunctionTool(
                confirm, name=CONFIRM, description="The caller says that what was read back is right.", exclusive=True
            )
        )
    return made


def _record(form: Form, interview: Interview, given: Mapping[str, Any], known: Known) -> str:
    """Check what was heard; what was right before is checked with it, since values may depend on each other."""
    interview.is_read_back = False
    faults: list[str] = []
    for each in form.fields:
        text = str(given.get(each.name) or interview.values.pop(each.name, "")).strip()
        if not text:
            continue
        try:
            interview.values[each.name] = each.check(text, known)
        except ValueError as fault:
            interview.values.pop(each.name, None)
            faults.append(f"{each.name} is not recorded: {fault}")
    if faults:
        interview.refused += 1
        if interview.refused >= _MANY_REFUSED:
            faults.append(
                f"This has failed {interview.refused} times: offer to leave it open, and call {DECLINE} then."
            )
        raise ToolException(" ".join(faults))
    interview.refused = 0
    missing = [each.name for each in form.missing(interview.values)]
    if missing:
        return f"Recorded. Still missing: {', '.join(missing)}."
    if form.confirms:
        return f"Recorded. Read it back: {form.told(interview.values)}."
    interview.outcome = {**interview.values, **form.added(interview.values)}
    return "Recorded. That is all."
