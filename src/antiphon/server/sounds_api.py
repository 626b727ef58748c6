"""What may be heard in a call that goes on, and whether it is kept: ``/v1/calls/ID/play`` and its like."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import Base64Bytes, BaseModel, Field

from antiphon.audio.ambience import AMBIENCES
from antiphon.server.access import require_key
from antiphon.server.calls_api import call_on_now

router = APIRouter(prefix="/v1/calls", dependencies=[Depends(require_key)])

_BY = "api"
"""Who pauses a recording, where it is a program outside."""

Volume = Annotated[float, Field(ge=0, le=1)]
Wav = Annotated[Base64Bytes, Field(min_length=1)]


class _Sound(BaseModel, extra="forbid"):
    """A sound by its name, or a WAV in Base64. No file of the server can be meant."""

    sound: str | None = Field(default=None, max_length=64)
    audio: Wav | None = None

    def chosen(self, default: str | None = None) -> str | bytes:
        """The sound that is meant.

        Raises:
            HTTPException: None is, or two are, or there is no such sound.
        """
        if self.audio is not None and self.sound is None:
            return self.audio
        name = self.sound or default
        if name is None or self.audio is not None:
            raise HTTPException(422, "Give either sound, a name, or audio, a WAV in Base64.")
        if name not in AMBIENCES:
            raise HTTPException(422, f"There is no such sound: use one of {', '.join(sorted(AMBIENCES))}.")
        return name


class Play(_Sound):
    """A sound that is played once."""

    interruptible: bool = True
    text: str = Field(default="", max_length=2_000)


class Bed(_Sound):
    """A sound behind the agent."""

    volume: Volume = 0.5
    loop: bool = True


class Hold(_Sound):
    """The music for a caller who waits."""

    volume: Volume = 0.8


class Keep(BaseModel, extra="forbid"):
    """Whether the recording goes on."""

    action: Literal["pause", "resume"]


@router.post("/{call}/play", status_code=202)
async def play(request: Request, call: str, wish: Play) -> dict[str, Any]:
    """Play a sound in the order of what is said; the call's ``play.completed`` of this number tells of its end."""
    sounds = call_on_now(request.app.state.board, call).sounds
    return {"call": call, "play": sounds.play(wish.chosen(), interruptible=wish.interruptible, text=wish.text)}


@router.post("/{call}/background", status_code=202)
async def background(request: Request, call: str, wish: Bed) -> dict[str, Any]:
    """Have a sound behind the agent."""
    sounds = call_on_now(request.app.state.board, call).sounds
    sounds.play_background(wish.chosen(), volume=wish.volume, loop=wish.loop)
    return {"call": call}


@router.delete("/{call}/background", status_code=202)
async def no_background(request: Request, call: str) -> dict[str, Any]:
    """Have no sound behind the agent."""
    call_on_now(request.app.state.board, call).sounds.stop_background()
    return {"call": call}


@router.post("/{call}/hold", status_code=202)
async def hold(request: Request, call: str, wish: Hold | None = None) -> dict[str, Any]:
    """Let the caller wait with music, and do not listen meanwhile."""
    music = wish or Hold()
    sounds = call_on_now(request.app.state.board, call).sounds
    sounds.hold(music.chosen("hold"), volume=music.volume)
    return {"call": call, "on_hold": True}


@router.post("/{call}/resume", status_code=202)
async def resume(request: Request, call: str) -> dict[str, Any]:
    """Let the caller wait no longer."""
    call_on_now(request.app.state.board, call).sounds.resume()
    return {"call": call, "on_hold": False}


@router.post("/{call}/recording")
async def keep(request: Request, call: str, wish: Keep) -> dict[str, Any]:
    """Keep nothing of what is heard from now on, or keep it again."""
    recording = call_on_now(request.app.state.board, call).recording
    if recording.tap is None:
        raise HTTPException(409, "This call is not recorded.")
    recording.pause(_BY) if wish.action == "pause" else recording.resume(_BY)
    return {"call": call, "paused": recording.is_paused}
