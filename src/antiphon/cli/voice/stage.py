"""A scripted server, a line to it that can be cut, and the whole voice program with silent sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.audio.tones import sine
from antiphon.models.catalog import Models
from antiphon.models.llm.scripted import Script, ScriptedChatClient
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from antiphon.server.agents import AgentBook
from antiphon.server.run import Running, running
from antiphon.settings import load_settings
from antiphon.settings_voice import load_voice_settings
from antiphon.transports.local.mic import RATE_HZ
from antiphon.transports.local.paced import PacedSound
from antiphon.voice.configuration import endpoint_of
from antiphon.voice.program import VoiceProgram
from antiphon.voice.summaries import Summarizer
from antiphon.voice.tools import ToolRegistry

AGENT = "desk"
ANSWER_S = 12.0
POLL_S = 0.02


class Failed(Exception):
    """A scenario found something else than it should."""


def check(condition: bool, reason: str) -> None:
    """Fail with a reason unless the condition holds."""
    if not condition:
        raise Failed(reason)


class Wire:
    """A port of this machine that leads to another one, until it is cut.

    Args:
        port: Where it leads.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Wire]:
        """Lead connections on while the body runs."""
        server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Break all connections off, without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, there[1]}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, there[1]))
                tasks.create_task(_copy(there[0], writer))
        finally:
            self._writers -= {writer, there[1]}
            for each in (writer, there[1]):
                each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()
    except OSError:
        writer.transport.abort()


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation on the stage.

    Attributes:
        program: The user's side.
        sound: What the user's microphone hears.
        model: The agent's language model.
        server: The agent's server.
        wire: Between the two.
    """

    program: VoiceProgram
    sound: PacedSound
    model: ScriptedChatClient
    server: Running
    wire: Wire

    def speak(self, ms: float = 700) -> None:
        """The user makes a sound that counts as speech."""
        self.sound.say(sine(220, ms, rate_hz=RATE_HZ, amplitude=0.3))

    async def until(self, condition: Callable[[], bool], reason: str, timeout_s: float = ANSWER_S) -> None:
        """Wait until a condition holds; fail with the reason when it does not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():  # noqa: ASYNC110  # any condition may be asked for: none has an event
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise Failed(reason) from None

    async def answered(self, answers: int) -> None:
        """Wait until so many answers are over, and heard."""
        metrics = self.program.client.metrics
        await self.until(
            lambda: metrics.total("responses_total") >= answers and self.program.is_idle,
            f"there were only {metrics.total('responses_total')} answers of {answers}",
        )

    def words(self, role: str) -> list[str]:
        """What was said by one side."""
        return [turn.text or "" for turn in self.program.client.conversation.turns if turn.role == role]

    def told(self) -> str:
        """All that the model read last."""
        return "\n".join(message.text for message in self.model.requests[-1].messages)


class Stage:
    """Where conversations are held.

    Args:
        folder: For what the server writes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def serving(
        self, script: Script, *, heard: Sequence[str] = ("Hello there.",), greeting: str = "", **options: Any
    ) -> AsyncIterator[tuple[Running, ScriptedChatClient]]:
        """A server whose agent follows a script.

        Args:
            script: What the model says.
            heard: What the recogniser understands, utterance by utterance.
            greeting: The agent's first words.
            options: Settings of the server.
        """
        model = ScriptedChatClient(script)
        models = Models(
            vad=EnergyVAD(),
            stt=ScriptedSTT(list(heard)),
            llm=model,
            tts=ScriptedTTS(ms_per_char=40, rate_hz=RATE_HZ, chunk_s=0.2),
            turn=None,
        )
        settings = load_settings(
            env_file=None,
            **{
                "host": "127.0.0.1",
                "port": 0,
                "dev": True,
                "data_dir": self._folder,
                "log_level": "error",
                "max_loop_lag_ms": 10_000.0,
                **options,
            },
        )
        agents = AgentBook([Agent(AGENT, greeting=greeting)])
        async with running(agents, settings, models=models, keep_files=False) as up:
            yield up, model

    @asynccontextmanager
    async def talk(
        self,
        script: Script,
        *,
        heard: Sequence[str] = ("Hello there.",),
        greeting: str = "",
        tools: ToolRegistry | None = None,
        summarizer: Summarizer | None = None,
        server: dict[str, Any] | None = None,
        **settings: Any,
    ) -> AsyncIterator[Talk]:
        """The whole program in a conversation with the agent.

        Args:
            script: What the model says.
            heard: What the recogniser understands.
            greeting: The agent's first words.
            tools: Functions of the program.
            summarizer: Writes summaries.
            server: Settings of the server.
            settings: Settings of the program.
        """
        async with AsyncExitStack() as stack:
            up, model = await stack.enter_async_context(
                self.serving(script, heard=heard, greeting=greeting, **(server or {}))
            )
            wire = await stack.enter_async_context(Wire(up.port).opened())
            base_url = f"http://127.0.0.1:{wire.port}/v1{'?antiphon=1' if greeting else ''}"
            chosen: dict[str, Any] = {
                "provider": "antiphon",
                "openai_base_url": base_url,
                "realtime_model": AGENT,
                "audio_backend": "null",
                "echo_mode": "raw",
                "turn_detection": "server_vad",
                "reconnect_base_s": 0.1,
                **settings,
            }
            voice = load_voice_settings(env_file=None, **chosen)
            sound = PacedSound()
            program = VoiceProgram(voice, endpoint_of(voice), sound, tools=tools, summarizer=summarizer)
            await stack.enter_async_context(program.opened())
            yield Talk(program, sound, model, up, wire)
