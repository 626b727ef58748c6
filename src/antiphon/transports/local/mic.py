"""The microphone's way: device blocks in, whole chunks of 24 kHz mono out, bounded and counted."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.level import dbfs, peak, rms
from antiphon.audio.resample import Resampler
from antiphon.audio.wav import mono
from antiphon.transports.local.echo import FarEnd

RATE_HZ = 24_000
RING_BLOCKS = 256
"""Device blocks that wait for the loop: at 10 ms each, two and a half seconds."""

NOTHING: NDArray[np.int16] = np.zeros(0, np.int16)

DropPolicy = Literal["oldest", "newest"]


class Cleaner(Protocol):
    """Takes the loudspeaker's sound out of the microphone's."""

    def process(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        """What is left of ``near``; all have shape (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class Level:
    """How loud a chunk is, in dBFS."""

    rms_dbfs: float
    peak_dbfs: float


def level_of(pcm: NDArray[np.int16]) -> Level:
    """The level of samples; a full-scale sine has an RMS of -3.01 dBFS."""
    return Level(dbfs(rms(pcm)), dbfs(peak(pcm)))


class MicStreamer:
    """From a device's blocks to chunks that a client sends.

    ``feed`` is for the device's thread: it copies and returns. All else happens on the loop that ``bind`` names.

    Args:
        chunk_ms: Length of a chunk.
        queue_chunks: Chunks that wait for ``get``; then ``drop_policy`` decides which one goes.
        drop_policy: ``oldest`` or ``newest``.
        cleaner: Takes the echo out; it needs ``far``.
        far: What the loudspeaker plays.
        is_muted: Asked for each chunk; a muted chunk is silence, so that the service's clock goes on.
        on_level: Told the level of each chunk.

    Attributes:
        captured: Samples at 24 kHz that became chunks, or were dropped in the device's ring.
        taken: Samples that ``get`` has given.
        dropped: Samples that were lost, by reason: ``queue_full``, ``stale``.
        level: Of the last chunk.
    """

    def __init__(
        self,
        *,
        chunk_ms: int = 40,
        queue_chunks: int = 32,
        drop_policy: DropPolicy = "oldest",
        cleaner: Cleaner | None = None,
        far: FarEnd | None = None,
        is_muted: Callable[[], bool] = lambda: False,
        on_level: Callable[[Level], None] = lambda level: None,
    ) -> None:
        self.captured = 0
        self.taken = 0
        self.dropped: Counter[str] = Counter()
        self.level = level_of(np.zeros(0, np.int16))
        self.is_over = False
        self._chunk = RATE_HZ * chunk_ms // 1000
        self._queue: deque[NDArray[np.int16]] = deque()
        self._queue_chunks = queue_chunks
        self._drop_policy = drop_policy
        self._cleaner = cleaner
        self._far = far
        self._is_muted = is_muted
        self._on_level = on_level
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._resampler = Resampler(RATE_HZ, RATE_HZ)
        self._ring: deque[tuple[NDArray[np.int16], int, NDArray[np.int16]]] = deque()
        self._far_rest = np.zeros(0, np.int16)
        self._lost = 0
        self._rest = np.zeros(0, np.int16)

    @property
    def depth(self) -> int:
        """Chunks that wait."""
        return len(self._queue)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say which loop the chunks are for."""
        self._loop = loop

    def feed(self, block: NDArray[np.int16], rate_hz: int) -> None:
        """Take a block in the device's thread: shape (n,) or (n, channels). It is copied."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if len(self._ring) >= RING_BLOCKS:
            self._lost += round(len(block) * RATE_HZ / rate_hz)
            return
        samples = round(len(block) * RATE_HZ / rate_hz)
        # Now, not on the loop: the loop may be late, and the two would no longer belong together.
        self._ring.append((block.copy(), rate_hz, NOTHING if self._far is None else self._far.take(samples)))
        if len(self._ring) == 1:
            loop.call_soon_threadsafe(self._drain)

    def take_block(self, block: NDArray[np.int16], rate_hz: int, far: NDArray[np.int16] = NOTHING) -> None:
        """Take a block on the loop.

        Args:
            block: Shape (n,) or (n, channels).
            rate_hz: Of the block.
            far: What the loudspeaker got meanwhile, at 24 kHz.
        """
        if self._resampler.from_hz != rate_hz:
            self._resampler = Resampler(rate_hz, RATE_HZ)
        self._rest = np.concatenate((self._rest, self._resampler.feed(mono(block))))
        self._far_rest = np.concatenate((self._far_rest, far))
        while len(self._rest) >= self._chunk:
            chunk, self._rest = self._rest[: self._chunk], self._rest[self._chunk :]
            self._add(self._cleaned(chunk))

    def end(self) -> None:
        """Nothing more will come: ``get`` gives what waits, then None."""
        self.is_over = True
        self._ready.set()

    async def get(self) -> NDArray[np.int16] | None:
        """The next chunk, shape (n,); None when the microphone has ended. It may wait."""
        while not self._queue:
            if self.is_over:
                return None
            self._ready.clear()
            await self._ready.wait()
        chunk = self._queue.popleft()
        self.taken += len(chunk)
        return chunk

    def drop_waiting(self) -> None:
        """Forget what waits, as too old to be sent."""
        self.dropped["stale"] += sum(map(len, self._queue))
        self._queue.clear()

    def _drain(self) -> None:
        """On the loop: take what the device has left."""
        lost, self._lost = self._lost, 0
        self.captured += lost
        self.dropped["queue_full"] += lost
        while self._ring:
            # Out only when it is dealt with: a block that comes meanwhile need not wake the loop again.
            self.take_block(*self._ring[0])
            self._ring.popleft()

    def _cleaned(self, chunk: NDArray[np.int16]) -> NDArray[np.int16]:
        if self._cleaner is None:
            return chunk
        far, self._far_rest = self._far_rest[: len(chunk)], self._far_rest[len(chunk) :]
        return self._cleaner.process(chunk, np.pad(far, (0, len(chunk) - len(far))))

    def _add(self, chunk: NDArray[np.int16]) -> None:
        self.captured += len(chunk)
        self.level = level_of(chunk)
        self._on_level(self.level)
        if self._is_muted():
            chunk = np.zeros_like(chunk)
        if len(self._queue) >= self._queue_chunks:
            lost = chunk if self._drop_policy == "newest" else self._queue.popleft()
            self.dropped["queue_full"] += len(lost)
            if self._drop_policy == "newest":
                return
        self._queue.append(chunk)
        self._ready.set()
