"""What the caller hears, in order, a bounded time ahead; knows to the frame what was heard.

Speeches stand in a queue and are sent one after the other. Sound is sent at most ``lead_s`` before it is heard, so
that a cut is exact; what was sent and not heard can be taken back, kept (pause) or forgotten (stop). A background lies
under all of it and fills the silences; it belongs to no speech, and what is told and counted is the same without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from antiphon.calls.background import Background
from antiphon.calls.events import SpeechKind
from antiphon.calls.line import AudioTap, BackgroundLine, Line
from antiphon.calls.pacer import Pacer
from antiphon.calls.speech import Speech
from antiphon.clock import Clock

_EPSILON_S = 1e-6
_MAX_DELAY_S = 1.0
_URGENT: frozenset[SpeechKind] = frozenset({"filler", "apology", "tones"})
_STEP_MS = 20
"""A message that is not full is filled up with silence to a whole number of these."""
_PATIENCE_S = 0.06
"""A frame that is not full waits for its rest until this long before it must sound."""
_BACKGROUND_LEAD_S = 0.04
"""A background alone is sent so long before it must sound: two beats, since speech that comes has to wait behind it."""
_LONG_WAIT_S = 0.1
"""A background alone that reaches further ahead is taken back for speech, where the line can do that."""


class PlayoutEvents(Protocol):
    """Who is told about the playout; called on the loop, at once."""

    def speech_started(self, speech: Speech) -> None:
        """Sound of a speech was sent, its first or the first after silence."""
        ...

    def speech_over(self, speech: Speech) -> None:
        """A speech was heard to its end."""
        ...

    def silent(self, last: Speech, more: bool) -> None:
        """All sound so far was heard; ``more``: a speech in the queue is not complete."""
        ...

    def speech_sent(self, speech: Speech) -> None:
        """The whole sound of a speech was sent."""
        ...


class Playout:
    """The agent's side of the line.

    Attributes:
        paused: Nothing is sent until ``resume``.
    """

    def __init__(
        self,
        line: Line,
        events: PlayoutEvents,
        *,
        pacer: Pacer,
        clock: Clock,
        lead_s: float,
        frame_ms: int,
        tap: AudioTap | None = None,
        seconds: Callable[[float], float],
    ) -> None:
        self.paused = False
        self._line = line
        self._events = events
        self._pacer = pacer
        self._clock = clock
        self._lead_s = lead_s
        self._frame = line.audio.frame_bytes(frame_ms)
        self._frame_s = frame_ms / 1000
        self._step = line.audio.frame_bytes(min(_STEP_MS, frame_ms))
        self._tap = tap
        self._seconds = seconds
        self._queue: list[Speech] = []
        self._sent: deque[tuple[float, float, Speech, int]] = deque()  # (heard from, to its end, of whom, bytes)
        self._end = 0.0  # when the sound sent so far is heard to its end
        self._delay = 0.0  # how much later than by our clock the line plays, from its marks
        self._marks: dict[str, float] = {}  # name -> when we expect it
        self._mark_count = 0
        self._beating = False
        self._silent: bool | None = False  # what was told last: more is to come, nothing is; None while it sounds
        self._last: Speech | None = None  # who sounded last
        self._background: Background | None = None
        self._play_background: Callable[[bytes], None]

    @property
    def sounding(self) -> bool:
        """Whether something is being heard, or is on its way."""
        return bool(self._sent)

    @property
    def speech(self) -> Speech | None:
        """What is being heard."""
        return self._sent[0][2] if self._sent else None

    def attach(self, speech: Speech, *, ahead: bool = False) -> None:
        """Say this after what is in the queue, or ``ahead`` of what has not begun."""
        self._queue.insert(0, speech) if ahead else self._queue.append(speech)
        speech.on_change = self._wake
        if self._silent is False:
            self._silent = True
        self._wake()

    @property
    def background(self) -> Background | None:
        """What lies under the speech, once it was asked for; None on a line that carries none.

        Call ``fill`` when it begins.
        """
        line = self._line
        if self._background is None and isinstance(line, BackgroundLine):
            self._background, self._play_background = Background(line.audio), line.play_background
        return self._background

    def fill(self) -> None:
        """Fill the silence with the background from now on."""
        self._pacer.join(self)

    def close(self) -> None:
        """Send nothing any more."""
        self._background = None
        self.paused = True
        self._pacer.leave(self)

    def pause(self) -> None:
        """Hold the sound: take back what was not heard, to be sent again by ``resume``."""
        self.paused = True
        if self._line.can_pause:
            self._take_back()
            self._send_background(self._clock.now())

    def resume(self) -> None:
        """Go on where ``pause`` held."""
        self.paused = False
        self._pacer.join(self)
        self._wake()

    def stop(self) -> list[Speech]:
        """Forget everything that was not heard; the speeches that this cuts, in order."""
        self._take_back()
        self.paused = False
        for speech in tuple(self._queue):
            self._close(speech)  # what the line cannot take back may have been the whole rest
        cut = self._queue.copy()
        for speech in cut:
            self._remove(speech)
        self._leave()
        self._silent = False
        self._send_background(self._clock.now())
        return cut

    def drop(self, speech: Speech) -> bool:
        """Forget what was not heard of one speech, and go on with the rest of the queue; whether this cuts it."""
        if speech not in self._queue:
            return False
        if self._line.can_pause:
            self._take_back()
        speech.complete = True
        self._close(speech)  # it may have been heard whole
        cut = speech in self._queue
        if cut:
            self._remove(speech)
            self._last = speech if speech.started else self._last
        self._pacer.join(self)  # what was taken back of others is sent again, and the silence is told
        self._wake()
        return cut

    def mark_played(self, name: str) -> None:
        """The line has played up to this mark: learn how late it is."""
        expected = self._marks.pop(name, None)
        if expected is not None:
            self._delay = min(_MAX_DELAY_S, max(0.0, self._clock.now() - expected))

    # Sending.

    def _wake(self) -> None:
        self._tell_sent()
        if self.paused or not self._queue:
            return
        self._pacer.join(self)
        if not self._beating:
            self.beat(self._clock.now())

    def beat(self, now: float) -> None:
        """Send what is due and see what was heard."""
        self._beating = True
        try:
            self._settle(now)
            if not self.paused:
                self._send_due(now)
                if not self._sent:
                    self._rest()
            self._send_background(now)
        finally:
            self._beating = False

    def _send_due(self, now: float) -> None:
        limit = now + self._lead_s - self._frame_s + _EPSILON_S
        while self._end <= limit:
            speech = self._next()
            if speech is None:
                return
            start = max(self._end, now)
            if speech.waiting < self._frame and not speech.complete and self._sent and start - now > _PATIENCE_S:
                return  # the rest of this frame may still come in time
            if not self._sent and start - now > _LONG_WAIT_S and self._line.can_clear:
                self._clear(now)
                start = now
            self._send(speech, start)

    def _send_background(self, now: float) -> None:
        """Where no speech sounds soon, the background goes on alone."""
        limit = now + _BACKGROUND_LEAD_S + _EPSILON_S
        while self._background is not None and self._background.is_on and self._end <= limit:
            start = max(self._end, now)
            payload = self._background.alone(self._frame)
            self._end = start + self._line.audio.seconds(len(payload))
            self._play_background(payload)
            if self._tap is not None:
                self._tap.agent(self._seconds(start), payload)

    def _next(self) -> Speech | None:
        """Whose sound is to be sent: in order, each to its end.

        A filler that is still silent holds up nobody, and any other silent speech no apology.
        """
        held_up = False
        for speech in self._queue:
            if speech.waiting and (not held_up or speech.kind in _URGENT):
                return speech
            if not speech.complete:
                if speech.started:
                    return None
                held_up = held_up or speech.kind != "filler"
        return None

    def _send(self, speech: Speech, at: float) -> None:
        """Send one frame that is heard from ``at`` on."""
        audio = self._line.audio
        payload = bytes(speech.sound[speech.sent : speech.sent + self._frame])
        size = len(payload)
        lacking = -size % self._step
        if lacking and size < self._frame:
            payload += audio.silence(lacking)
        if self._background is not None and self._background.is_on:
            payload = self._background.under(payload)
        self._end = at + audio.seconds(len(payload))
        speech.sent += size
        self._sent.append((at, self._end, speech, size))
        self._line.play(payload, speech)
        if self._tap is not None:
            self._tap.agent(self._seconds(at), payload)
        if not speech.waiting and self._line.has_marks:
            self._mark(self._end)
        begins = not speech.started or self._silent is not None
        speech.started = True
        self._silent = None
        if begins:
            self._events.speech_started(speech)
        if self._queue[0].kind == "filler" and not self._queue[0].started:
            self._remove(self._queue[0])  # it would come too late
        if speech.complete and not speech.waiting:
            self._tell_sent()

    def _tell_sent(self) -> None:
        """Speeches of which nothing more will be sent are told, each once."""
        for speech in self._queue:
            if speech.complete and not speech.waiting and not speech.is_sent:
                speech.is_sent = True
                self._events.speech_sent(speech)

    def _mark(self, expected: float) -> None:
        self._mark_count += 1
        name = f"m{self._mark_count}"
        if len(self._marks) > 64:
            self._marks.pop(next(iter(self._marks)))
        self._marks[name] = expected
        self._line.mark(name)

    # What was heard.

    def _settle(self, now: float) -> None:
        """Count the frames that were heard to their end."""
        sent = self._sent
        heard_until = now - self._delay
        if not sent or sent[0][1] > heard_until:
            return
        last = sent[0][2]
        while sent and sent[0][1] <= heard_until:
            _, _, speech, size = sent.popleft()
            speech.played += size
            if speech is not last:
                self._close(last)
                last = speech
        self._close(last)
        self._last = last

    def _close(self, speech: Speech) -> None:
        if speech.over and speech in self._queue:
            self._remove(speech)
            self._events.speech_over(speech)

    def _remove(self, speech: Speech) -> None:
        self._queue.remove(speech)
        speech.on_change = None
        speech.on_clause = None

    def _take_back(self) -> None:
        """Undo what was sent and not heard; where the line cannot, it will be heard."""
        now = self._clock.now()
        self._settle(now)
        if not self._sent:
            return
        heard_until = now - self._delay
        if self._line.can_clear:
            while self._sent and self._sent[-1][1] > heard_until:
                begun, _, speech, size = self._sent.pop()
                speech.sent -= size - self._heard_part(size, begun, heard_until, speech)
            self._clear(now)
        for _, _, speech, size in self._sent:
            speech.played += size
        self._sent.clear()

    def _clear(self, now: float) -> None:
        """Have the line drop what was not heard; the background goes on where it was."""
        heard_until = now - self._delay
        self._line.clear()
        self._marks.clear()
        if self._background is not None:
            self._background.rewind(self._end - heard_until)
        self._end = now
        if self._tap is not None:
            self._tap.cut(self._seconds(heard_until))

    def _heard_part(self, size: int, begun: float, heard_until: float, speech: Speech) -> int:
        """Bytes of a frame that were heard before the cut; they count as played."""
        audio = self._line.audio
        part = min(size, max(0, round((heard_until - begun) * audio.rate_hz) * audio.sample_bytes))
        speech.played += part
        return part

    def _rest(self) -> None:
        """Nothing is on its way: close what was completed without a sound, leave the pacer, and tell the silence."""
        for speech in [speech for speech in self._queue if speech.over]:
            self._close(speech)
            self._last = speech
        if self._next() is not None:
            return
        self._leave()
        more = any(not speech.complete for speech in self._queue)
        if self._last is not None and (self._silent is None or (self._silent and not more)):
            self._silent = more
            self._events.silent(self._last, more)

    def _leave(self) -> None:
        """Nothing is to be sent for now, unless a background sounds."""
        if self._background is None or not self._background.is_on:
            self._pacer.leave(self)
