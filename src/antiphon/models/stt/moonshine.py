"""Moonshine tiny-en for all calls of the process: English, offline, in a few worker threads.

The model hears whole utterances, so partial transcripts are made by hearing the growing utterance again and again.
Finals go first and cut short a partial in their way; each stream waits for at most one partial, in order of asking,
and one that comes too late is not made. So load costs partials, then latency, and never a final.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray

from antiphon.errors import (
    AudioError,
    IntegrationException,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
)
from antiphon.models.stt.contract import FailureSink, Transcript, TranscriptSink
from antiphon.models.stt.moonshine_decoder import RATE_HZ, Heard, MoonshineDecoder, quietest
from antiphon.models.weights.store import WeightStore

_log = structlog.get_logger(__name__)

_PIECE_S = 16.0
_SHORTEST_PIECE_S = 8.0
_LONGEST_BACKLOG_S = 120.0


class Moonshine:
    """A recogniser of English.

    Args:
        weights: Where the model's files are.
        workers: Threads; each uses one core while it hears.
        partial_every_s: New speech after which an utterance is heard again.
        max_waiting: Utterances that may wait for their final transcript; those above fail at once.

    Attributes:
        finals: Final transcripts made.
        partials: Partial transcripts made, those without a word included.
        partials_skipped: Partial transcripts that were due and not made, for want of a free worker.
        dropped_s: Audio of utterances that grew beyond two minutes without a free worker.
    """

    name = "moonshine/tiny-en"

    def __init__(
        self,
        weights: WeightStore,
        *,
        workers: int = 1,
        partial_every_s: float = 0.3,
        max_waiting: int = 64,
    ) -> None:
        self.finals = 0
        self.partials = 0
        self.partials_skipped = 0
        self.dropped_s = 0.0
        self.partial_every_s = partial_every_s
        self._weights = weights
        self._max_waiting = max_waiting
        self._idle = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="moonshine")
        self._loading = threading.Lock()
        self._decoder: MoonshineDecoder | None = None
        self._finals: deque[_Job] = deque()
        self._partials: dict[MoonshineStream, None] = {}
        self._running: dict[MoonshineStream, _Job] = {}

    def open(
        self,
        rate_hz: int,
        on_transcript: TranscriptSink,
        on_failure: FailureSink,
        *,
        language: str | None = None,
        phrases: Sequence[str] = (),
    ) -> MoonshineStream:
        """Start transcribing one call. ``phrases`` are of no use to this model.

        Raises:
            AudioError: The rate is out of range.
            IntegrationInvalidRequestException: Another language than English is expected.
        """
        if language and language.lower().split("-")[0] != "en":
            raise IntegrationInvalidRequestException(
                f"The embedded recogniser hears English only, not {language}: choose another `stt` for this agent.",
                provider=self.name,
            )
        if not 4_000 <= rate_hz <= 192_000:
            raise AudioError(f"A rate of {rate_hz} Hz is out of range: use 4000 to 192000.")
        return MoonshineStream(self, rate_hz, on_transcript, on_failure)

    async def warm(self) -> None:
        """Load and run once.

        Raises:
            IntegrationInitializationError: The model's files have not been fetched.
        """
        await asyncio.get_running_loop().run_in_executor(self._pool, self._rehearse)

    async def aclose(self) -> None:
        """Free the threads; no transcript comes after this."""
        self._finals.clear()
        self._partials.clear()
        for job in self._running.values():
            job.cancelled = True
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    def want_final(self, job: _Job) -> None:
        """Queue the end of an utterance."""
        if len(self._finals) >= self._max_waiting:
            error = IntegrationUnavailableException(
                f"The embedded recogniser has {self._max_waiting} utterances waiting: take fewer calls at once.",
                provider=self.name,
            )
            asyncio.get_running_loop().call_soon(job.stream.fail, error)
            return
        self._finals.append(job)
        if not self._idle:
            self._make_way(job.stream)
        self._dispatch()

    def want_partial(self, stream: MoonshineStream) -> None:
        """Queue a partial transcript, unless the stream waits for one already."""
        if stream in self._partials or stream in self._running:
            self.partials_skipped += 1
            return
        self._partials[stream] = None
        self._dispatch()

    def forget_partial(self, stream: MoonshineStream) -> None:
        """Make no partial of a stream's present utterance any more."""
        self._partials.pop(stream, None)
        job = self._running.get(stream)
        if job and not job.is_final:
            job.cancelled = True

    def forget(self, stream: MoonshineStream) -> None:
        """Make nothing for a stream any more."""
        self.forget_partial(stream)
        self._finals = deque(job for job in self._finals if job.stream is not stream)
        if job := self._running.get(stream):
            job.cancelled = True

    def _make_way(self, stream: MoonshineStream) -> None:
        """End one running partial, best the stream's own, which nobody wants any more."""
        running = [job for job in self._running.values() if not job.is_final and not job.cancelled]
        own = [job for job in running if job.stream is stream]
        for job in (own or running)[:1]:
            job.cancelled = True
            self.partials_skipped += 1

    def _dispatch(self) -> None:
        while self._idle and (job := self._next()):
            self._idle -= 1
            self._running[job.stream] = job
            future = asyncio.get_running_loop().run_in_executor(self._pool, self._hear, job)
            future.add_done_callback(partial(self._done, job))

    def _next(self) -> _Job | None:
        """The first final whose stream is free, so that a stream's finals stay in order; else the first partial."""
        for job in self._finals:
            if job.stream not in self._running:
                self._finals.remove(job)
                return job
        if self._finals or not self._partials:
            return None
        stream = next(iter(self._partials))
        del self._partials[stream]
        return stream.partial_job()

    def _done(self, job: _Job, future: asyncio.Future[_Result | None]) -> None:
        self._idle += 1
        del self._running[job.stream]
        if future.cancelled():
            return
        error = future.exception()
        try:
            if error:
                _log.error("moonshine_failed", is_final=job.is_final, exc_info=error)
                if job.is_final:
                    job.stream.fail(_failure(error))
            elif result := future.result():
                self.finals += job.is_final
                self.partials += not job.is_final
                job.stream.deliver(job, result)
        finally:
            self._dispatch()

    # In a worker thread

    def _load(self) -> MoonshineDecoder:
        with self._loading:
            if self._decoder is None:
                self._decoder = MoonshineDecoder(
                    self._weights.path("moonshine-tiny-encoder"),
                    self._weights.path("moonshine-tiny-decoder"),
                    self._weights.path("moonshine-tokenizer"),
                )
            return self._decoder

    def _rehearse(self) -> None:
        from antiphon.audio.tones import comfort_noise

        self._load().transcribe(comfort_noise(1000, rate_hz=RATE_HZ, level_dbfs=-20), lambda: False)

    def _hear(self, job: _Job) -> _Result | None:
        """Hear an utterance; long ones in pieces, cut where it is quietest. None where the work was cancelled."""
        from antiphon.audio.resample import resample

        decoder = self._load()
        pcm = resample(job.pcm, job.stream.rate_hz, RATE_HZ)
        settled: list[Heard] = []
        start = 0
        while len(pcm) - start > _PIECE_S * RATE_HZ:
            cut = quietest(pcm, start + int(_SHORTEST_PIECE_S * RATE_HZ), start + int(_PIECE_S * RATE_HZ))
            heard = decoder.transcribe(pcm[start:cut], job.is_cancelled)
            if heard is None:
                return None
            settled.append(heard)
            start = cut
        heard = decoder.transcribe(pcm[start:], job.is_cancelled)
        if heard is None:
            return None
        return _Result(heard, settled, int(start * job.stream.rate_hz / RATE_HZ))


class MoonshineStream:
    """The utterances of one call."""

    def __init__(self, stt: Moonshine, rate_hz: int, on_transcript: TranscriptSink, on_failure: FailureSink) -> None:
        self.rate_hz = rate_hz
        self._stt = stt
        self._on_transcript = on_transcript
        self._on_failure = on_failure
        self._utterance = _Utterance(0)
        self._closed = False

    def feed(self, pcm: NDArray[np.int16]) -> None:
        """Keep speech; after some of it a partial transcript is asked for."""
        utterance = self._utterance
        if utterance.samples > _LONGEST_BACKLOG_S * self.rate_hz:
            self._stt.dropped_s += len(pcm) / self.rate_hz
            return
        utterance.chunks.append(pcm)
        utterance.samples += len(pcm)
        utterance.fresh += len(pcm)
        if utterance.fresh >= self._stt.partial_every_s * self.rate_hz:
            utterance.fresh = 0
            self._stt.want_partial(self)

    def finish(self) -> None:
        """Ask for the final transcript."""
        ended = self._utterance
        self._utterance = _Utterance(ended.number + 1)
        self._stt.forget_partial(self)
        self._stt.want_final(_Job(self, ended, ended.audio(), is_final=True))

    def discard(self) -> None:
        """Forget the utterance."""
        self._utterance = _Utterance(self._utterance.number)
        self._stt.forget_partial(self)

    async def aclose(self) -> None:
        """End the stream."""
        self._closed = True
        self._stt.forget(self)

    def partial_job(self) -> _Job:
        """What is there of the utterance now."""
        return _Job(self, self._utterance, self._utterance.audio(), is_final=False)

    def deliver(self, job: _Job, result: _Result) -> None:
        """Hand words on, unless they come too late."""
        utterance = job.utterance
        if self._closed or (not job.is_final and (job.cancelled or utterance is not self._utterance)):
            return
        utterance.settle(result)
        pieces = [*utterance.settled, result.heard]
        text = " ".join(piece.text for piece in pieces if piece.text)
        if not job.is_final:
            # The model ends what it hears with a full stop, though the caller has not ended.
            text = text.rstrip(".,!?… ")
            if not text:
                return
        confidence = min((piece.confidence for piece in pieces if piece.text), default=0.0)
        self._on_transcript(Transcript(text, job.is_final, utterance.number, confidence=confidence))

    def fail(self, error: Exception) -> None:
        """Tell that an utterance has no transcript."""
        if not self._closed:
            self._on_failure(error)


@dataclass(slots=True, eq=False)
class _Utterance:
    """Speech since the last ``finish``.

    Attributes:
        number: Its number in the stream.
        chunks: Audio that is not settled, at the stream's rate.
        samples: Samples in ``chunks``.
        fresh: Samples since a partial was asked for.
        settled: Words of long speech that are not heard again.
    """

    number: int
    chunks: list[NDArray[np.int16]] = field(default_factory=list)
    samples: int = 0
    fresh: int = 0
    settled: list[Heard] = field(default_factory=list)

    def audio(self) -> NDArray[np.int16]:
        """All chunks as one."""
        joined = np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.int16)
        self.chunks = [joined]
        return joined

    def settle(self, result: _Result) -> None:
        """Keep the words of the pieces that were cut off, and drop their audio."""
        self.settled += result.settled
        self.chunks = [self.audio()[result.settled_samples :]]
        self.samples -= result.settled_samples


@dataclass(slots=True, eq=False)
class _Job:
    """One hearing of an utterance, as long as it was then."""

    stream: MoonshineStream
    utterance: _Utterance
    pcm: NDArray[np.int16]
    is_final: bool
    cancelled: bool = False

    def is_cancelled(self) -> bool:
        return self.cancelled


@dataclass(frozen=True, slots=True)
class _Result:
    """Words of the last piece, those of the pieces before it, and how much audio the latter took."""

    heard: Heard
    settled: list[Heard]
    settled_samples: int


def _failure(error: BaseException) -> IntegrationException:
    if isinstance(error, IntegrationException):
        return error
    return IntegrationUnavailableException(
        f"The embedded recogniser failed on an utterance ({type(error).__name__}): the next one may succeed.",
        provider=Moonshine.name,
    )
