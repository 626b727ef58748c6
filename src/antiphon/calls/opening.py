"""Who speaks first on a call that we make, while it is found out whether a machine has answered.

People say "Hello?", machines a sentence: the agent lets them, so that no machine is greeted. The greeting is the answer
to a person's first words, or comes by itself where nobody says anything; who goes on before it is heard gets it then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from antiphon.calls.events import (
    AgentSpeechStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTurnCompleted,
    VoicemailDetected,
)
from antiphon.calls.log import CallLog, Entry
from antiphon.clock import Clock

WAIT_S = 2.0
"""Silence of the other side behind which the agent speaks first after all."""
_LOOK_S = 0.2
_TRIES = 2
"""The greeting is made so often where the other side speaks before it is heard."""


class Opening:
    """The first seconds of one call.

    Args:
        log: The call's, which tells what is heard.
        clock: Time.
        is_free: Whether nobody speaks, and nothing is undecided.
        greet: Says the greeting.
        over: Told when the other side's words are to be answered as usual.
        yields: They are answered from the start, by who holds the call, and then there is no greeting.
    """

    def __init__(
        self,
        log: CallLog,
        clock: Clock,
        *,
        is_free: Callable[[], bool],
        greet: Callable[[], None],
        over: Callable[[], None] = lambda: None,
        yields: bool = False,
    ) -> None:
        self._log = log
        self._clock = clock
        self._is_free = is_free
        self._greet = greet
        self._over = over
        self._yields = yields
        self._tries_left = 1 if yields else _TRIES
        self._timer: asyncio.TimerHandle | None = None
        self._leave: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """The call is up: wait."""
        self._leave = self._log.subscribe(self._read)
        self._greet_in(WAIT_S)

    def close(self) -> None:
        """Whoever is to be greeted was greeted."""
        self._leave()
        self._stop()

    def _read(self, entry: Entry) -> None:
        reader = _READERS.get(type(entry.event))
        if reader is not None:
            reader(self, entry.event)

    def _speech_started(self, _event: UserSpeechStarted) -> None:
        self._stop()
        if self._yields:
            self.close()

    def _heard(self, _event: AgentSpeechStarted) -> None:
        self.close()
        self._timer = self._clock.call_at(self._clock.now(), self._over)  # not amid what is told now

    def _who(self, event: VoicemailDetected) -> None:
        if event.result == "machine":
            self.close()

    def _greet_in(self, seconds: float) -> None:
        self._stop()
        self._timer = self._clock.call_at(self._clock.now() + seconds, self._look)

    def _look(self) -> None:
        if not self._is_free():
            self._greet_in(_LOOK_S)
            return
        self._tries_left -= 1
        if not self._tries_left:
            self.close()
            self._over()
        self._greet()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


_READERS: dict[type, Callable[[Opening, Any], None]] = {
    AgentSpeechStarted: Opening._heard,
    UserSpeechStarted: Opening._speech_started,
    UserSpeechStopped: lambda opening, _: opening._greet_in(WAIT_S),
    UserTurnCompleted: lambda opening, _: opening._greet_in(0.0),
    VoicemailDetected: Opening._who,
}
