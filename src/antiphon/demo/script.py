"""What the demonstration's caller says, and when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

CALLERS: Final = Path(__file__).parent / "callers"
"""The recordings, 16 kHz mono PCM16, and ``manifest.json`` with their words."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that the caller says.

    Attributes:
        wav: File in ``CALLERS``.
        text: Its words.
        over_reply_ms: Said this long after the reply to the line before has begun, into it; None: when the agent has
            said what it had to say.
    """

    wav: str
    text: str
    over_reply_ms: int | None = None

    @property
    def path(self) -> Path:
        """The recording."""
        return CALLERS / self.wav

    @property
    def over_s(self) -> float | None:
        """``over_reply_ms`` in seconds."""
        return None if self.over_reply_ms is None else self.over_reply_ms / 1000


SCRIPT: Final = (
    Line("michael_saturday.wav", "What time do you open on Saturday?"),
    Line("michael_cleaning.wav", "How much is a cleaning?"),
    Line("bella_uhhuh.wav", "Uh-huh.", over_reply_ms=700),
    Line("michael_book.wav", "Please book a cleaning on Tuesday at ten in the morning."),
    Line("bella_sunday.wav", "Are you open on Sunday?", over_reply_ms=900),
    Line("michael_thanks.wav", "Thank you very much, goodbye."),
)
"""Two questions, the second with "uh-huh" over its answer, a booking, a question into its confirmation, goodbye."""
