"""Which words belong to which utterance of a stream, told by the time of their sound.

The service counts seconds of all that it was sent. Only speech is sent, so an utterance is a piece of that time: what
lies in a piece that was discarded, or comes for an utterance that has its final words, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_SLACK_S = 0.03
"""The service rounds its times."""
_TAIL_S = 0.1
"""What may be missing at the end of an utterance whose words all stay: it is the silence that ended it."""


@dataclass(slots=True, eq=False)
class Spoken:
    """An utterance, as far as it has been heard.

    Attributes:
        number: In its stream.
        start_s: Where it begins, in seconds of sound sent.
        end_s: Where it ends; None while it goes on.
        settled: Words that stay, piece by piece.
        partial: Words behind these that may still change.
        settled_s: Up to where words stay.
        confidences: Of the settled pieces.
        language: As told with the last settled piece.
        answered: Something was told of it.
    """

    number: int
    start_s: float
    end_s: float | None = None
    settled: list[str] = field(default_factory=list)
    partial: str = ""
    settled_s: float = field(init=False)
    confidences: list[float] = field(default_factory=list)
    language: str | None = None
    answered: bool = False

    def __post_init__(self) -> None:
        self.settled_s = self.start_s

    @property
    def text(self) -> str:
        """All words so far."""
        return " ".join(part for part in (*self.settled, self.partial) if part)

    def distance_s(self, moment_s: float) -> float:
        """How far a moment of sound lies outside of it; 0 within."""
        after = 0.0 if self.end_s is None else moment_s - self.end_s
        return max(self.start_s - moment_s, after, 0.0)

    @property
    def is_settled(self) -> bool:
        """Whether it has ended and all of its words stay."""
        return self.reaches_end(self.settled_s)

    def reaches_end(self, moment_s: float) -> bool:
        """Whether it has ended before this moment, or hardly after it."""
        return self.end_s is not None and moment_s >= self.end_s - _TAIL_S

    def settle(self) -> None:
        """No more words will come."""
        self.settled_s = max(self.settled_s, self.end_s or 0.0)

    def take(self, result: Result) -> None:
        """Add what was told."""
        self.answered = True
        if not result.is_final:
            self.partial = result.text
            return
        self.partial = ""
        self.settled_s = max(self.settled_s, result.end_s)
        if result.text:
            self.settled.append(result.text)
            self.language = result.language or self.language
            if result.confidence is not None:
                self.confidences.append(result.confidence)


@dataclass(frozen=True, slots=True)
class Result:
    """What the service tells of a piece of sound.

    Attributes:
        text: Its words.
        start_s, end_s: Where it lies, in seconds of sound sent.
        is_final: Whether the words stay.
        is_flushed: Whether it is the answer to ``Finalize``.
        confidence: 0..1, where told.
        language: Where told.
    """

    text: str
    start_s: float
    end_s: float
    is_final: bool
    is_flushed: bool
    confidence: float | None
    language: str | None


def spoken_at(result: Result, utterances: Iterable[Spoken]) -> Spoken | None:
    """The utterance in which a result's middle lies; None where it lies in sound that nobody wants any more."""
    middle_s = (result.start_s + result.end_s) / 2
    nearest = min(utterances, key=lambda spoken: spoken.distance_s(middle_s))
    return nearest if nearest.distance_s(middle_s) <= _SLACK_S else None


def result_of(message: Mapping[str, Any]) -> Result:
    """A message of type ``Results``.

    Raises:
        ValueError: It is not in the documented form.
    """
    try:
        best = message["channel"]["alternatives"][0]
        start_s = float(message["start"])
        confidence, languages = best.get("confidence"), best.get("languages")
        return Result(
            str(best["transcript"]).strip(),
            start_s,
            start_s + float(message["duration"]),
            bool(message.get("is_final")),
            bool(message.get("from_finalize")),
            float(confidence) if isinstance(confidence, (int, float)) else None,
            str(languages[0]) if isinstance(languages, list) and languages else None,
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"a result without {error}") from None
