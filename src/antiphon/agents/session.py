"""A text conversation: its messages, its state, and what of it is still open."""

from __future__ import annotations

import asyncio
import json
import os
import random
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from antiphon.agents.approval import Approvals
from antiphon.agents.handoff import Apart
from antiphon.agents.heard import heard_audio, heard_words
from antiphon.agents.interview import Interview, covered
from antiphon.agents.passing import laid_over
from antiphon.agents.runner import ToolRunner
from antiphon.agents.stores import HistoryProvider
from antiphon.clock import Clock, WallClock
from antiphon.errors import AgentInvalidRequestException
from antiphon.logs import Log
from antiphon.models.llm.content import FunctionCall, FunctionResult, LateResult
from antiphon.models.llm.messages import Message, as_messages, tool_message

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.turns import Turn

_log = Log(__name__)

FORMAT = 1
MAX_MESSAGES = 10_000
MAX_WAITING = 100
_CLOSE_S = 1.0
MAX_STATE_BYTES = 1024 * 1024


@dataclass(slots=True, eq=False, weakref_slot=True)
class AgentSession:
    """A conversation. One turn at a time; one agent after the other may use it.

    Attributes:
        id: Its id.
        messages: What was said and done so far.
        state: What tools and context providers keep; values that JSON can hold.
        memory: What compaction has learned of the conversation.
        history: Where the messages are kept besides; they are loaded from there before the first turn.
        active_agent: The agent that answers after a handoff.
        agents: Further agents that handoffs may name.
        variables: Values for templates, over the agents' own.
        brought: What the last handoff brought, over those.
        visits: How often the conversation came to each agent, where there were handoffs.
        apart: Since when the agent in charge has the conversation, where it does not share the context.
        version: Counted up by a ``SessionStore``.
        approvals: Calls that wait for a person, and what is allowed.
        interview: What the user is being asked for by a collector, while the agent waits.
        interviewed: The ids of the calls of earlier ones.
        private: What collectors have found out, for tools alone; never part of the JSON form.
        uncovered: Interviews that are over, whose messages still hold what nobody may read.
        late: Results that came after the model was told to wait; ``agent.run(None, session=...)`` hands them over.
        dropped: Late results and waiting messages that found no room.
        clock: Its time.
    """

    id: str = field(default_factory=lambda: f"ses_{os.urandom(12).hex()}")
    messages: list[Message] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    history: HistoryProvider | None = None
    active_agent: str | None = None
    agents: Sequence[Agent] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    brought: Mapping[str, Any] = field(default_factory=dict)
    visits: dict[str, int] = field(default_factory=dict)
    apart: Apart | None = None
    version: int = 0
    approvals: Approvals = field(default_factory=Approvals)
    interview: Interview | None = None
    interviewed: list[str] = field(default_factory=list)
    private: dict[str, Any] = field(default_factory=dict, repr=False)
    uncovered: list[Interview] = field(default_factory=list, repr=False)
    late: deque[LateResult] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    dropped: int = 0
    clock: Clock = field(default_factory=WallClock, repr=False)
    queue: deque[Message] = field(default_factory=lambda: deque(maxlen=MAX_WAITING), repr=False)
    turn: Turn | None = field(default=None, repr=False)
    _tools: ToolRunner | None = field(default=None, repr=False)
    _loaded: bool = field(default=False, repr=False)
    _results: list[FunctionResult] = field(default_factory=list, repr=False)
    _chores: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    @property
    def busy(self) -> bool:
        """Whether a turn is going on."""
        return self.turn is not None

    @property
    def values(self) -> Mapping[str, Any]:
        """The values for templates, those of the last handoff among them."""
        return laid_over(self.variables, self.brought) if self.brought else self.variables

    def tools(self, values: Mapping[str, Any]) -> ToolRunner:
        """Who runs the tools of this conversation."""
        if self._tools is None:
            # The runner knows its session weakly: so they are no cycle, and a session that is dropped is gone.
            owner = weakref.ref(self)
            self._tools = ToolRunner(
                self.clock,
                session_id=self.id,
                state=self.state,
                private=self.private,
                on_result=lambda call, result: _call(owner, AgentSession._add_result, call, result),
                on_late=lambda call, result: _call(owner, AgentSession._add_late, call, result),
            )
        self._tools.values = values
        return self._tools

    async def load(self) -> None:
        """Read the messages that ``history`` keeps, once."""
        if self.history is not None and not self._loaded:
            self.messages[:0] = await self.history.load(self.id, MAX_MESSAGES)
            self._loaded = True

    async def add(self, messages: Sequence[Message]) -> None:
        """Write messages, in one operation.

        Raises:
            AgentInvalidRequestException: The session is full.
        """
        if len(self.messages) + len(messages) > MAX_MESSAGES:
            raise AgentInvalidRequestException(
                f"Session {self.id} has {len(self.messages)} messages; begin a new one.", code="input_invalid"
            )
        if self.history is not None:
            now = self.clock.utc().isoformat(timespec="milliseconds")
            messages = [
                message
                if message.created_at
                else message.replace(created_at=now, message_id=message.message_id or new_id())
                for message in messages
            ]
            await self.history.append(self.id, messages)
        self.messages.extend(messages)

    def enqueue(self, message: str | Message) -> None:
        """Add a message to the turn that is going on, before its next step; else to the next turn."""
        if len(self.queue) == MAX_WAITING:
            self.dropped += 1
            _log.error("session.message_dropped", session_id=self.id, waiting=MAX_WAITING)
        self.queue += as_messages(message)

    async def set_heard(self, message_id: str, *, heard_ms: float | None = None, heard_text: str | None = None) -> None:
        """Correct what was heard of an interrupted answer, when the playback's report comes in later.

        Args:
            message_id: The answer; updates and messages name it.
            heard_ms: Time at which the playback stopped; the answer needs an audio content for that.
            heard_text: The words that were heard.

        Raises:
            AgentInvalidRequestException: There is no such message.
        """
        for place in range(len(self.messages) - 1, -1, -1):
            message = self.messages[place]
            if message.message_id == message_id:
                whole = message.generated_text or message.text
                text = heard_words(message, heard_ms) if heard_text is None else heard_text
                heard = _with_heard(message, text, heard_ms).replace(interrupted=text != whole, generated_text=whole)
                self.messages[place] = heard
                if self.history is not None:
                    await self.history.replace(self.id, message_id, heard)
                return
        raise AgentInvalidRequestException(
            f"Session {self.id} has no message {message_id!r}; take the id from an update or a message.",
            code="input_invalid",
        )

    async def cover(self) -> None:
        """Take what nobody may read out of the messages of interviews that are over."""
        while self.uncovered:
            for place, message in covered(self.messages, self.uncovered.pop()):
                self.messages[place] = message
                if self.history is not None and message.message_id is not None:
                    await self.history.replace(self.id, message.message_id, message)

    def take_late(self) -> list[Message]:
        """The late results, each as a call and its result, which every model understands."""
        taken: list[Message] = []
        while self.late:
            arrived = self.late.popleft()
            call_id = f"call_{uuid4().hex[:12]}"
            call = FunctionCall(call_id, arrived.call.name, arrived.call.arguments)
            result = msgspec.structs.replace(arrived.result, call_id=call_id)
            taken += [Message("assistant", (call,)), tool_message(result)]
        return taken

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a chore of the session behind its turns, such as a summary; ``aclose`` ends it."""
        task = asyncio.create_task(self._guarded(work, name), name=f"{self.id} {name}")
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before its first step, it never came to its work

    async def _guarded(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception:  # the chore's root: what fails behind the conversation must be seen, and costs no turn
            _log.exception("session.chore_failed", session_id=self.id, chore=name)

    async def aclose_tools(self) -> None:
        """Cancel the tool calls that still run."""
        if self._tools is not None:
            tools, self._tools = self._tools, None
            await tools.aclose()

    async def aclose(self) -> None:
        """End what still runs for this conversation. Late results that come after this are dropped."""
        if self.turn is not None:
            await self.turn.aclose()
        chores = tuple(self._chores)
        for chore in chores:
            chore.cancel()
        if chores:
            await asyncio.wait(chores, timeout=_CLOSE_S)
        await self.aclose_tools()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, with which the conversation goes on in another process.

        Raises:
            TypeError: The state holds what JSON cannot.
        """
        try:
            # This encoder takes what comes back as it was; another would make dictionaries of dataclasses.
            state = json.dumps(self.state, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"The state of session {self.id} cannot be kept: {error}; use values that JSON can hold."
            ) from None
        if len(state) > MAX_STATE_BYTES:
            raise AgentInvalidRequestException(
                f"The state of session {self.id} has {len(state)} bytes; at most {MAX_STATE_BYTES} are kept.",
                code="input_invalid",
            )
        return {
            "v": FORMAT,
            "id": self.id,
            "version": self.version,
            "messages": [message.to_dict() for message in self.messages],
            "state": json.loads(state),
            "memory": self.memory,
            "active_agent": self.active_agent,
            "variables": dict(self.variables),
            "brought": dict(self.brought),
            "visits": dict(self.visits),
            "apart": None if self.apart is None else asdict(self.apart),
            "approvals": self.approvals.to_dict(),
            "interview": self.interview.to_dict() if self.interview is not None else None,
            "interviewed": list(self.interviewed),
            "late": [msgspec.to_builtins(result) for result in self.late],
            "queue": [message.to_dict() for message in self.queue],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> AgentSession:
        """From the JSON form.

        Raises:
            AgentInvalidRequestException: It is none of this version.
        """
        if fields.get("v") != FORMAT:
            raise AgentInvalidRequestException(
                f"This session has the format {fields.get('v')!r}; this version of Antiphon reads {FORMAT}.",
                code="input_invalid",
            )
        session = cls(fields["id"], [Message.from_dict(each) for each in fields["messages"]], dict(fields["state"]))
        session.memory = dict(fields["memory"])
        session.version = fields["version"]
        session.active_agent = fields["active_agent"]
        session.variables = fields["variables"]
        session.brought = fields.get("brought", {})
        session.visits = dict(fields.get("visits", {}))
        apart = fields.get("apart")
        session.apart = None if apart is None else Apart(**apart)
        session.approvals = Approvals.from_dict(fields["approvals"])
        session.interview = Interview.from_dict(fields["interview"]) if fields.get("interview") else None
        session.interviewed = list(fields.get("interviewed", ()))
        session.late.extend(msgspec.convert(each, LateResult) for each in fields["late"])
        session.queue.extend(Message.from_dict(each) for each in fields["queue"])
        return session

    def settle(self) -> None:
        """Write the results of calls that have outlived their turn; those that the turn has written itself leave."""
        if not self._results:
            return
        open_calls = {call.call_id for message in self.messages for call in message.calls}
        open_calls -= {message.result.call_id for message in self.messages if message.result is not None}
        messages = [tool_message(result) for result in self._results if result.call_id in open_calls]
        self._results.clear()
        self.messages.extend(messages)
        if self.history is not None and messages:
            self.spawn(self.history.append(self.id, messages), "result")

    def _add_result(self, _call: FunctionCall, result: FunctionResult) -> None:
        """A call has outlived its turn and is done now. While a turn is being written it waits, to follow its call."""
        self._results.append(result)
        if self.turn is None:
            self.settle()

    def _add_late(self, call: FunctionCall, result: FunctionResult) -> None:
        if len(self.late) == MAX_WAITING:
            self.dropped += 1
            _log.error("session.late_result_dropped", session_id=self.id, waiting=MAX_WAITING)
        self.late.append(LateResult(call, result))


def _call(
    owner: weakref.ref[AgentSession],
    method: Callable[[AgentSession, FunctionCall, FunctionResult], None],
    call: FunctionCall,
    result: FunctionResult,
) -> None:
    session = owner()
    if session is not None:
        method(session, call, result)


def _with_heard(message: Message, text: str, heard_ms: float | None) -> Message:
    """The message with the words that were heard; sound keeps its transcript, so that this can be corrected again."""
    if all(content.type != "audio" for content in message.contents):
        return message.with_text(text)
    contents = [heard_audio(each, heard_ms, text) if each.type == "audio" else each for each in message.contents]
    return message.replace(contents=tuple(contents))


def new_id() -> str:
    """An id for a message: unlikely to be met twice, and no secret."""
    return f"msg_{random.getrandbits(96):024x}"
