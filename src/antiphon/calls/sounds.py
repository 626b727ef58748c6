"""What sounds in one call besides words: files that are played, a background, and the music of a caller on hold.

All of it is loaded or computed in a thread, once; the call's own loop only copies samples.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from antiphon.agents.background import BackgroundSound
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.sounds import Sound, check_sound, load_sound
from antiphon.calls import events
from antiphon.calls.background import Background
from antiphon.calls.log import CallLog
from antiphon.calls.speaking import Speaking
from antiphon.calls.speech import Speech
from antiphon.errors import AudioError
from antiphon.tools.sounds import HOLD, PLAY, PLAY_BACKGROUND, RESUME, STOP_BACKGROUND

_LOAD_S = 10.0
"""Reading a file, or making a sound for the first time, may take so long."""

Requests = dict[str, Callable[[Mapping[str, Any]], None]]


class CallSounds:
    """The sounds of one call. Before and after it nothing sounds.

    Args:
        speaking: Plays them.
        audio: The line's format.
        background: What is heard behind the agent that answers.
        log: Where they are told.
        turn: Gives the number of the turn that goes on.
        aside: Does something when the agent may speak.
        held: Told when the caller is put on hold, and when that is over.
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
        background: BackgroundSound | None,
        log: CallLog,
        turn: Callable[[], int],
        aside: Callable[[Callable[[], None]], None],
        held: Callable[[bool], None],
        failed: Callable[[str, Exception], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
    ) -> None:
        self.on_hold = False
        self._speaking = speaking
        self._audio = audio
        self._log = log
        self._turn = turn
        self._aside = aside
        self._held = held
        self._failed = failed
        self._spawn = spawn
        self._plays = 0
        self._waiting: list[int] = []  # plays that have not begun, in order
        self._agents = background
        self._bed = background  # what sounds behind the agent, unless the caller is on hold
        self._loading: asyncio.Task[None] | None = None
        self._is_on = False

    @property
    def requests(self) -> Requests:
        """What tools may ask for; what cannot be done is told in the log."""
        asked: dict[str, Callable[..., object]] = {
            PLAY: self.play,
            PLAY_BACKGROUND: self.play_background,
            STOP_BACKGROUND: self.stop_background,
            HOLD: self.hold,
            RESUME: self.resume,
        }
        return {name: partial(self._try, name, do) for name, do in asked.items()}

    def _try(self, name: str, do: Callable[..., object], details: Mapping[str, Any]) -> None:
        try:
            do(**details)
        except (AudioError, TypeError, ValueError) as error:  # a tool's details may be anything
            self._failed("invalid_command", AudioError(f"The request {name!r} cannot be done: {error}"))

    def open(self) -> None:
        """The call is up."""
        self._is_on = True
        self._change(self._bed)

    def hears(self, payload: bytes) -> bytes:
        """What is listened to of a frame of the caller: of one on hold nothing, while time goes on."""
        return self._audio.silence(len(payload)) if self.on_hold else payload

    # Files.

    def play(self, sound: Sound, *, interruptible: bool = True, text: str = "") -> int:
        """Play a sound in the order of what is said, once.

        Args:
            sound: A WAV, by its path or its bytes; or the name of a sound.
            interruptible: Whether the caller may cut it.
            text: What is said in it, for the conversation's history; empty where that does not matter.

        Returns:
            The number by which ``play.completed`` tells of its end.

        Raises:
            AudioError: There is no such sound.
        """
        check_sound(sound)
        self._plays += 1
        number = self._plays
        if not self._is_on:
            return number
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

    def play_background(self, sound: Sound, *, volume: float = 0.5, loop: bool = True) -> None:
        """Have this sound behind the agent, on phone lines; a caller on hold hears it later.

        Raises:
            AudioError: There is no such sound.
            ValueError: The volume is not 0 to 1.
        """
        check_sound(sound)
        self._change(BackgroundSound(sound, volume, loop))

    def stop_background(self) -> None:
        """Have nothing sound behind the agent."""
        self._change(None)

    def adopt(self, bed: BackgroundSound | None) -> None:
        """Another agent answers: what it wants behind it is heard from now on, where that is another sound."""
        if bed != self._agents:
            self._agents = bed
            self._change(bed)

    def _change(self, bed: BackgroundSound | None) -> None:
        self._bed = bed
        if not self.on_hold:
            self._lay(bed)

    def hold(self, sound: Sound = "hold", *, volume: float = 0.8) -> None:
        """Have the caller wait with music. What is said meanwhile is heard over it.

        Raises:
            AudioError: There is no such sound.
            ValueError: The volume is not 0 to 1.
        """
        check_sound(sound)
        music = BackgroundSound(sound, volume)
        if self._is_on and not self.on_hold:
            self.on_hold = True
            self._log.append(events.CallHeld())
            self._held(True)
            self._lay(music)

    def resume(self) -> None:
        """The caller waits no longer."""
        if self._is_on and self.on_hold:
            self.on_hold = False
            self._log.append(events.CallResumed())
            self._lay(self._bed)
            self._held(False)

    def close(self) -> None:
        """The call is over: nothing sounds any more."""
        self._is_on = False
        if self._loading is not None:
            self._loading.cancel()
        while self._waiting:
            self._drop(self._waiting[0])
        self._speaking.close()

    def _lay(self, bed: BackgroundSound | None) -> None:
        if self._loading is not None:
            self._loading.cancel()
            self._loading = None
        if not self._is_on:
            return
        background = self._speaking.background
        if background is None:
            if bed is not None:
                self._failed("no_background", AudioError("This line carries no background: only phone lines do."))
        elif bed is not None:
            self._loading = self._spawn(self._fade_in(bed, background), "background")
        elif background.is_on:
            background.stop()
            self._log.append(events.BackgroundChanged(None))

    async def _fade_in(self, bed: BackgroundSound, background: Background) -> None:
        try:
            async with asyncio.timeout(_LOAD_S):
                pcm = await asyncio.to_thread(load_sound, bed.sound, self._audio.rate_hz)
        except (AudioError, OSError, TimeoutError) as error:
            self._failed("invalid_audio", error)
            return
        background.play(pcm, volume=bed.volume, loop=bed.loop)
        self._speaking.fill()
        self._log.append(events.BackgroundChanged(bed.name, bed.volume, bed.loop))
