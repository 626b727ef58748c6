"""The sound of a WebRTC call: the call's frames into a track that is sent, and a track that comes in into PCM."""

from __future__ import annotations

from fractions import Fraction

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler

from antiphon.clock import Clock
from antiphon.transports.realtime.sound import CALL_AUDIO

FRAME_MS = 20
_FRAME_S = FRAME_MS / 1000
_FRAME_BYTES = CALL_AUDIO.frame_bytes(FRAME_MS)
_FRAME_SAMPLES = _FRAME_BYTES // CALL_AUDIO.sample_bytes
_MOST_BYTES = CALL_AUDIO.frame_bytes(2_000)
_MOST_LATE_S = 0.2
"""A stall of the loop up to this is caught up in a burst; after a longer one the track goes on from now."""


class SpokenTrack(MediaStreamTrack):
    """What the client hears (``Player``): frames of the call at their pace, and silence between them.

    Args:
        clock: Sets the pace.

    Attributes:
        dropped: Frames that came while 2 s of sound waited.
    """

    kind = "audio"

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.dropped = 0
        self._clock = clock
        self._sound = bytearray()
        self._due: float | None = None
        self._frames = 0

    @property
    def is_silent(self) -> bool:
        """Whether all sound has left."""
        return not self._sound

    def play(self, payload: bytes) -> None:
        """Play this behind what was given before."""
        if len(self._sound) >= _MOST_BYTES:
            self.dropped += 1
        else:
            self._sound += payload

    def clear(self) -> None:
        """Forget what was not played."""
        self._sound.clear()

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when they are due."""
        if self.readyState != "live":
            raise MediaStreamError
        now = self._clock.now()
        if self._due is None or now > self._due + _MOST_LATE_S:
            self._due = now
        elif self._due > now:
            await self._clock.sleep(self._due - now)
        self._due += _FRAME_S
        return self._next_frame()

    def _next_frame(self) -> AudioFrame:
        payload = bytes(self._sound[:_FRAME_BYTES])
        del self._sound[:_FRAME_BYTES]
        frame = AudioFrame(format="s16", layout="mono", samples=_FRAME_SAMPLES)
        frame.planes[0].update(payload.ljust(_FRAME_BYTES, b"\0"))
        frame.sample_rate = CALL_AUDIO.rate_hz
        frame.time_base = Fraction(1, CALL_AUDIO.rate_hz)
        frame.pts = self._frames * _FRAME_SAMPLES
        self._frames += 1
        return frame


class Ear:
    """Decoded frames of whatever codec into the call's PCM."""

    def __init__(self) -> None:
        self._form: tuple[int, str, str] | None = None
        self._resampler: AudioResampler

    def pcm(self, frame: AudioFrame) -> bytes:
        """The sound of a frame; the resampler holds a little of it back."""
        form = frame.sample_rate, frame.layout.name, frame.format.name
        if form != self._form:  # The client may change its codec at any time.
            self._form = form
            self._resampler = AudioResampler(format="s16", layout="mono", rate=CALL_AUDIO.rate_hz)
        pieces = self._resampler.resample(frame)
        return b"".join(bytes(piece.planes[0])[: piece.samples * CALL_AUDIO.sample_bytes] for piece in pieces)
