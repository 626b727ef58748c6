"""Speech to text from a script, for tests and benchmarks: what was said is known, only the time is real."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.clock import Clock, WallClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.models.stt.contract import FailureSink, Transcript, TranscriptSink

STTFault = Literal["fail", "stall", "empty", "long", "close"]
"""``stall`` never answers, ``long`` gives 20,000 words, ``close`` fails this utterance and all that follow."""

_PARTIAL_EVERY_S = 0.2


class ScriptedSTT:
    """Gives the next text of a list for each utterance; each stream starts at the first.

    Args:
        texts: What is heard, utterance by utterance; begun anew when all are used up.
        delay_s: From ``finish`` to the final transcript.
        words_per_partial: Words that each 0.2 s of fed speech adds to a partial transcript; 0 gives no partials.
        faults: What goes wrong, by the number of the utterance in its stream.
        clock: Wall time unless given.
    """

    name = "scripted"

    def __init__(
        self,
        texts: Sequence[str] = ("hello",),
        *,
        delay_s: float = 0.0,
        words_per_partial: int = 0,
        faults: Mapping[int, STTFault] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.texts = tuple(texts)
        self.delay_s = delay_s
        self.words_per_partial = words_per_partial
        self.faults = dict(faults or {})
        self.clock = clock or WallClock()

    def open(
        self,
        rate_hz: int,
        on_transcript: TranscriptSink,
        on_failure: FailureSink,
        *,
        language: str | None = None,
        phrases: Sequence[str] = (),
    ) -> ScriptedSTTStream:
        """Start the list for one call."""
        return ScriptedSTTStream(self, rate_hz, on_transcript, on_failure)

    async def warm(self) -> None:
        """There is nothing to load."""

    async def aclose(self) -> None:
        """There is nothing to free."""


class ScriptedSTTStream:
    """The list of one call, as far as it has been heard."""

    def __init__(self, stt: ScriptedSTT, rate_hz: int, on_transcript: TranscriptSink, on_failure: FailureSink) -> None:
        self._stt = stt
        self._rate_hz = rate_hz
        self._on_transcript = on_transcript
        self._on_failure = on_failure
        self._utterance = 0
        self._samples = 0
        self._partials = 0
        self._epoch = 0
        self._closed = False

    def feed(self, pcm: NDArray[np.int16]) -> None:
        """Count speech; may give a partial."""
        self._samples += len(pcm)
        if not self._stt.words_per_partial:
            return
        due = int(self._samples / self._rate_hz / _PARTIAL_EVERY_S)
        words = self._text().split(" ")
        if due > self._partials and self._partials * self._stt.words_per_partial < len(words):
            self._partials = due
            text = " ".join(words[: due * self._stt.words_per_partial])
            partial = Transcript(text, is_final=False, utterance=self._utterance)
            self._after(0.0, self._give_partial, partial, self._epoch)

    def finish(self) -> None:
        """Give the utterance's text, or what goes wrong in its place."""
        fault = self._fault()
        if fault in ("fail", "close"):
            why = "was closed" if fault == "close" else "failed"
            error = IntegrationUnavailableException(f"The scripted recogniser {why}.", provider="scripted")
            self._after(self._stt.delay_s, self._fail, error)
        elif fault != "stall":
            final = Transcript(self._text(), is_final=True, utterance=self._utterance)
            self._after(self._stt.delay_s, self._give_final, final)
        self._utterance += 1
        self.discard()

    def discard(self) -> None:
        """Forget the utterance; its text is the next one's."""
        self._samples = self._partials = 0
        self._epoch += 1

    async def aclose(self) -> None:
        """Give nothing any more."""
        self._closed = True

    def _fault(self) -> STTFault | None:
        faults = self._stt.faults
        closed = any(fault == "close" and number <= self._utterance for number, fault in faults.items())
        return "close" if closed else faults.get(self._utterance)

    def _text(self) -> str:
        fault = self._fault()
        if fault == "empty" or not self._stt.texts:
            return ""
        return "word " * 20_000 if fault == "long" else self._stt.texts[self._utterance % len(self._stt.texts)]

    def _after(self, delay_s: float, function: Callable[..., None], *args: object) -> None:
        clock = self._stt.clock
        clock.call_at(clock.now() + delay_s, function, *args)

    def _give_partial(self, transcript: Transcript, epoch: int) -> None:
        # Its utterance may have been ended or forgotten in the meantime.
        if not self._closed and epoch == self._epoch:
            self._on_transcript(transcript)

    def _give_final(self, transcript: Transcript) -> None:
        if not self._closed:
            self._on_transcript(transcript)

    def _fail(self, error: Exception) -> None:
        if not self._closed:
            self._on_failure(error)
