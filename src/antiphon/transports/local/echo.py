"""Echo cancellation with WebRTC's AEC3: the loudspeaker's sound leaves the microphone's."""

from __future__ import annotations

from collections import deque
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from antiphon.transports.local.errors import AudioDeviceError

SLACK_S = 0.06
"""Drivers ask for several blocks at once. What is handed to the loudspeaker is heard later than this, so a reference
that lags so far behind still comes before its echo; one that came after it would be of no use."""


class FarEnd:
    """The sound that went to the loudspeaker, for whoever cleans the microphone's. Safe to use from two threads.

    ``take`` is called where a block of the microphone is captured, so that both belong to the same time.

    Args:
        rate_hz: Samples a second.
    """

    def __init__(self, rate_hz: int) -> None:
        self._slack = int(rate_hz * SLACK_S)
        self._blocks: deque[NDArray[np.int16]] = deque()
        self._held = 0
        self._lock = Lock()

    def put(self, pcm: NDArray[np.int16]) -> None:
        """Note what was handed to the loudspeaker."""
        with self._lock:
            self._blocks.append(pcm)
            self._held += len(pcm)
            # Nobody may be taking it: the microphone has not begun, or hangs.
            while self._held > self._slack + len(pcm):
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
        rate_hz: Samples a second.

    Raises:
        AudioDeviceError: The package is missing.
    """

    def __init__(self, rate_hz: int) -> None:
        try:
            from pywebrtc_audio import AudioProcessor
        except ImportError:
            raise AudioDeviceError(
                'Echo cancellation needs pywebrtc-audio: run `pip install "antiphon[local]"`, or set ECHO_MODE=half.',
            ) from None
        # The package's own EchoCanceller takes 16, 32 and 48 kHz only.
        self._aec = AudioProcessor(sample_rate=rate_hz, echo_cancellation=True)

    def process(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        """Sound of the microphone without the echo.

        Args:
            near: What it heard; shape (n,), n whole tens of milliseconds for the best result.
            far: What the loudspeaker got meanwhile; shape (n,).
        """
        return self._aec.process(np.ascontiguousarray(near), np.ascontiguousarray(far))
