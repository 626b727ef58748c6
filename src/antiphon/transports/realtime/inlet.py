"""Client events in order, and sound that comes faster than it was spoken in pieces that keep the loop free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from antiphon.clock import Clock
from antiphon.transports.realtime.sound import CALL_AUDIO
from antiphon.wire.realtime.client_events import AudioAppend, ClientEvent
from antiphon.wire.realtime.refusal import Refusal

_PIECE = CALL_AUDIO.frame_bytes(100)
_AHEAD_S = 0.5
"""Sound may come so much faster than it was spoken, for the network's sake."""
_BREATH_S = 0.02
"""Between two bursts: the detector scores what it was given meanwhile."""
_MOST_WAITING = 10_000
_MOST_WAITING_BYTES = CALL_AUDIO.frame_bytes(15 * 60_000)


class Inlet:
    """The way in. Nothing waits while sound comes as it is spoken.

    Args:
        handle: Carries an event out, or tells of a refusal.
        decode: The sound of an ``append`` in the call's format.
        hear: Takes sound in the call's format.
        pauses: Whether the caller pauses, and may have ended the turn.
        spawn: Runs a task of the session.
        clock: Time.

    Attributes:
        dropped: Events that came while too many waited.
    """

    def __init__(
        self,
        handle: Callable[[ClientEvent | Refusal], None],
        *,
        decode: Callable[[bytes], bytes],
        hear: Callable[[bytes], None],
        pauses: Callable[[], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        clock: Clock,
    ) -> None:
        self.dropped = 0
        self._handle = handle
        self._decode = decode
        self._hear = hear
        self._pauses = pauses
        self._spawn = spawn
        self._clock = clock
        self._waiting: deque[ClientEvent | Refusal | bytes] = deque()
        self._is_draining = False
        self._waiting_bytes = 0
        self._until = 0.0  # when what was heard would be over, had it come as it was spoken
        self._poured_s = 0.0  # since the last breath

    def take(self, event: ClientEvent | Refusal) -> None:
        """Carry an event out, or tell of one that could not be read, behind those that wait."""
        if self._is_draining:
            self._queue(event, len(event.audio) if type(event) is AudioAppend else 0)
        elif type(event) is AudioAppend:
            self._take_pcm(self._decode(event.audio))
        else:
            self._handle(event)

    def take_sound(self, pcm: bytes) -> None:
        """Hear sound that is in the call's format, behind what waits."""
        if self._is_draining:
            self._queue(pcm, len(pcm))
        else:
            self._take_pcm(pcm)

    def _queue(self, waiting: ClientEvent | Refusal | bytes, size: int) -> None:
        if len(self._waiting) >= _MOST_WAITING or self._waiting_bytes + size > _MOST_WAITING_BYTES:
            self.dropped += 1
        else:
            self._waiting.append(waiting)
            self._waiting_bytes += size

    def _take_pcm(self, pcm: bytes) -> None:
        now = self._clock.now()
        until = max(now, self._until) + CALL_AUDIO.seconds(len(pcm))
        if until <= now + _AHEAD_S:
            self._until = until
            self._hear(pcm)
        else:
            self._is_draining = True
            self._spawn(self._drain(pcm))

    async def _drain(self, pcm: bytes) -> None:
        try:
            await self._pour(pcm)
            while self._waiting:
                next_one = self._waiting.popleft()
                if isinstance(next_one, bytes):
                    self._waiting_bytes -= len(next_one)
                    await self._pour(next_one)
                elif type(next_one) is AudioAppend:
                    self._waiting_bytes -= len(next_one.audio)
                    await self._pour(self._decode(next_one.audio))
                else:
                    self._handle(next_one)
        finally:
            self._is_draining = False
            self._until = 0.0

    async def _pour(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), _PIECE):
            piece = pcm[at : at + _PIECE]
            self._hear(piece)
            self._poured_s += CALL_AUDIO.seconds(len(piece))
            if self._pauses():  # How long a pause is decides whether the turn is over: it lasts what it lasted.
                await self._clock.sleep(self._poured_s)
                self._poured_s = 0.0
            elif self._poured_s >= _AHEAD_S:  # Not for each short append: that would never catch up.
                await self._clock.sleep(_BREATH_S)
                self._poured_s = 0.0
