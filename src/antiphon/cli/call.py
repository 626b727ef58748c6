"""``antiphon call``: a phone with recorded lines and a keypad."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from antiphon.audio.wav import mono, read_wav, write_wav
from antiphon.cli.exchange import NUMBERS, PhoneExchange
from antiphon.errors import AntiphonException, ConfigurationError
from antiphon.settings import load_settings
from antiphon.transports.client import PhoneClient, Utterance, phone_call

GREETING_S = 3.0
KEYS = "keys:"
_PRESSABLE = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Line:
    """What the caller does next.

    Attributes:
        name: The file, or ``keys:`` with the keys.
        pcm: What is said, mono.
        rate_hz: Its rate.
        keys: What is pressed, where nothing is said.
    """

    name: str
    pcm: NDArray[np.int16] = field(repr=False, default_factory=lambda: np.zeros(0, np.int16))
    rate_hz: int = 8_000
    keys: str = ""


def make_call(
    url: str,
    say: Sequence[str],
    *,
    key: str | None,
    timeout_s: float,
    out: Path | None,
    as_json: bool,
    exchange: int | None = None,
) -> None:
    """Phone ``url``, say or press one line after the other, and print how long each answer took.

    ``exchange`` is a port on which the phone's own exchange takes commands to transfer the call.

    Raises:
        AntiphonException: A file cannot be read, or the server does not take the call.
    """
    lines = [read_line(each) for each in say]
    if key is None:
        keys = load_settings().api_keys
        key = keys[0].get_secret_value() if keys else None
    console = Console(stderr=as_json)
    by_phone = None if exchange is None else PhoneExchange(exchange)
    turns, ended = asyncio.run(
        talk(url, lines, key=key, timeout_s=timeout_s, out=out, console=console, exchange=by_phone)
    )
    transfers = [] if by_phone is None else by_phone.transfers
    if as_json:
        body = {"url": url, "turns": turns, "ended_by_server": ended, "recording": str(out) if out else None}
        if by_phone is not None:
            body["transfers"] = transfers
        typer.echo(msgspec.json.encode(body).decode())
    else:
        console.print(_table(turns))
        for each in transfers:
            said = f", who was told: {each['summary']}" if each["summary"] else ""
            console.print(f"The caller was transferred ({each['type']}) to {each['to']}{said}")
        if ended:
            console.print(f"The server ended the call ({ended['code']} {ended['reason']}).")
        if out:
            console.print(f"Both sides are in {out}")
    if any(turn["voice_to_voice_ms"] is None for turn in turns):
        raise typer.Exit(1)


async def talk(
    url: str,
    lines: Sequence[Line],
    *,
    key: str | None,
    timeout_s: float,
    out: Path | None,
    console: Console,
    exchange: PhoneExchange | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Phone ``url`` with a script.

    Args:
        url: The media socket.
        lines: What the caller does, each when the answer to the one before has been heard.
        key: API key of the server.
        timeout_s: Longest wait for an answer.
        out: Where the WAV of both sides goes.
        console: Where it is shown how far the call is.
        exchange: The phone's own, which can transfer the call.

    Returns:
        What came of each line, and how the server ended the call, if it did.

    Raises:
        AntiphonException: The server does not take the call.
    """
    turns: list[dict[str, Any]] = []
    numbers = None if exchange is None else NUMBERS
    async with phone_call(url, key=key, parameters=numbers) as phone, contextlib.AsyncExitStack() as stack:
        if exchange is not None:
            await stack.enter_async_context(exchange.serving(phone))
        with console.status("connected, waiting for a greeting"):
            if await phone.greeted(GREETING_S):
                await phone.agent_quiet(timeout_s)
        for line in lines:
            if phone.over.is_set():
                break
            with console.status(f"pressing {line.keys}" if line.keys else f"saying {Path(line.name).name}"):
                done = await (phone.press(line.keys) if line.keys else phone.say(line.pcm, line.rate_hz))
                await phone.answer_over(done, timeout_s)
            turns.append(_told(line, done))
        if exchange is not None:
            await _over(phone, timeout_s)  # what was said last may be that the caller is connected now
        ended = _end(phone)
        if out is not None:
            # The socket is still open, but nobody speaks any more.
            await asyncio.to_thread(write_wav, out, phone.recording(), phone.rate_hz)
    return turns, ended


async def _over(phone: PhoneClient, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await phone.over.wait()


def read_line(text: str) -> Line:
    """A line of the script: the path of a WAV, or ``keys:`` with keys.

    Raises:
        AntiphonException: There is no such file, it is no WAV, or a key is none.
    """
    if text.startswith(KEYS):
        keys = text.removeprefix(KEYS).upper()
        if not keys or not _PRESSABLE.issuperset(keys):
            raise ConfigurationError(f"{text!r} cannot be pressed: write {KEYS} and some of 0 to 9, *, # and A to D.")
        return Line(text, keys=keys)
    try:
        pcm, rate_hz = read_wav(Path(text))
    except OSError as exc:
        raise ConfigurationError(f"{text} cannot be read ({exc.strerror}): give the path of a WAV.") from exc
    except AntiphonException as exc:
        raise ConfigurationError(f"{text}: {exc}") from exc
    return Line(text, mono(pcm), rate_hz)


def _told(line: Line, utterance: Utterance) -> dict[str, Any]:
    reply_s = None
    if utterance.first_audio_s is not None and utterance.answer_end_s is not None:
        reply_s = round(utterance.answer_end_s - utterance.first_audio_s, 2)
    latency = utterance.voice_to_voice_ms
    return {
        "said": line.name,
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
