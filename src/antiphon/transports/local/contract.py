"""What the voice program needs of a sound system: sound in by ``MicStreamer``, sound out by a plain call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.transports.local.mic import MicStreamer

Pull = Callable[[int], NDArray[np.int16]]
"""Gives the next samples to play, 24 kHz mono; shape (n,) for an argument of n. Called in the device's thread."""


class OpenSound(Protocol):
    """An open microphone and loudspeaker."""

    @property
    def latency_s(self) -> float:
        """How long after it was pulled a sample is heard."""
        ...


class Sound(Protocol):
    """A sound system."""

    def opened(self, mic: MicStreamer, pull: Pull) -> AbstractAsyncContextManager[OpenSound]:
        """Open both devices: feed ``mic``, play what ``pull`` gives.

        Raises:
            AudioDeviceError: A device is missing or refused, at the start or later.
        """
        ...
