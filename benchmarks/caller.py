"""One caller: a script, the carrier's playout buffer, and what it observes.

The caller speaks, waits for the agent, hears the reply to its end and pauses; on every second turn it speaks over the
reply in place of hearing it out, and then waits for the new reply. The playout buffer is the carrier's: sound that
comes after the buffer ran dry is late, and marks come back when they are played.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

from benchmarks import signals
from benchmarks.measurements import Measurements
from benchmarks.telephony import CARRIERS, Heard
from benchmarks.wsclient import WebSocketClient

_ENOUGH_MS = 60
"""A reply that lacks no more than this has been heard out."""
_FELL_SILENT_S = 0.15
"""After an interruption, so much silence without a clear counts as the stop."""
_HUNG_S = 1.0
"""A reply that stopped for so long will not go on."""


@dataclass(frozen=True, slots=True)
class Script:
    """What every caller does.

    Attributes:
        carrier: A key of ``CARRIERS``.
        scenario: ``talk`` has turns; ``echo`` sends speech without end and times each frame that comes back.
        speech: One utterance, frames in base64.
        silence: What is sent between utterances.
        reply_ms: Length of the agent's reply.
        pause_s: Between turns.
        reply_timeout_s: Longest wait for a reply.
        barge_every: Interrupts in each n-th turn; 0 never.
        barge_after_s: How much of the reply is heard before the interruption.
    """

    carrier: str
    scenario: Literal["talk", "echo"]
    speech: tuple[str, ...]
    silence: tuple[str, ...]
    reply_ms: float = 2000
    pause_s: float = 0.5
    reply_timeout_s: float = 8.0
    barge_every: int = 2
    barge_after_s: float = 0.7


State = Literal["pausing", "speaking", "waiting", "hearing"]


class Caller:
    """One call; ``tick`` is called each 20 ms.

    Args:
        number: Of the call, from 1.
        url: The server's media socket.
        script: What to do.
        measurements: Shared by all callers.
    """

    def __init__(self, number: int, url: str, *, script: Script, measurements: Measurements) -> None:
        self._script = script
        self._seen = measurements
        self._carrier = CARRIERS[script.carrier](number)
        self._socket = WebSocketClient(url, self._on_message, self._on_close)
        self._ready = False
        self._ended = False
        self._chunk = 0
        self._state: State = "pausing"
        self._counted = False  # this turn began inside the window
        self._turn = 0
        self._position = 0
        self._next_turn_at = 0.0
        self._spoke_at = 0.0
        self._barged_at: float | None = None
        self._cleared = False
        self._last_audio_at = 0.0
        self._reply_at: float | None = None
        self._heard_ms = 0.0
        self._plays_until = 0.0
        self._marks: deque[tuple[float, str]] = deque()
        self._sent_at: deque[float] = deque()

    async def connect(self, first_turn_after_s: float) -> None:
        """Connect and start the stream.

        Raises:
            OSError: The server did not answer, or refused.
        """
        began = time.perf_counter()
        await self._socket.connect()
        for message in self._carrier.opening():
            self._socket.send(message)
        now = time.perf_counter()
        self._seen.connect_s.append(now - began)
        self._next_turn_at = now + first_turn_after_s
        self._ready = True

    def hang_up(self) -> None:
        """End the stream and close."""
        if self._ready and not self._ended:
            self._ended = True
            self._socket.send(self._carrier.closing())
            self._socket.close()

    def unsent_bytes(self) -> int:
        """What the server has not taken yet."""
        return self._socket.pending()

    def tick(self, now: float) -> None:
        """Send the next frame."""
        if not self._ready or self._ended:
            return
        while self._marks and self._marks[0][0] <= now:
            self._socket.send(self._carrier.mark_reached(self._marks.popleft()[1]))
        payload = self._next_payload(now)
        self._chunk += 1
        self._socket.send(self._carrier.media(self._chunk, self._chunk * signals.FRAME_MS, payload))
        self._seen.frames_sent += self._seen.open
        if self._state == "speaking" and self._position >= len(self._script.speech):
            self._state = "waiting"
            self._spoke_at = time.perf_counter()

    def _next_payload(self, now: float) -> str:
        script = self._script
        if script.scenario == "echo":
            self._sent_at.append(now)
            return script.speech[self._chunk % len(script.speech)]
        self._act(now)
        if self._state != "speaking":
            return script.silence[self._chunk % len(script.silence)]
        self._position += 1
        return script.speech[self._position - 1]

    def _act(self, now: float) -> None:
        script = self._script
        if self._state == "pausing" and now >= self._next_turn_at:
            self._speak(now, barge=False)
        elif self._state == "waiting" and now - self._spoke_at > script.reply_timeout_s:
            self._seen.no_reply += self._counted
            self._pause(now)
        elif self._state == "hearing":
            assert self._reply_at is not None
            barges = script.barge_every and self._turn % script.barge_every == 0 and self._barged_at is None
            if barges and now - self._reply_at >= script.barge_after_s:
                self._speak(now, barge=True)
            elif self._heard_ms >= script.reply_ms - _ENOUGH_MS:
                if now >= self._plays_until:
                    self._pause(now)
            elif now - self._plays_until > _HUNG_S:
                self._seen.short_replies += self._counted
                self._pause(now)

    def _speak(self, now: float, *, barge: bool) -> None:
        self._state = "speaking"
        self._position = 0
        self._counted = self._seen.open
        self._seen.turns += self._counted
        self._cleared = False
        self._barged_at = now if barge else None
        if not barge:
            self._turn += 1
            self._forget_reply()

    def _pause(self, now: float) -> None:
        self._state = "pausing"
        self._barged_at = None
        self._forget_reply()
        self._next_turn_at = now + self._script.pause_s

    def _forget_reply(self) -> None:
        self._reply_at = None
        self._heard_ms = 0.0

    def _on_message(self, message: bytes) -> None:
        now = time.perf_counter()
        heard = self._carrier.parse(message)
        if heard.kind == "audio":
            self._on_audio(now, heard)
        elif heard.kind == "mark":
            self._seen.marks += 1
            self._marks.append((max(now, self._plays_until), heard.name))
        elif heard.kind == "clear":
            self._on_clear(now)

    def _on_audio(self, now: float, heard: Heard) -> None:
        seen = self._seen
        if seen.open:
            seen.frames_heard += 1
            seen.heard_ms += heard.audio_ms
        if self._script.scenario == "echo":
            sent_at = self._sent_at.popleft() if self._sent_at else now
            if seen.open:
                seen.round_trips_s.append(now - sent_at)
            return
        stale = self._barged_at is not None and not self._cleared
        if stale and self._state == "waiting" and now - self._last_audio_at > _FELL_SILENT_S:
            self._stopped_without_clear()
            stale = False
        if self._state == "waiting" and not stale and self._reply_at is None:
            self._reply_begins(now)
        elif self._state == "speaking" and not stale:
            if self._counted and self._barged_at is None:
                seen.early_audio += 1
            elif self._counted:
                seen.audio_after_clear += 1
            return
        else:
            self._reply_goes_on(now)
        self._plays_until = max(now, self._plays_until) + heard.audio_ms / 1000
        self._heard_ms += heard.audio_ms
        self._last_audio_at = now

    def _reply_begins(self, now: float) -> None:
        self._state = "hearing"
        self._reply_at = now
        self._heard_ms = 0.0
        self._plays_until = now
        if self._counted:
            self._seen.v2v_s.append(now - self._spoke_at)

    def _reply_goes_on(self, now: float) -> None:
        if not (self._counted and self._seen.open):
            return
        late_s = now - self._plays_until
        hearing = self._state == "hearing"
        if late_s <= 0:
            self._seen.ahead_s.append(-late_s)
        elif hearing and self._heard_ms < self._script.reply_ms - _ENOUGH_MS:
            self._seen.late_s.append(late_s)
        if hearing:
            self._seen.frame_gaps_s.append(now - self._last_audio_at)

    def _stopped_without_clear(self) -> None:
        assert self._barged_at is not None
        if self._counted:
            self._seen.barge_without_clear += 1
            self._seen.barge_last_audio_s.append(self._last_audio_at - self._barged_at)
        self._cleared = True
        self._reply_at = None

    def _on_clear(self, now: float) -> None:
        self._plays_until = now
        while self._marks:
            self._socket.send(self._carrier.mark_reached(self._marks.popleft()[1]))
        confirmation = self._carrier.cleared()
        if confirmation is not None:
            self._socket.send(confirmation)
        if self._barged_at is not None and not self._cleared:
            self._cleared = True
            if self._counted:
                self._seen.barge_clear_s.append(now - self._barged_at)
                self._seen.barge_last_audio_s.append(self._last_audio_at - self._barged_at)
            self._forget_reply()

    def _on_close(self) -> None:
        if self._ready and not self._ended:
            self._ended = True
            self._seen.dropped_calls += 1
