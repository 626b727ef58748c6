"""What a collector asks for in a call: told in the log, waited for with patience, kept secret, given up in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from antiphon.agents.interview import Interview
from antiphon.agents.session import AgentSession
from antiphon.calls import events
from antiphon.calls.history import History
from antiphon.calls.log import CallLog, Entry
from antiphon.clock import Clock
from antiphon.models.llm.content import AgentToolEnded, AgentToolStarted
from antiphon.tools.keypad import EXPECT
from antiphon.tools.sounds import PAUSE_RECORDING, RESUME_RECORDING

_LOOK_AGAIN_S = 0.5
_BY = "collector"
_CUT = "The call ended."


class Collecting:
    """The interviews of one call, beside its turns.

    Args:
        session: Knows what is being asked for.
        history: Loses what was said in confidence.
        log: Where it is told.
        clock: The call's time.
        request: Asks the call for something, as tools do: patience, and that the recording is paused.
        is_free: Whether nobody speaks.
        give_up: Has the agent go on that waits, since the time is over.
    """

    def __init__(
        self,
        session: AgentSession,
        history: History,
        log: CallLog,
        *,
        clock: Clock,
        request: Callable[[str, Mapping[str, Any]], None],
        is_free: Callable[[], bool],
        give_up: Callable[[], None],
    ) -> None:
        self._session = session
        self._history = history
        self._log = log
        self._clock = clock
        self._request = request
        self._is_free = is_free
        self._give_up = give_up
        self._interview: Interview | None = None
        self._type = ""
        self._timer: asyncio.TimerHandle | None = None
        self._of_turn: str | None = None
        self._leave = log.subscribe(self._read)

    def note(self, record: AgentToolStarted | AgentToolEnded) -> None:
        """An interview begins or ends."""
        if record.type == "agent_tool_ended":
            self._ended(record)
            return
        interview = self._interview = self._session.interview
        if interview is None:
            return
        self._type, self._of_turn = record.tool_type, record.call.call_id
        if interview.secret:
            self._log.veil()
            self._request(PAUSE_RECORDING, {"by": _BY})
        self._log.append(events.AgentToolStarted(record.tool_type, record.call.call_id))
        self._wait((interview.ends_at - self._clock.utc()).total_seconds())

    def tagged(self, event: events.CallEvent) -> events.CallEvent:
        """What is told of a turn, with the interview that it belongs to."""
        if not isinstance(event, events.TurnCompleted):
            return event
        interview, self._of_turn = self._of_turn, None if self._interview is None else self._of_turn
        return event if interview is None else replace(event, agent_tool_id=interview)

    def close(self) -> None:
        """The call is over: what was not found out has failed."""
        self._leave()
        if self._timer is not None:
            self._timer.cancel()
        if self._interview is not None:
            self._log.append(events.AgentToolFailed(self._type, self._interview.call.call_id, _CUT))
            self._interview = None

    def _ended(self, record: AgentToolEnded) -> None:
        interview, self._interview = self._interview, None
        if self._timer is not None:
            self._timer.cancel()
        if interview is not None and interview.secret:
            found = self._session.private.get(record.call.name, {})
            for name in interview.secret & found.keys():
                self._log.hide(str(found[name]))
            self._log.unveil()
            self._request(RESUME_RECORDING, {"by": _BY})
        while self._session.uncovered:
            self._history.cover(self._session.uncovered.pop())
        tool_type, call_id, text = record.tool_type, record.call.call_id, record.result.text
        if record.result.status == "ok":
            self._log.append(events.AgentToolCompleted(tool_type, call_id, msgspec.json.decode(text)))
        else:
            self._log.append(events.AgentToolFailed(tool_type, call_id, text))

    def _read(self, entry: Entry) -> None:
        """The agent begins to speak: now it is known what it waits for."""
        if isinstance(entry.event, events.AgentSpeechStarted) and self._interview is not None:
            wanted = self._interview.expects()
            if wanted is not None:
                self._request(EXPECT, {"what": wanted.expects, "digits": wanted.digits})

    def _wait(self, seconds: float) -> None:
        self._timer = self._clock.call_at(self._clock.now() + seconds, self._out_of_time)

    def _out_of_time(self) -> None:
        self._timer = None
        if self._interview is None:
            return
        self._wait(_LOOK_AGAIN_S)  # whoever speaks now may finish; a caller who does is answered by who waits
        if self._is_free():
            self._give_up()  # which may end this interview at once, and begin another
