"""``antiphon call``: a phone with recorded lines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from antiphon.audio.wav import mono, read_wav, write_wav
from antiphon.errors import AntiphonException, ConfigurationError
from antiphon.settings import load_settings
from antiphon.transports.client import PhoneClient, Utterance, phone_call

GREETING_S = 3.0
Line = tuple[Path, NDArray[np.int16], int]
"""File, samples, rate."""


def make_call(
    url: str, say: Sequence[Path], *, key: str | None, timeout_s: float, out: Path | None, as_json: bool
) -> None:
    """Phone ``url``, say the lines one after the other, and print how long each answer took.

    Raises:
        AntiphonException: A file cannot be read, or the server does not take the call.
    """
    lines = [_read(path) for path in say]
    if key is None:
        keys = load_settings().api_keys
        key = keys[0].get_secret_value() if keys else None
    console = Console(stderr=as_json)
    turns, ended = asyncio.run(_talk(url, lines, key=key, timeout_s=timeout_s, out=out, console=console))
    if as_json:
        body = {"url": url, "turns": turns, "ended_by_server": ended, "recording": str(out) if out else None}
        typer.echo(msgspec.json.encode(body).decode())
    else:
        console.print(_table(turns))
        if ended:
            console.print(f"The server ended the call ({ended['code']} {ended['reason']}).")
        if out:
            console.print(f"Both sides are in {out}")
    if any(turn["voice_to_voice_ms"] is None for turn in turns):
        raise typer.Exit(1)


async def _talk(
    url: str, lines: Sequence[Line], *, key: str | None, timeout_s: float, out: Path | None, console: Console
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    turns: list[dict[str, Any]] = []
    async with phone_call(url, key=key) as phone:
        with console.status("connected, waiting for a greeting"):
            if await phone.greeted(GREETING_S):
                await phone.agent_quiet(timeout_s)
        for path, pcm, rate_hz in lines:
            if phone.over.is_set():
                break
            with console.status(f"saying {path.name}"):
                utterance = await phone.say(pcm, rate_hz)
                await phone.answer_over(utterance, timeout_s)
            turns.append(_told(path, utterance))
        ended = _end(phone)
        if out is not None:
            # The socket is still open, but nobody speaks any more.
            await asyncio.to_thread(write_wav, out, phone.recording(), phone.rate_hz)
    return turns, ended


def _read(path: Path) -> Line:
    try:
        pcm, rate_hz = read_wav(path)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read ({exc.strerror}): give the path of a WAV.") from exc
    except AntiphonException as exc:
        raise ConfigurationError(f"{path}: {exc}") from exc
    return path, mono(pcm), rate_hz


def _told(path: Path, utterance: Utterance) -> dict[str, Any]:
    reply_s = None
    if utterance.first_audio_s is not None and utterance.answer_end_s is not None:
        reply_s = round(utterance.answer_end_s - utterance.first_audio_s, 2)
    latency = utterance.voice_to_voice_ms
    return {
        "said": str(path),
        "speech_s": round(0.02 * len(utterance.frames), 2),
        "voice_to_voice_ms": round(latency, 1) if latency is not None else None,
        "reply_s": reply_s,
    }


def _end(phone: PhoneClient) -> dict[str, Any] | None:
    if phone.ended_by_server is None:
        return None
    code, reason = phone.ended_by_server
    return {"code": code, "reason": reason}


def _table(turns: Sequence[dict[str, Any]]) -> Table:
    table = Table("said", "length", "voice to voice", "reply", box=None)
    for turn in turns:
        latency = turn["voice_to_voice_ms"]
        table.add_row(
            Path(turn["said"]).name,
            f"{turn['speech_s']:.1f} s",
            f"{latency:.0f} ms" if latency is not None else "[red]no answer[/]",
            f"{turn['reply_s']:.1f} s" if turn["reply_s"] is not None else "",
        )
    return table
