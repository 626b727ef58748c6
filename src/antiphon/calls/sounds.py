"""What sounds in one call besides words: files that are played, a background, and the music of a caller on hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.sounds import Sound, check_sound, load_sound
from antiphon.calls import events
from antiphon.calls.log import CallLog
from antiphon.calls.speaking import Speaking
from antiphon.calls.speech import Speech
from antiphon.errors import AudioError

_LOAD_S = 10.0
"""Reading a file, or making a sound for the first time, may take so long."""

Bed = tuple[Sound, float, bool]
"""A background: the sound, its volume, and whether it begins again at its end."""


class CallSounds:
    """The sounds of one call.

    Args:
        speaking: Plays them.
        audio: The line's format.
        log: Where they are told.
        turn: Gives the number of the turn that goes on.
        aside: Does something when the agent may speak.
        failed: Told of faults.
        spawn: Runs a task of the call.

    Attributes:
        on_hold: Whether the caller waits: hears music, and is not listened to.
    """

    def __init__(
        self,
        speaking: Speaking,
        audio: AudioFormat,
        *,
        log: CallLog,
        turn: Callable[[], int],
        aside: Callable[[Callable[[], None]], None],
        failed: Callable[[str, Exception], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
    ) -> None:
        self.on_hold = False
        self._speaking = speaking
        self._audio = audio
        self._log = log
        self._turn = turn
        self._aside = aside
        self._failed = failed
        self._spawn = spawn
        self._plays = 0
        self._waiting: list[int] = []  # plays that have not begun, in order
        self._bed: Bed | None = None  # what sounds behind the agent, unless the caller is on hold
        self._loading: asyncio.Task[None] | None = None

    # Files.

    def play(self, sound: Sound, *, interruptible: bool, text: str) -> int:
        """Play this in the order of what is said; the number by which ``play.completed`` tells of its end.

        Raises:
            AudioError: There is no such sound.
        """
        check_sound(sound)
        self._plays += 1
        number = self._plays
        self._waiting.append(number)
        self._aside(lambda: self._begin(number, sound, interruptible=interruptible, text=text))
        return number

    def _begin(self, number: int, sound: Sound, *, interruptible: bool, text: str) -> None:
        while self._waiting and self._waiting[0] < number:
            self._drop(self._waiting[0])  # it stood before this one, and was crowded out
        if number not in self._waiting:
            return
        self._waiting.remove(number)
        speech = self._speaking.new("play" if interruptible else "announcement", self._turn())
        speech.on_over = partial(self._completed, number, speech)
        self._speaking.begin(speech)
        if self._spawn(self._load(speech, sound, text), f"play {number}") is None:
            speech.finish()

    async def _load(self, speech: Speech, sound: Sound, text: str) -> None:
        try:
            payload = await self._payload(sound)
            speech.begin_clause(text, text)
            speech.add_sound(payload)
        except AudioError as error:
            self._failed("invalid_audio", error)
        except (OSError, TimeoutError) as error:
            self._failed("play_failed", error)
        finally:
            speech.finish()

    async def _payload(self, sound: Sound) -> bytes:
        async with asyncio.timeout(_LOAD_S):
            return await asyncio.to_thread(lambda: from_pcm(load_sound(sound, self._audio.rate_hz), self._audio))

    def _completed(self, number: int, speech: Speech, interrupted: bool) -> None:
        self._log.append(events.PlayCompleted(number, interrupted, round(speech.played_s, 3)))

    def _drop(self, number: int) -> None:
        self._waiting.remove(number)
        self._log.append(events.PlayCompleted(number, True, 0.0))

    # The background.

    def play_background(self, sound: Sound, *, volume: float, loop: bool) -> None:
        """Have this sound behind the agent; a caller on hold hears it later.

        Raises:
            AudioError: There is no such sound, or no such volume.
        """
        self._bed = _bed(sound, volume, loop)
        if not self.on_hold:
            self._lay(self._bed)

    def stop_background(self) -> None:
        """Have nothing sound behind the agent."""
        self._bed = None
        if not self.on_hold:
            self._lay(None)

    def hold(self, sound: Sound, *, volume: float) -> None:
        """Have the caller wait with music. What is said meanwhile is heard over it.

        Raises:
            AudioError: There is no such sound, or no such volume.
        """
        music = _bed(sound, volume, True)
        if not self.on_hold:
            self.on_hold = True
            self._log.append(events.CallHeld())
            self._lay(music)

    def resume(self) -> None:
        """The caller waits no longer."""
        if self.on_hold:
            self.on_hold = False
            self._log.append(events.CallResumed())
            self._lay(self._bed)

    def close(self) -> None:
        """The call is over: nothing sounds any more."""
        if self._loading is not None:
            self._loading.cancel()
        while self._waiting:
            self._drop(self._waiting[0])
        self._speaking.close()

    def _lay(self, bed: Bed | None) -> None:
        if self._loading is not None:
            self._loading.cancel()
            self._loading = None
        background = self._speaking.background
        if background is None:
            if bed is not None:
                self._failed("no_background", AudioError("This line carries no background: only phone lines do."))
        elif bed is not None:
            self._loading = self._spawn(self._fade_in(bed), "background")
        elif background.is_on:
            background.stop()
            self._log.append(events.BackgroundChanged(None))

    async def _fade_in(self, bed: Bed) -> None:
        sound, volume, loop = bed
        try:
            async with asyncio.timeout(_LOAD_S):
                pcm = await asyncio.to_thread(load_sound, sound, self._audio.rate_hz)
        except (AudioError, OSError, TimeoutError) as error:
            self._failed("invalid_audio", error)
            return
        background = self._speaking.background
        if background is not None:
            background.play(pcm, volume=volume, loop=loop)
            self._speaking.fill()
            self._log.append(events.BackgroundChanged(_name(sound), volume, loop))


def _bed(sound: Sound, volume: float, loop: bool) -> Bed:
    check_sound(sound)
    if not 0 <= volume <= 1:
        raise AudioError(f"A volume of {volume} is out of range: use 0 to 1.")
    return sound, volume, loop


def _name(sound: Sound) -> str:
    return "a WAV" if isinstance(sound, bytes) else Path(sound).name
