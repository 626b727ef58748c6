"""What is heard behind an agent on the telephone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BackgroundSound:
    """A sound that lies under what is said, softer, and fills the silences.

    Attributes:
        sound: ``office``, ``city-street``, ``crowded-room``, ``call-center``, ``typing``, ``typing-short`` or
            ``hold``; the path of a WAV, or a WAV itself.
        volume: Its factor, 0 to 1.
        loop: Whether it begins again at its end.

    Raises:
        ValueError: The volume is out of range.
    """

    sound: str | Path | bytes
    volume: float = 0.5
    loop: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.volume <= 1:
            raise ValueError(f"A volume of {self.volume:g} is out of range: use 0 to 1.")

    @property
    def name(self) -> str:
        """The sound for people, without the folder of a file."""
        return "a WAV" if isinstance(self.sound, bytes) else Path(self.sound).name
