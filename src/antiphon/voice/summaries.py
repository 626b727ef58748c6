"""When a conversation is summarised, what of it, and by whom: the rules, without any I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from antiphon.errors import IntegrationInvalidResponseException
from antiphon.realtime.conversation import INAUDIBLE, Turn

MAX_SYNOPSIS_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class SummaryPolicy:
    """When a summary is due, and which turns it replaces.

    Attributes:
        trigger_tokens: Tokens of a response that make a summary due.
        trigger_turns: Turns that make one due; 0 is never.
        min_interval_s: Shortest time between two attempts.
        keep_last_turns: Turns that stay word for word.
    """

    trigger_tokens: int = 2000
    trigger_turns: int = 0
    min_interval_s: float = 20.0
    keep_last_turns: int = 2

    def is_due(self, *, turns: int, tokens: int, waited_s: float, failures: int = 0) -> bool:
        """Whether to summarise now.

        Args:
            turns: How many there are, without the summary itself.
            tokens: The most that a response has taken since the last summary.
            waited_s: Since the last attempt.
            failures: Attempts in a row that have failed: each doubles the interval, up to ten minutes.
        """
        if not self.is_wanted(turns=turns, tokens=tokens):
            return False
        interval_s = self.min_interval_s * 2**failures if failures else self.min_interval_s
        return waited_s >= min(interval_s, max(600.0, self.min_interval_s))

    def is_wanted(self, *, turns: int, tokens: int) -> bool:
        """Whether the history has grown enough, however long ago the last attempt was."""
        grown = tokens >= self.trigger_tokens or 0 < self.trigger_turns <= turns
        return grown and turns > self.keep_last_turns

    def pruned(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """The turns that a summary replaces: all but the last few, and those begin with the user's."""
        cut = len(turns) - self.keep_last_turns
        while 0 < cut < len(turns) and turns[cut].role != "user":
            cut -= 1
        return turns[: max(0, cut)]


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """What a summarizer reads; nothing of it is personal data that is to be redacted.

    Attributes:
        synopsis: The last one; empty at first.
        facts: The sheet, on one line.
        language: BCP 47, of the new synopsis.
        lines: The pruned turns, one each.
    """

    synopsis: str
    facts: str
    language: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class SummaryResult:
    """What a summarizer found.

    Attributes:
        synopsis: What happened so far.
        set: Facts that are new or have changed.
        remove: Keys of facts that the turns contradict.
        language: As the summarizer says.
    """

    synopsis: str
    set: Mapping[str, str] = field(default_factory=dict)
    remove: Sequence[str] = ()
    language: str = ""


class Summarizer(Protocol):
    """Writes summaries."""

    async def summarize(self, request: SummaryRequest) -> SummaryResult:
        """Read the pruned turns and write them up.

        Raises:
            AntiphonException: It did not work.
        """
        ...


class NullSummarizer:
    """Writes none: the history grows."""

    async def summarize(self, request: SummaryRequest) -> SummaryResult:
        """Never called by a program that knows about it."""
        raise IntegrationInvalidResponseException("Summaries are off: set SUMMARY_MODEL to the model that writes them.")


def line_of(turn: Turn) -> str:
    """A turn as a summarizer reads it, with its function calls."""
    words = turn.text or INAUDIBLE
    cut = " (interrupted)" if turn.interrupted else ""
    calls = "".join(f" [called {call.name}({call.arguments}): {call.output or 'no result'}]" for call in turn.calls)
    return f"{turn.role}{cut}: {words}{calls}"


def read_summary(text: str) -> SummaryResult:
    """Read what a model has written: JSON, or the two lines ``Synopsis: ...`` and ``Facts: a; b``.

    Raises:
        IntegrationInvalidResponseException: It is neither.
    """
    found = _JSON.search(text)
    if found is not None:
        try:
            return _from_json(json.loads(found[0]))
        except ValueError:
            pass  # It may still be the two lines.
    lines = _LINES.search(text)
    if lines is None or not lines["synopsis"].strip():
        raise IntegrationInvalidResponseException("The summary is neither JSON nor a synopsis with facts.")
    facts = [part.strip() for part in (lines["facts"] or "").split(";")]
    return SummaryResult(lines["synopsis"].strip()[:MAX_SYNOPSIS_CHARS], dict(_fact(part) for part in facts if part))


def _from_json(body: object) -> SummaryResult:
    """Raises ValueError where it does not fit."""
    if not isinstance(body, dict) or not isinstance(body.get("synopsis"), str) or not body["synopsis"].strip():
        raise ValueError("no synopsis")
    changes, removed = body.get("set") or {}, body.get("remove") or []
    if not isinstance(changes, dict) or not isinstance(removed, list):
        raise ValueError("facts of another form")
    plain = {str(key): str(value) for key, value in changes.items() if isinstance(value, str | int | float)}
    language = body.get("language")
    return SummaryResult(
        body["synopsis"].strip()[:MAX_SYNOPSIS_CHARS],
        plain,
        [key for key in removed if isinstance(key, str)],
        language if isinstance(language, str) else "",
    )


def _fact(text: str) -> tuple[str, str]:
    """A fact that may have no key of its own."""
    key, colon, value = text.partition(":")
    return (key.strip(), value.strip()) if colon else (text, text)


_JSON = re.compile(r"\{.*\}", re.DOTALL)
_LINES = re.compile(
    r"^[\s*#>-]*synopsis[\s*]*:[\s*]*(?P<synopsis>.+?)\s*(?:^[\s*#>-]*facts[\s*]*:[\s*]*(?P<facts>.*?)\s*)?\Z",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
