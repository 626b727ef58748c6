"""Between a client's audio format and that of the call, which is always PCM at 24 kHz."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from antiphon.audio.convert import from_pcm, to_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.resample import Resampler
from antiphon.wire.realtime.session import WireFormat

CALL_AUDIO = AudioFormat("pcm16", 24_000)
FORMATS: Mapping[WireFormat, AudioFormat] = {
    "pcm": CALL_AUDIO,
    "pcmu": AudioFormat("mulaw", 8_000),
    "pcma": AudioFormat("alaw", 8_000),
}


class Decoder:
    """The client's bytes into the call's; what ends within a sample waits for its rest.

    Args:
        wire: The client's format.
    """

    def __init__(self, wire: WireFormat) -> None:
        self.wire = wire
        self._audio = FORMATS[wire]
        self._half = b""
        self._resampler = Resampler(self._audio.rate_hz, CALL_AUDIO.rate_hz)

    def feed(self, payload: bytes) -> bytes:
        """Take bytes of any length."""
        if self._audio is CALL_AUDIO:
            if self._half:
                payload, self._half = self._half + payload, b""
            if len(payload) % 2:
                payload, self._half = payload[:-1], payload[-1:]
            return payload
        return self._resampler.feed(to_pcm(payload, self._audio)).tobytes()

    def rest(self) -> bytes:
        """What was held back: a turn ends here, and what follows is another sound."""
        if self._audio is CALL_AUDIO:
            return b""
        return self._resampler.feed(np.zeros(0, np.int16), last=True).tobytes()


class Encoder:
    """The call's bytes of one answer into the client's.

    Args:
        wire: The client's format.
    """

    def __init__(self, wire: WireFormat) -> None:
        self._audio = FORMATS[wire]
        self._resampler = Resampler(CALL_AUDIO.rate_hz, self._audio.rate_hz)

    def feed(self, payload: bytes) -> bytes:
        """Take whole samples."""
        if self._audio is CALL_AUDIO:
            return payload
        return from_pcm(self._resampler.feed(to_pcm(payload, CALL_AUDIO)), self._audio)

    def rest(self) -> bytes:
        """What was held back; the answer is over."""
        if self._audio is CALL_AUDIO:
            return b""
        return from_pcm(self._resampler.feed(np.zeros(0, np.int16), last=True), self._audio)
