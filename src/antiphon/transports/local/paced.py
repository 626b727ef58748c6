"""Sound without devices: a recording as the microphone, a file as the loudspeaker, silence and nothing else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.resample import resample
from antiphon.audio.wav import WavWriter, mono, read_wav
from antiphon.clock import Clock, WallClock
from antiphon.errors import AudioError
from antiphon.transports.local.beside import beside
from antiphon.transports.local.contract import Pull
from antiphon.transports.local.errors import AudioDeviceError
from antiphon.transports.local.mic import RATE_HZ, MicStreamer

BLOCK_MS = 10
LATE_BLOCKS = 50


class PacedSound:
    """Plays and records by the clock. ``say`` is the mouth in front of its microphone.

    Args:
        output: A WAV for all that is played, with true timing; none unless given.
        speed: How much faster than real time.
        clock: Wall time unless given.

    Attributes:
        latency_s: A sample is heard as it is pulled.
        is_silent: Set while there is nothing to say.
        late_blocks: Blocks that were left out because the loop was held up.
    """

    latency_s = 0.0

    def __init__(
        self, *, output: str | PathLike[str] | None = None, speed: float = 1.0, clock: Clock | None = None
    ) -> None:
        self.is_silent = asyncio.Event()
        self.is_silent.set()
        self.late_blocks = 0
        self._output = output
        self._speed = speed
        self._clock = clock or WallClock()
        self._speech: deque[NDArray[np.int16]] = deque()

    def say(self, pcm: NDArray[np.int16], rate_hz: int = RATE_HZ) -> None:
        """Let the microphone hear this after what it is hearing; shape (n,) or (n, channels)."""
        samples = resample(mono(pcm), rate_hz, RATE_HZ)
        if len(samples):
            self._speech.append(samples)
            self.is_silent.clear()

    def say_file(self, path: str | PathLike[str]) -> None:
        """Let the microphone hear a recording.

        Raises:
            AudioDeviceError: It cannot be read.
        """
        try:
            pcm, rate_hz = read_wav(path)
        except (OSError, AudioError) as error:
            raise AudioDeviceError(f"The recording {path} cannot be read ({error}): give another file.") from None
        self.say(pcm, rate_hz)

    @asynccontextmanager
    async def opened(self, mic: MicStreamer, pull: Pull) -> AsyncIterator[PacedSound]:
        """Run both devices until the body ends."""
        async with AsyncExitStack() as stack:
            wav: WavWriter | None = None
            if self._output is not None:
                wav = stack.enter_context(WavWriter(stack.enter_context(_created(self._output)), RATE_HZ))
            async with beside(self._run(mic, pull, wav), "paced sound"):
                yield self

    async def _run(self, mic: MicStreamer, pull: Pull, wav: WavWriter | None) -> None:
        step_s = BLOCK_MS / 1000 / self._speed
        due = self._clock.now()
        while True:
            due += step_s
            behind = int((self._clock.now() - due) / step_s)
            if behind > LATE_BLOCKS:
                # A device would have dropped them too; to catch up in one go would block the loop.
                self.late_blocks += behind
                due += behind * step_s
            await self._clock.sleep(max(0.0, due - self._clock.now()))
            played = pull(RATE_HZ * BLOCK_MS // 1000)
            if wav is not None:
                wav.write(played)
            mic.take_block(self._hear(len(played)), RATE_HZ)

    def _hear(self, count: int) -> NDArray[np.int16]:
        out = np.zeros(count, np.int16)
        filled = 0
        while filled < count and self._speech:
            block = self._speech[0]
            part = block[: count - filled]
            out[filled : filled + len(part)] = part
            filled += len(part)
            if len(part) == len(block):
                self._speech.popleft()
            else:
                self._speech[0] = block[len(part) :]
        if not self._speech:
            self.is_silent.set()
        return out


def _created(path: str | PathLike[str]) -> BinaryIO:
    try:
        return Path(path).open("wb")
    except OSError as error:
        raise AudioDeviceError(f"Nothing can be written to {path} ({error.strerror}): choose another file.") from None
