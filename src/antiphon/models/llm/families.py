"""What models of a family do differently from the rest, by the start of their name. Data, not code.

Figures of context windows are the vendors' own, in tokens.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """One family.

    Attributes:
        start: How the model's name begins, without the part before its last ``/``.
        thinks: It counts thoughts into the answer's length, and OpenAI has another key for that.
        samples: It takes a temperature, ``top_p`` and penalties.
        effort: It knows a reasoning effort.
        verbosity: It knows a verbosity.
        context_window: Tokens of a request and its answer; the smallest of the family.
    """

    start: str
    thinks: bool = False
    samples: bool = True
    effort: bool = False
    verbosity: bool = False
    context_window: int | None = None


FAMILIES: tuple[Family, ...] = (
    Family("gpt-5-chat", context_window=128_000),
    Family("gpt-5", thinks=True, samples=False, effort=True, verbosity=True, context_window=400_000),
    Family("gpt-6", thinks=True, samples=False, effort=True, verbosity=True),
    Family("gpt-oss", effort=True, context_window=131_072),
    Family("o1", thinks=True, samples=False, effort=True, context_window=128_000),
    Family("o3", thinks=True, samples=False, effort=True, context_window=200_000),
    Family("o4", thinks=True, samples=False, effort=True, context_window=200_000),
    Family("gpt-4.1", context_window=1_047_576),
    Family("gpt-4o", context_window=128_000),
    Family("gpt-4-turbo", context_window=128_000),
    Family("deepseek-v4", effort=True),
    Family("deepseek-flash", effort=True),
    Family("grok-3-mini", effort=True, context_window=131_072),
    Family("gemini-3", effort=True, context_window=1_048_576),
    Family("gemini-2.5", context_window=1_048_576),
    Family("gemini-2.0", context_window=1_048_576),
    Family("claude-3", context_window=200_000),
    Family("claude-haiku-4", context_window=200_000),
    Family("claude-opus-4-5", effort=True, context_window=200_000),
    Family("claude-opus-4-6", effort=True, context_window=200_000),
    Family("claude-opus-4-7", samples=False, effort=True, context_window=200_000),
    Family("claude-opus-4-8", samples=False, effort=True, context_window=200_000),
    Family("claude-opus-4", context_window=200_000),
    Family("claude-sonnet-4-6", effort=True, context_window=200_000),
    Family("claude-sonnet-4", context_window=200_000),
    Family("claude-", samples=False, effort=True, context_window=200_000),
)
_PLAIN = Family("")


def family(model: str) -> Family:
    """The family of a model; one without peculiarities where it is not known."""
    name = model.rpartition("/")[2].lower()
    if name.startswith("claude"):
        # Others than its vendor write the version with a dot.
        name = name.replace(".", "-")
    return next((known for known in FAMILIES if name.startswith(known.start)), _PLAIN)
