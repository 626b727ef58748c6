"""Client events in order, and sound that comes faster than it was spoken in pieces that keep the loop free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from antiphon.clock import Clock
from antiphon.transports.realtime.sound import CALL_AUDIO
from antiphon.wire.realtime.client_events import AudioAppend, ClientEvent

_PIECE = CALL_AUDIO.frame_bytes(100)
_AT_ONCE = 5 * _PIECE
_BREATH_S = 0.02
"""Between two bursts: the detector scores what it was given meanwhile."""
_MOST_WAITING = 10_000


class Inlet:
    """The way in. Nothing waits while sound comes as it is spoken.

    Args:
        handle: Carries an event out.
        decode: The sound of an ``append`` in the call's format.
        hear: Takes sound in the call's format.
        spawn: Runs a task of the session.
        clock: Time.

    Attributes:
        dropped: Events that came while too many waited.
    """

    def __init__(
        self,
        handle: Callable[[ClientEvent], None],
        *,
        decode: Callable[[bytes], bytes],
        hear: Callable[[bytes], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        clock: Clock,
    ) -> None:
        self.dropped = 0
        self._handle = handle
        self._decode = decode
        self._hear = hear
        self._spawn = spawn
        self._clock = clock
        self._waiting: deque[ClientEvent | bytes] = deque()
        self._is_draining = False
        self._poured = 0  # bytes since the last breath

    def take(self, event: ClientEvent) -> None:
        """Carry an event out, behind those that wait."""
        if self._is_draining:
            if len(self._waiting) >= _MOST_WAITING:
                self.dropped += 1
            else:
                self._waiting.append(event)
        elif type(event) is AudioAppend:
            self._take_pcm(self._decode(event.audio))
        else:
            self._handle(event)

    def take_sound(self, pcm: bytes) -> None:
        """Hear sound that is in the call's format, behind what waits."""
        if not self._is_draining:
            self._take_pcm(pcm)
        elif len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
        else:
            self._waiting.append(pcm)

    def _take_pcm(self, pcm: bytes) -> None:
        if len(pcm) <= _AT_ONCE:
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
                    await self._pour(next_one)
                elif type(next_one) is AudioAppend:
                    await self._pour(self._decode(next_one.audio))
                else:
                    self._handle(next_one)
        finally:
            self._is_draining = False

    async def _pour(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), _PIECE):
            piece = pcm[at : at + _PIECE]
            self._hear(piece)
            self._poured += len(piece)
            if self._poured >= _AT_ONCE:  # Not for each short append: that would never catch up.
                self._poured = 0
                await self._clock.sleep(_BREATH_S)
