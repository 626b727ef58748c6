"""The whole program in a talk with a scripted service, in virtual time and over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from antiphon.clock import Clock
from antiphon.settings_voice import load_voice_settings
from antiphon.transports.local.mic import RATE_HZ
from antiphon.transports.local.paced import PacedSound
from antiphon.voice.program import VoiceProgram
from antiphon.voice.summaries import Summarizer
from antiphon.voice.tools import ToolRegistry
from tests.realtime.server import VAD, Connection, Script, Service, service


@dataclass
class Talk:
    program: VoiceProgram
    sound: PacedSound
    there: Service
    line: Connection


def sound_of(ms: int, value: int = 1000) -> bytes:
    return np.full(RATE_HZ * ms // 1000, value, "<i2").tobytes()


async def without_cancel(connection: Connection) -> None:
    await connection.greet(audio={"input": {"turn_detection": {**VAD, "interrupt_response": False}}})


@asynccontextmanager
async def talking(
    clock: Clock,
    *scripts: Script | int,
    sound: PacedSound | None = None,
    tools: ToolRegistry | None = None,
    summarizer: Summarizer | None = None,
    is_text: bool = False,
    answers: bool = True,
    **settings: Any,
) -> AsyncIterator[Talk]:
    async with service(*scripts, answers=answers) as there:
        chosen: dict[str, Any] = {"provider": "antiphon", "openai_base_url": there.url, "realtime_model": "m"}
        chosen |= {"audio_backend": "null", "echo_mode": "raw", **settings}
        device = sound or PacedSound(clock=clock)
        program = VoiceProgram(
            load_voice_settings(env_file=None, **chosen),
            there.endpoint(),
            None if is_text else device,
            tools=tools,
            summarizer=summarizer,
            clock=clock,
        )
        async with program.opened():
            yield Talk(program, device, there, await there.connection(1))


async def arrived(talk: Talk) -> None:
    """What the service has sent is with the handlers, and what the client sends with the service."""
    await talk.line.send("rate_limits.updated")
    await talk.program.client.wait_for("rate_limits.updated", 5)
    for _ in range(20):
        await asyncio.sleep(0)


def summary_first(talk: Talk) -> None:
    """What comes next stands behind the last item, not behind a summary that was put first."""
    talk.line.items.sort(key=lambda known: not known.startswith("sum_"))


async def user_said(talk: Talk, item_id: str, words: str) -> None:
    summary_first(talk)
    await talk.line.hears(item_id, words)
    await arrived(talk)


async def answered(talk: Talk, number: int, words: str, *, tokens: int = 0, sound: bytes = b"") -> None:
    """A whole answer, at once."""
    summary_first(talk)
    response_id, item_id = f"r{number}", f"a{number}"
    await talk.line.begins(response_id, item_id)
    await talk.line.says(response_id, item_id, words, sound)
    where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
    await talk.line.send("response.output_audio_transcript.done", **where, transcript=words)
    await talk.line.ends(response_id, usage={"total_tokens": tokens} if tokens else None)
    await arrived(talk)
