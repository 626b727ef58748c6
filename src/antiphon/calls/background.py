"""What sounds behind the agent: an office, a street, music. It lies under speech, softer, and fills the silences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.convert import from_pcm, to_pcm
from antiphon.audio.formats import AudioFormat

_UNDER_SPEECH = 0.5
"""Part of its loudness that a background keeps while the agent speaks: 6 dB less."""
_FADE_S = 0.2
"""Time from silence to full loudness, and back."""
_FULL = 32767.0


class Background:
    """The background of one call. With it on, every frame for the caller is mixed here; nothing is ever clipped.

    Args:
        audio: The line's format.

    Attributes:
        is_on: Whether it sounds, or fades away.
    """

    def __init__(self, audio: AudioFormat) -> None:
        self.is_on = False
        self._audio = audio
        self._fade = 1 / (_FADE_S * audio.rate_hz)
        self._pcm = np.zeros(0, np.int16)
        self._at = 0  # the sample that comes next
        self._loops = True
        self._volume = 0.0
        self._gain = 0.0
        self._next: tuple[NDArray[np.int16], float, bool] | None = None

    def play(self, pcm: NDArray[np.int16], *, volume: float, loop: bool) -> None:
        """Fade this in; what sounds now fades away first.

        Args:
            pcm: Samples at the line's rate, shape (n,), n > 0.
            volume: Their factor, 0 to 1.
            loop: Whether it begins again at its end.
        """
        if self.is_on:
            self._next = pcm, volume, loop
            self._volume = 0.0
        else:
            self._begin(pcm, volume, loop)

    def stop(self) -> None:
        """Fade away."""
        self._next = None
        self._volume = 0.0

    def under(self, payload: bytes) -> bytes:
        """A frame of speech with the background under it, as long and in the line's format."""
        speech = to_pcm(payload, self._audio).astype(np.float32)
        sound = self._sound(len(speech), self._volume * _UNDER_SPEECH)
        room = max(0.0, _FULL - float(np.abs(speech).max(initial=0.0)))
        loudest = float(np.abs(sound).max(initial=0.0))
        if loudest > room:
            sound *= room / loudest
        return self._encode(speech + sound)

    def alone(self, size: int) -> bytes:
        """So many bytes of the background by itself."""
        return self._encode(self._sound(size // self._audio.sample_bytes, self._volume))

    def rewind(self, seconds: float) -> None:
        """The last seconds of it were never heard: they come again."""
        if self.is_on:
            back = self._at - round(seconds * self._audio.rate_hz)
            self._at = back % len(self._pcm) if self._loops else max(0, back)

    def _begin(self, pcm: NDArray[np.int16], volume: float, loop: bool) -> None:
        self._pcm, self._volume, self._loops = pcm, volume, loop
        self._at = 0
        self._gain = 0.0
        self.is_on = True

    def _sound(self, count: int, gain: float) -> NDArray[np.float32]:
        """The next samples, on their way to this gain."""
        step = count * self._fade
        before, self._gain = self._gain, min(max(gain, self._gain - step), self._gain + step)
        sound = self._samples(count)
        if before == self._gain:
            sound *= np.float32(before)
        else:
            sound *= np.linspace(before, self._gain, count, dtype=np.float32)
        if self._volume == self._gain == 0.0 or (not self._loops and self._at >= len(self._pcm)):
            self._over()
        return sound

    def _samples(self, count: int) -> NDArray[np.float32]:
        taken = np.zeros(count, np.float32)
        filled = 0
        while filled < count:
            piece = self._pcm[self._at : self._at + count - filled]
            taken[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._at += len(piece)
            if self._at < len(self._pcm):
                continue
            if not self._loops:
                break
            self._at = 0
        return taken

    def _over(self) -> None:
        self.is_on = False
        if self._next is not None:
            following, self._next = self._next, None
            self._begin(*following)

    def _encode(self, sound: NDArray[np.float32]) -> bytes:
        return from_pcm(np.rint(sound).astype(np.int16), self._audio)
