"""Echo cancellation with WebRTC's AEC3: the loudspeaker's sound leaves the microphone's."""

from __future__ import annotations

from collections import deque
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from antiphon.transports.local.errors import AudioDeviceError

MAX_FAR_S = 0.5


class FarEnd:
    """The sound that went to the loudspeaker, for whoever cleans the microphone's. Safe to use from two threads.

    Args:
        rate_hz: Samples a second.
    """

    def __init__(self, rate_hz: int) -> None:
        self._max = int(rate_hz * MAX_FAR_S)
        self._blocks: deque[NDArray[np.int16]] = deque()
        self._held = 0
        self._lock = Lock()

    def put(self, pcm: NDArray[np.int16]) -> None:
        """Note what was handed to the loudspeaker; the oldest gives way when nobody takes it."""
        with self._lock:
            self._blocks.append(pcm)
            self._held += len(pcm)
            while self._held > self._max:
                self._held -= len(self._blocks.popleft())

    def take(self, count: int) -> NDArray[np.int16]:
        """As much of it as the microphone has given, silence where there was none; shape (count,)."""
        out = np.zeros(count, np.int16)
        filled = 0
        with self._lock:
            while filled < count and self._blocks:
                block = self._blocks.popleft()
                part = block[: count - filled]
                if len(part) < len(block):
                    self._blocks.appendleft(block[len(part) :])
                out[filled : filled + len(part)] = part
                filled += len(part)
            self._held -= filled
        return out


class EchoCanceller:
    """Cleans the microphone's sound of what the loudspeaker plays.

    Args:
        far: What the loudspeaker plays.
        rate_hz: Samples a second of both.
        delay_ms: Between handing a sample to the loudspeaker and hearing it in the microphone, as a first guess.

    Raises:
        AudioDeviceError: The package is missing.
    """

    def __init__(self, far: FarEnd, rate_hz: int, *, delay_ms: int = 0) -> None:
        try:
            from pywebrtc_audio import AudioProcessor
        except ImportError:
            raise AudioDeviceError(
                'Echo cancellation needs pywebrtc-audio: run `pip install "antiphon[local]"`, or set ECHO_MODE=half.',
            ) from None
        self._far = far
        # The package's own EchoCanceller takes 16, 32 and 48 kHz only.
        self._aec = AudioProcessor(sample_rate=rate_hz, echo_cancellation=True, stream_delay_ms=delay_ms)

    def process(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Sound of the microphone without the echo; shape (n,), n whole tens of milliseconds for the best result."""
        return self._aec.process(np.ascontiguousarray(pcm), self._far.take(len(pcm)))
