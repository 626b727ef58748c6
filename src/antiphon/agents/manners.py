"""How an agent behaves on a line, beside what it says: when it yields, how long it waits, how it leaves.

What is None here is as the server has it for all calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

CASCADE_SILENCE_MS = 800
"""Silence behind words that may or may not be the whole turn, where turns are found here."""
REALTIME_SILENCE_MS = 700
"""Silence that ends a turn where a model that hears by itself finds it."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """Whether the caller may interrupt.

    Attributes:
        mode: ``vad``: by sound that lasts, or by words; ``adaptive``: by words alone; ``off``: not at all.
        min_duration_ms: Sound this long over the agent's speech pauses it.
        min_words: Fewer words do not interrupt, unless they are a command such as "no" or "stop".
        ignore_words: Words that never interrupt, beside those by which people show that they listen.
    """

    mode: Literal["vad", "adaptive", "off"] | None = None
    min_duration_ms: float | None = None
    min_words: int | None = None
    ignore_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hearing:
    """How the caller's speech and its end are found.

    Attributes:
        silence_ms: Silence that ends a turn which may or may not be whole. One that sounds finished ends sooner, one
            that surely is not ends later, in proportion.
        threshold: The detector's score, 0 to 1, from which sound is speech.
        prefix_padding_ms: Sound before speech that belongs to it.
    """

    silence_ms: float | None = None
    threshold: float | None = None
    prefix_padding_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """What happens when nobody says anything.

    Attributes:
        timeout_s: Silence after which the call ends; 0 is never.
        reminders: Said before that, at equal distances.
        goodbye: Said then.
    """

    timeout_s: float | None = None
    reminders: tuple[str, ...] | None = None
    goodbye: str | None = None


@dataclass(frozen=True, slots=True)
class Voicemail:
    """What happens when a machine answers.

    Attributes:
        detect: ``audio``: by what is heard; ``llm``: by the model, which gets a tool for it; ``off``: not at all.
        message: Left after the beep; then the call ends.
        hang_up: Whether a call without a message ends at once; else the agent is silent, and the application decides.
    """

    detect: Literal["off", "audio", "llm"] = "off"
    message: str = ""
    hang_up: bool = True


@dataclass(frozen=True, slots=True)
class Manners:
    """All of an agent's manners.

    Attributes:
        interruption: Whether the caller may interrupt.
        hearing: How the caller's speech is found.
        idle: When nobody says anything.
        voicemail: When a machine answers.
        stop_words: What the caller says, alone, to end the call; by the agent's language unless given, empty for none.
        goodbye: Said before the agent hangs up for that.
    """

    interruption: Interruption = field(default_factory=Interruption)
    hearing: Hearing = field(default_factory=Hearing)
    idle: Idle = field(default_factory=Idle)
    voicemail: Voicemail = field(default_factory=Voicemail)
    stop_words: tuple[str, ...] | None = None
    goodbye: str | None = None
