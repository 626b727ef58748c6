"""What a stream of audio bytes means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from antiphon.errors import AudioError

Encoding = Literal["mulaw", "alaw", "pcm16"]

BYTES_PER_SAMPLE: dict[str, int] = {"mulaw": 1, "alaw": 1, "pcm16": 2}
_SILENCE = {"mulaw": b"\xff", "alaw": b"\xd5", "pcm16": b"\0\0"}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Encoding and rate of mono audio.

    Attributes:
        encoding: ``mulaw`` and ``alaw`` are G.711, one byte a sample; ``pcm16`` is signed, little endian.
        rate_hz: Samples a second.
    """

    encoding: Encoding
    rate_hz: int

    def __post_init__(self) -> None:
        if self.encoding not in BYTES_PER_SAMPLE:
            raise AudioError(f"Unknown encoding {self.encoding!r}: use one of {', '.join(BYTES_PER_SAMPLE)}.")
        if not 4_000 <= self.rate_hz <= 192_000:
            raise AudioError(f"A rate of {self.rate_hz} Hz is out of range: use 4000 to 192000.")

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return BYTES_PER_SAMPLE[self.encoding]

    @property
    def bytes_per_s(self) -> int:
        """Bytes of one second."""
        return self.rate_hz * BYTES_PER_SAMPLE[self.encoding]

    def seconds(self, size: int) -> float:
        """Duration of ``size`` bytes."""
        return size / self.bytes_per_s

    def frame_bytes(self, ms: float) -> int:
        """Bytes of ``ms`` milliseconds, whole samples."""
        return int(self.rate_hz * ms / 1000) * BYTES_PER_SAMPLE[self.encoding]

    def silence(self, size: int) -> bytes:
        """So many bytes in which nothing is heard, whole samples."""
        return _SILENCE[self.encoding] * (size // BYTES_PER_SAMPLE[self.encoding])


PHONE = AudioFormat("mulaw", 8_000)
"""The telephone network's own: G.711 mu-law, 8 kHz, 160 bytes each 20 ms."""
