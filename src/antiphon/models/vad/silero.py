"""Silero VAD 6, one inference for the windows of all calls of the process.

A window alone costs 144 us, in a batch of 64 it costs 31 us. So streams only collect bytes; whole windows wait a few
milliseconds for those of other calls, and one run scores them together. Each stream's recurrent state is a row of
one array.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from antiphon.audio.convert import to_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.g711 import ALAW_TO_FLOAT, MULAW_TO_FLOAT
from antiphon.clock import Clock, WallClock
from antiphon.models.vad.contract import ScoreSink, VADStream
from antiphon.models.weights.store import WeightStore

_log = structlog.get_logger(__name__)

_WINDOW_S = 0.032
_STATE = 128
_RESAMPLED = AudioFormat("pcm16", 16_000)
_NATIVE_HZ = (8_000, 16_000)
_BACKLOG_S = 10.0
_RUNS_AT_ONCE = 8
_QUIET = 0.1
_QUIET_WINDOWS = 5
_RESET_WINDOWS = 63
_STILL = (32 / 32768) ** 2
"""Power of a window under which a quiet line stays quiet: -60 dBFS, far under speech. It is not worth a look."""


class SileroVAD:
    """A neural detector of speech.

    Args:
        weights: Where the model's file is.
        threshold: A score at or above this is speech.
        gather_s: How long a whole window may wait for those of other calls.
        max_batch: Windows in one run.
        clock: Wall time unless given.

    Attributes:
        batches: Runs so far.
        windows: Windows scored so far.
        dropped_bytes: Bytes thrown away because a stream fed faster than it could be scored.
    """

    name = "silero"
    tail_s = 0.032  # measured 28 to 60 ms on 8 kHz speech that ends at once

    def __init__(
        self,
        weights: WeightStore,
        *,
        threshold: float = 0.5,
        gather_s: float = 0.008,
        max_batch: int = 64,
        clock: Clock | None = None,
    ) -> None:
        self.threshold = threshold
        self.batches = 0
        self.windows = 0
        self.dropped_bytes = 0
        self._weights = weights
        self._gather_s = gather_s
        self._max_batch = max_batch
        self._clock = clock or WallClock()
        self._banks: dict[AudioFormat, _Bank] = {}
        self._session: Any = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self, audio: AudioFormat, on_score: ScoreSink) -> VADStream:
        """Start listening to one call; 8 and 16 kHz are heard as they come, other rates are resampled to 16 kHz."""
        self._load()
        if audio.rate_hz in _NATIVE_HZ:
            return SileroStream(self, self._bank(audio), on_score)
        return _ResampledStream(audio, SileroStream(self, self._bank(_RESAMPLED), on_score))

    async def warm(self) -> None:
        """Load and run once.

        Raises:
            IntegrationInitializationError: The model's file has not been fetched.
        """
        await asyncio.to_thread(self._load)

    async def aclose(self) -> None:
        """Stop scoring."""
        if self._timer:
            self._timer.cancel()
        self._banks.clear()
        self._session = None

    def wake(self, *, delay_s: float | None = None) -> None:
        """Plan a run for the windows that wait, unless one is planned."""
        if self._timer is None:
            delay_s = self._gather_s if delay_s is None else delay_s
            self._timer = self._clock.call_at(self._clock.now() + delay_s, self._run)

    def _load(self) -> None:
        if self._session is not None:
            return
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = str(self._weights.path("silero-vad"))
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for rate_hz in _NATIVE_HZ:
            _Bank(AudioFormat("pcm16", rate_hz)).rehearse(session)
        self._session = session

    def _bank(self, audio: AudioFormat) -> _Bank:
        if audio not in self._banks:
            self._banks[audio] = _Bank(audio)
        return self._banks[audio]

    def _run(self) -> None:
        """Score what waits; where that is much, let the loop breathe in between."""
        self._timer = None
        for bank in self._banks.values():
            for _ in range(_RUNS_AT_ONCE):
                if not bank.ready:
                    break
                scored = bank.score(self._session, self._max_batch)
                self.batches += 1
                self.windows += len(scored)
                for stream, score in scored:
                    stream.deliver(score)
        if any(bank.ready for bank in self._banks.values()):
            self.wake(delay_s=0.0)


class SileroStream:
    """The windows of one call."""

    __slots__ = ("_buffer", "_closed", "_limit", "_on_score", "_size", "_vad", "bank", "queued", "slot")

    def __init__(self, vad: SileroVAD, bank: _Bank, on_score: ScoreSink) -> None:
        self.bank = bank
        self.slot = bank.take_slot()
        self.queued = False
        self._vad = vad
        self._on_score = on_score
        self._buffer = b""
        self._size = bank.window_bytes
        self._limit = int(_BACKLOG_S / _WINDOW_S) * bank.window_bytes
        self._closed = False

    def feed(self, frame: bytes) -> None:
        """Take audio; whole windows are scored with those of other calls, a few ms later."""
        if self._closed:
            return
        self._buffer += frame
        if len(self._buffer) < self._size:
            return
        if len(self._buffer) > self._limit:
            extra = len(self._buffer) - self._limit
            extra += -extra % self._size
            self._vad.dropped_bytes += extra
            self._buffer = self._buffer[extra:]
        if not self.queued:
            self.queued = True
            self.bank.ready.append(self)
            self._vad.wake()

    def close(self) -> None:
        """Give the row back."""
        if not self._closed:
            self._closed = True
            self._buffer = b""
            self.bank.free.append(self.slot)

    def take(self) -> bytes:
        """The next window; empty when there is none any more."""
        window = self._buffer[: self._size]
        self._buffer = self._buffer[self._size :]
        self.queued = False
        return window

    def deliver(self, score: float) -> None:
        """Hand a score on, and queue the next window if it is whole."""
        if self._closed:
            return
        if len(self._buffer) >= self._size:
            self.queued = True
            self.bank.ready.append(self)
        try:
            self._on_score(score, _WINDOW_S)
        except Exception:
            # The root of this call's work: what fails here must not cost the other calls of the batch their score.
            _log.exception("vad_score_failed")


class _ResampledStream:
    """Brings another rate to 16 kHz in front of a stream."""

    def __init__(self, audio: AudioFormat, stream: SileroStream) -> None:
        from antiphon.audio.resample import Resampler

        self._audio = audio
        self._resampler = Resampler(audio.rate_hz, _RESAMPLED.rate_hz)
        self._stream = stream

    def feed(self, frame: bytes) -> None:
        whole = len(frame) - len(frame) % self._audio.sample_bytes
        pcm = self._resampler.feed(to_pcm(frame[:whole], self._audio))
        self._stream.feed(pcm.tobytes())

    def close(self) -> None:
        self._stream.close()


class _Bank:
    """The streams of one format: rows of state, and those that have a whole window.

    Attributes:
        ready: Streams with a whole window, each once.
        free: Rows that no stream uses.
        window_bytes: Size of a window.
    """

    def __init__(self, audio: AudioFormat, rows: int = 64) -> None:
        self.window_bytes = audio.frame_bytes(_WINDOW_S * 1000)
        self.ready: list[SileroStream] = []
        self.free: list[int] = []
        self._decode = _DECODE[audio.encoding]
        self._rate = np.array(audio.rate_hz, np.int64)
        self._context_size = audio.rate_hz // 250
        self._state = np.zeros((2, 0, _STATE), np.float32)
        self._context = np.zeros((0, self._context_size), np.float32)
        self._age = np.zeros(0, np.int32)
        self._quiet = np.zeros(0, np.int32)
        self._grow(rows)

    def take_slot(self) -> int:
        """A row of its own for a new stream, as if it had heard nothing yet."""
        if not self.free:
            self._grow(len(self._age))
        slot = self.free.pop()
        self._forget(np.array([slot]))
        return slot

    def score(self, session: Any, limit: int) -> list[tuple[SileroStream, float]]:
        """Score the next window of up to ``limit`` streams."""
        taken = [(stream, window) for stream in self.ready[:limit] if (window := stream.take())]
        del self.ready[:limit]
        if not taken:
            return []
        slots = np.array([stream.slot for stream, _ in taken])
        samples = self._decode(b"".join([window for _, window in taken])).reshape(len(taken), -1)
        power = np.einsum("ij,ij->i", samples, samples) / samples.shape[1]
        awake = (power > _STILL) | (self._quiet[slots] < _QUIET_WINDOWS)
        scores = np.zeros(len(taken), np.float32)
        if awake.any():
            scores[awake] = self._infer(session, slots[awake], samples[awake])
        self._context[slots] = samples[:, -self._context_size :]
        return [(stream, score) for (stream, _), score in zip(taken, scores.tolist(), strict=True)]

    def rehearse(self, session: Any) -> None:
        """Run once with silence, so that the first call does not wait."""
        samples = np.zeros((2, int(self._rate * _WINDOW_S)), np.float32)
        self._infer(session, np.arange(2), samples)

    def _infer(self, session: Any, slots: NDArray[np.int64], samples: NDArray[np.float32]) -> NDArray[np.float32]:
        heard = np.concatenate((self._context[slots], samples), axis=1)
        inputs = {"input": heard, "state": self._state[:, slots], "sr": self._rate}
        output, state = session.run(None, inputs)
        scores: NDArray[np.float32] = output[:, 0]
        self._state[:, slots] = state
        # Silero hears less after long quiet: a row that has been quiet for a while starts afresh every two seconds.
        self._age[slots] += 1
        self._quiet[slots] = np.where(scores < _QUIET, self._quiet[slots] + 1, 0)
        due = slots[(self._age[slots] >= _RESET_WINDOWS) & (self._quiet[slots] >= _QUIET_WINDOWS)]
        if due.size:
            self._forget(due)
        return scores

    def _forget(self, slots: NDArray[np.int64]) -> None:
        self._state[:, slots] = 0
        self._context[slots] = 0
        self._age[slots] = 0
        self._quiet[slots] = 0

    def _grow(self, rows: int) -> None:
        size = len(self._age)
        self._state = np.concatenate((self._state, np.zeros((2, rows, _STATE), np.float32)), axis=1)
        self._context = np.concatenate((self._context, np.zeros((rows, self._context_size), np.float32)))
        self._age = np.concatenate((self._age, np.zeros(rows, np.int32)))
        self._quiet = np.concatenate((self._quiet, np.zeros(rows, np.int32)))
        self.free.extend(reversed(range(size, size + rows)))


def _decode_pcm16(joined: bytes) -> NDArray[np.float32]:
    return np.frombuffer(joined, "<i2") * np.float32(1 / 32768)


_DECODE: dict[str, Callable[[bytes], NDArray[np.float32]]] = {
    "mulaw": lambda joined: MULAW_TO_FLOAT.take(np.frombuffer(joined, np.uint8)),
    "alaw": lambda joined: ALAW_TO_FLOAT.take(np.frombuffer(joined, np.uint8)),
    "pcm16": _decode_pcm16,
}
