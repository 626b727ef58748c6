"""A real Antiphon server with scripted models, in a process of its own: it hears, thinks and speaks by ``script.py``.

    .venv/bin/python -m tests.clients.server PROMPTS

Voice activity is Silero's, on real recordings. Writes its port to standard output, and what the language model is
asked to the file PROMPTS, one JSON object a request; ends when standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from antiphon.agents.agent import Agent
from antiphon.clock import WallClock
from antiphon.models.catalog import Models, load_vad
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.server.agents import AgentBook
from antiphon.server.run import running
from antiphon.settings import load_settings
from antiphon.telemetry import setup_logging
from tests.clients import script


def price_of(treatment: str) -> str:
    """What a treatment costs."""
    return script.PRICE if treatment == "cleaning" else "unknown"


def reply(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
    """The script's answer to the last message."""
    last = messages[-1]
    if last.role == "tool":
        return f"I found this out: {last.text}."
    said = last.text
    if said == script.ASK_STORY:
        return Reply(script.STORY, token_s=script.STORY_TOKEN_S)
    if said == script.ASK_WEATHER and any(tool.name == script.WEATHER_TOOL for tool in options.tools):
        return Reply(calls=(call(script.WEATHER_TOOL, city=script.WEATHER_CITY),))
    if said == script.ASK_SUM:
        return Reply(calls=(call(script.SUM_TOOL, a=2, b=3),))
    if said == script.ASK_PRICE:
        return Reply(calls=(call("price_of", treatment="cleaning"),))
    if script.ASK_NAME in said:
        known = any(script.TELL_NAME in message.text for message in messages)
        return f"Your name is {script.NAME}." if known else "You have not told me your name."
    return {script.MORNING: script.GREETED, script.HEARD: script.ON_SUNDAY}.get(said, f"You said: {said}")


async def serve(prompts: Path) -> None:
    """Answer until standard input ends."""

    def recorded(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
        asked = {
            "messages": [{"role": message.role, "text": message.text} for message in messages],
            "tools": [tool.name for tool in options.tools],
        }
        with prompts.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asked) + "\n")
        return reply(messages, options)

    vad = await load_vad("silero", load_settings(), clock=WallClock())
    models = Models(
        vad=vad,
        stt=ScriptedSTT([script.HEARD], words_per_partial=1),
        llm=ScriptedChatClient(recorded),
        tts=ScriptedTTS(ms_per_char=script.MS_PER_CHAR, word_timings=True),
        turn=None,
    )
    agent = Agent(script.AGENT, "You answer the phone of a dental clinic.", tools=[price_of])
    with tempfile.TemporaryDirectory() as data:
        settings = load_settings(env_file=None, port=0, api_keys=script.KEY, data_dir=data, max_loop_lag_ms=10_000)
        async with running(AgentBook([agent]), settings, models=models, keep_files=False) as up:
            print(up.port, flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    setup_logging("INFO", "json")
    asyncio.run(serve(Path(sys.argv[1])))
