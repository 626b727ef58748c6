"""Several recognisers as one: an utterance that one could not hear is sent once more, then given to the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.clock import Clock, WallClock
from antiphon.errors import ConfigurationError, IntegrationException, IntegrationUnavailableException
from antiphon.logs import Log
from antiphon.models.health import Member, OnAvailabilityChanged, Ranking, may_pass_at_once
from antiphon.models.stt.contract import STT, FailureSink, STTStream, Transcript, TranscriptSink

FINAL_S = 1.2
"""Longest wait for final words, if another recogniser is left; shorter than a call's patience with its recogniser."""
TRIES = 2
KEPT_S = 60.0
"""Sound of an utterance that is kept for another recogniser."""

_log = Log(__name__)


class FailoverSTT:
    """Listens with the first recogniser that is well. The order is the preference.

    Args:
        recognisers: At least one; closed together with this object.
        clock: Measures waits and rests.
        final_s: Longest wait for final words, if another recogniser is left.

    Raises:
        ConfigurationError: There is no recogniser.
    """

    def __init__(self, recognisers: Sequence[STT], *, clock: Clock | None = None, final_s: float = FINAL_S) -> None:
        if not recognisers:
            raise ConfigurationError("A failover needs at least one recogniser, such as deepgram/nova-3|moonshine.")
        self.name = "|".join(recogniser.name for recogniser in recognisers)
        self.clock = clock or WallClock()
        self.final_s = final_s
        self.ranking: Ranking[STT] = Ranking("stt", recognisers, clock=self.clock)

    def open(
        self,
        rate_hz: int,
        on_transcript: TranscriptSink,
        on_failure: FailureSink,
        *,
        language: str | None = None,
        phrases: Sequence[str] = (),
    ) -> FailoverStream:
        """Start transcribing one call.

        Raises:
            IntegrationException: No recogniser takes this language.
        """
        opening = _Opening(rate_hz, language, tuple(phrases))
        return FailoverStream(self, opening, on_transcript, on_failure=on_failure)

    async def warm(self) -> None:
        """Warm all; one that cannot be had rests.

        Raises:
            IntegrationException: None can be had, or one refuses its key or model.
        """
        await self.ranking.warm(lambda provider: provider.warm(), IntegrationUnavailableException)

    async def aclose(self) -> None:
        """Close all."""
        await asyncio.gather(*[member.provider.aclose() for member in self.ranking.members])

    @property
    def providers(self) -> tuple[STT, ...]:
        """Those that stand in for each other."""
        return tuple(member.provider for member in self.ranking.members)

    def watch(self, told: OnAvailabilityChanged) -> Callable[[], None]:
        """Have somebody told when one begins or ends to be unavailable; what is given back ends that."""
        self.ranking.watchers.append(told)
        return lambda: self.ranking.watchers.remove(told)

    def available(self) -> dict[str, bool]:
        """Whether each recogniser can be had, by name."""
        return self.ranking.available()


@dataclass(frozen=True, slots=True)
class _Opening:
    """With what a stream is opened."""

    rate_hz: int
    language: str | None
    phrases: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Utterance:
    """Speech and what has become of it.

    Attributes:
        number: In the call's stream.
        chunks: Its sound, as far as it is kept.
        samples: In ``chunks``.
        asked: Who was asked, once for each time.
        asked_at: When, the last time.
        line: Where, the last time.
        result: Its final words, or why it has none.
    """

    number: int
    chunks: list[NDArray[np.int16]] = field(default_factory=list)
    samples: int = 0
    asked: list[Member[STT]] = field(default_factory=list)
    asked_at: float = 0.0
    line: _Line | None = None
    result: Transcript | Exception | None = None


@dataclass(slots=True, eq=False)
class _Line:
    """A stream of one recogniser.

    Attributes:
        member: The recogniser.
        stream: Its stream.
        ended: How many utterances were ended.
        waiting: Those that have no answer, by their number in this stream.
        retired: Nothing new is sent; it is closed when nothing waits.
    """

    member: Member[STT]
    stream: STTStream | None = None
    ended: int = 0
    waiting: dict[int, _Utterance] = field(default_factory=dict)
    retired: bool = False


class FailoverStream:
    """The utterances of one call. What is being said goes to one recogniser; what one failed to hear, to another."""

    def __init__(
        self, stt: FailoverSTT, opening: _Opening, on_transcript: TranscriptSink, *, on_failure: FailureSink
    ) -> None:
        self._stt = stt
        self._opening = opening
        self._on_transcript = on_transcript
        self._on_failure = on_failure
        self._current = _Utterance(0)
        self._pending: deque[_Utterance] = deque()
        self._lines: set[_Line] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._live = self._first_line()

    def feed(self, pcm: NDArray[np.int16]) -> None:
        """Give speech to the recogniser, and keep it for another one."""
        utterance = self._current
        if not utterance.samples:
            self._choose()
        if utterance.samples + len(pcm) <= KEPT_S * self._opening.rate_hz:
            utterance.chunks.append(pcm)
            utterance.samples += len(pcm)
        self._stream(self._live).feed(pcm)

    def finish(self) -> None:
        """Ask for the final words."""
        ended = self._current
        self._current = _Utterance(ended.number + 1)
        self._pending.append(ended)
        self._ask(ended, self._live)

    def discard(self) -> None:
        """Forget the utterance."""
        self._current = _Utterance(self._current.number)
        self._stream(self._live).discard()

    async def aclose(self) -> None:
        """Close all streams."""
        self._closed = True
        for line in tuple(self._lines):
            self._close(line)
        while self._closing:
            await asyncio.wait(tuple(self._closing))

    # Lines

    def _first_line(self) -> _Line:
        refusals: list[IntegrationException] = []
        for member in self._stt.ranking.order():
            try:
                return self._open(member)
            except IntegrationException as error:
                refusals.append(error)
        raise refusals[0]

    def _open(self, member: Member[STT]) -> _Line:
        line = _Line(member)
        line.stream = member.provider.open(
            self._opening.rate_hz,
            partial(self._heard, line),
            partial(self._failed, line),
            language=self._opening.language,
            phrases=self._opening.phrases,
        )
        self._lines.add(line)
        return line

    def _choose(self) -> None:
        """Between two utterances the best recogniser takes over."""
        for member in self._stt.ranking.order():
            if member is self._live.member:
                return
            try:
                line = self._open(member)
            except IntegrationException:
                continue  # It does not take this language.
            self._retire(self._live)
            self._live = line
            return

    def _retire(self, line: _Line) -> None:
        line.retired = True
        if not line.waiting:
            self._close(line)

    def _close(self, line: _Line) -> None:
        if line in self._lines:
            self._lines.discard(line)
            self._spawn(self._stream(line).aclose())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="closing a recogniser")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    @staticmethod
    def _stream(line: _Line) -> STTStream:
        assert line.stream is not None  # set as soon as it is opened
        return line.stream

    # Utterances

    def _ask(self, utterance: _Utterance, line: _Line) -> None:
        clock = self._stt.clock
        utterance.asked.append(line.member)
        utterance.asked_at = clock.now()
        utterance.line = line
        line.waiting[line.ended] = utterance
        line.ended += 1
        self._stream(line).finish()
        if self._next(utterance) is not None:
            clock.call_at(clock.now() + self._stt.final_s, self._late, utterance, line)

    def _next(self, utterance: _Utterance) -> Member[STT] | None:
        return next((member for member in self._stt.ranking.order() if member not in utterance.asked), None)

    def _heard(self, line: _Line, transcript: Transcript) -> None:
        if self._closed:
            return
        if not transcript.is_final:
            if line is self._live and transcript.utterance == line.ended:
                self._on_transcript(replace(transcript, utterance=self._current.number))
            return
        utterance = line.waiting.pop(transcript.utterance, None)
        if utterance is not None:
            self._stt.ranking.recovered(line.member)
            heard = replace(transcript, utterance=utterance.number, recogniser=line.member.provider.name)
            self._settle(utterance, heard)

    def _failed(self, line: _Line, error: Exception) -> None:
        """It is the oldest for which this stream is still asked."""
        number = next((number for number, waiting in line.waiting.items() if waiting.line is line), None)
        if not self._closed and number is not None:
            self._ask_another(line.waiting.pop(number), line, error)

    def _late(self, utterance: _Utterance, line: _Line) -> None:
        """It may still answer: the first answer counts."""
        if self._closed or utterance.result is not None or utterance.line is not line:
            return
        error = IntegrationUnavailableException(
            f"{line.member.provider.name} gave no words for {self._stt.final_s:g} s; see whether it is well.",
            code="stalled",
        )
        self._ask_another(utterance, line, error)

    def _ask_another(self, utterance: _Utterance, line: _Line, error: Exception) -> None:
        """The same once more, if the failure may pass; else the next; else there are no words."""
        known = error if isinstance(error, IntegrationException) else IntegrationException(str(error))
        again = may_pass_at_once(known) and utterance.asked.count(line.member) < TRIES
        if not again:
            self._stt.ranking.rest(line.member, known, utterance.asked_at)
        candidates = [line.member] if again else []
        candidates += [member for member in self._stt.ranking.order() if member not in utterance.asked]
        for member in candidates:
            try:
                other = self._open(member)
            except IntegrationException:
                continue  # It does not take this language.
            other.retired = True
            if not again:
                _log.warning(
                    "stt.failover", provider=line.member.provider.name, next=member.provider.name, code=known.code
                )
            for chunk in utterance.chunks:
                self._stream(other).feed(chunk)
            self._ask(utterance, other)
            return
        self._settle(utterance, error)

    def _settle(self, utterance: _Utterance, result: Transcript | Exception) -> None:
        """Results come in the order of the utterances, whoever gave them."""
        if utterance.result is None:
            utterance.result = result
        for line in tuple(self._lines):
            line.waiting = {number: waiting for number, waiting in line.waiting.items() if waiting.result is None}
            if line.retired and not line.waiting:
                self._close(line)
        while self._pending and (found := self._pending[0].result) is not None:
            self._pending.popleft().chunks.clear()
            if isinstance(found, Transcript):
                self._on_transcript(found)
            else:
                self._on_failure(found)
