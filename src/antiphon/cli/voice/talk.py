"""``antiphon run``: from a command line to a conversation."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.live import Live

from antiphon.agents.agent import Agent
from antiphon.cli.voice.keyboard import lines
from antiphon.cli.voice.view import LineView, live_view
from antiphon.errors import ConfigurationError
from antiphon.settings_voice import VoiceClientSettings, load_voice_settings
from antiphon.telemetry import setup_logging
from antiphon.transports.local.beside import beside
from antiphon.transports.local.contract import Sound
from antiphon.transports.local.paced import PacedSound
from antiphon.transports.local.sounddevices import SoundDevices
from antiphon.voice.configuration import endpoint_of
from antiphon.voice.numbers import metrics_served
from antiphon.voice.program import VoiceProgram

FRAMES_PER_S = 8
SESSION_S = 7 * 86_400.0
ANSWER_S = 60.0
GREETING_S = 1.0
"""So long an agent may take before it greets; the recording does not speak over it."""
QUIET_S = 2.0
"""After the recording the program waits until nobody has said anything for so long."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line says beside the settings.

    Attributes:
        is_text: Written in place of spoken.
        verbose: Show the settings.
        llm: Language model of agents that are served here.
    """

    is_text: bool = False
    verbose: bool = False
    llm: str | None = None


def run_voice(target: str | None, flags: Mapping[str, Any], options: RunOptions) -> None:
    """Hold a conversation with what is meant by ``target``.

    Args:
        target: A file, a folder or an address; the demo agent, or the provider's model, unless given.
        flags: Settings of the command line.
        options: What else it says.

    Raises:
        AntiphonException: It cannot begin, or cannot go on; the sentence says what to do.
    """
    is_address = target is not None and target.startswith(("ws://", "wss://", "http://", "https://"))
    given = dict(flags)
    if is_address:
        given |= {"openai_base_url": target, "provider": given.get("provider") or "antiphon"}
    elif target is not None:
        if given.get("provider") not in (None, "antiphon"):
            raise ConfigurationError("A file of agents is served by Antiphon: leave --provider out, or the file.")
        given["provider"] = "antiphon"
    settings = load_voice_settings(**given)
    is_json = settings.log_format == "json"
    # The conversation has the screen for itself unless somebody wants the log.
    wants_log = options.verbose or is_json or "log_level" in settings.model_fields_set
    setup_logging(settings.log_level if wants_log else "error", "json" if is_json else "console")
    if options.verbose:
        for name, value in settings.shown():
            typer.echo(f"{name}={value}", err=True)
    sound = None if options.is_text else sound_of(settings)
    agents = Path(target) if target is not None and not is_address else None
    is_elsewhere = is_address or flags.get("openai_base_url") is not None or _names_a_server(settings, flags)
    serves = settings.provider == "antiphon" and (agents is not None or not is_elsewhere)
    asyncio.run(_talk(settings, sound, agents, options, serves=serves))


def _names_a_server(settings: VoiceClientSettings, flags: Mapping[str, Any]) -> bool:
    """Whether the environment names an Antiphon server; an address alone may be meant for language models."""
    is_chosen = flags.get("provider") is None and "provider" in settings.model_fields_set
    return is_chosen and "openai_base_url" in settings.model_fields_set


def sound_of(settings: VoiceClientSettings) -> Sound:
    """The sound system that the settings name; its devices are looked for now.

    Raises:
        AudioDeviceError: A device is missing, or wrongly named.
    """
    if settings.audio_backend == "sounddevice":
        devices = SoundDevices(settings.input_device_id, settings.output_device_id)
        devices.check()
        return devices
    sound = PacedSound(output=settings.output_file)
    if settings.input_file is not None and not settings.input_file.is_file():
        raise ConfigurationError(f"There is no recording {settings.input_file}: give another file.")
    return sound


async def _talk(
    settings: VoiceClientSettings, sound: Sound | None, agents: Path | None, options: RunOptions, *, serves: bool
) -> None:
    console = Console()
    async with AsyncExitStack() as stack:
        if serves:
            settings = await stack.enter_async_context(served(settings, agents, options, console))
        program = VoiceProgram(settings, endpoint_of(settings), sound)
        if settings.metrics_port:
            stack.enter_context(metrics_served(program.client.metrics, settings.metrics_port))
        stack.enter_context(_stopped_by_signals(program))
        shows = console.is_terminal and not options.is_text
        if not shows:
            LineView(program)
        await stack.enter_async_context(program.opened())
        await stack.enter_async_context(beside(_feed(program, sound), "input"))
        if shows:
            await stack.enter_async_context(beside(_show(program, console), "view"))
        await program.stopped()


async def _show(program: VoiceProgram, console: Console) -> None:
    name = program.settings.realtime_model
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(live_view(program, name), refresh=True)
            await asyncio.sleep(1 / FRAMES_PER_S)


async def _feed(program: VoiceProgram, sound: Sound | None) -> None:
    """Give the conversation what does not come from a microphone; its end is the conversation's."""
    if sound is None:
        async for line in lines():
            if line.strip():
                await program.write(line.strip())
                await program.settled(ANSWER_S)
        program.stop()
    elif isinstance(sound, PacedSound) and program.settings.input_file is not None:
        await program.settled(ANSWER_S, quiet_s=GREETING_S)
        sound.say_file(program.settings.input_file)
        await sound.is_silent.wait()
        await program.settled(ANSWER_S, quiet_s=QUIET_S)
        program.stop()
    elif program.settings.turn_detection == "none":
        async for _ in lines():
            await program.commit()


@asynccontextmanager
async def served(
    settings: VoiceClientSettings, agents: Path | None, options: RunOptions, console: Console
) -> AsyncIterator[VoiceClientSettings]:
    """Answer on a free port of this machine; gives the settings that lead there."""
    # Only now: to talk with somebody else's service needs no server.
    from antiphon.server.agents import AgentBook
    from antiphon.server.greeting import PullBar
    from antiphon.server.run import running
    from antiphon.settings import load_settings

    chosen: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "dev": True, "log_level": "error", "llm": options.llm}
    # The only session of this server ends with the program: another one would be greeted again.
    chosen |= {"realtime_max_session_s": SESSION_S, "realtime_idle_s": 0.0}
    # The microphone and the models share this process: a late loop is no reason to refuse the only call.
    server = load_settings(**chosen, log_format="console", max_loop_lag_ms=10_000.0)
    book = AgentBook.at(agents, scenario=server.scenario) if agents is not None else AgentBook([_demo_agent()])
    async with AsyncExitStack() as stack:
        with closing(PullBar(console)) as bar, console.status("loading the models"):
            up = await stack.enter_async_context(running(book, server, on_progress=bar))
        models = up.board.models
        if models is not None and models.llm.notice:
            typer.echo(models.llm.notice, err=True)
        name = settings.realtime_model if "realtime_model" in settings.model_fields_set else book.agents[0].name
        there = {
            "openai_base_url": f"http://127.0.0.1:{up.port}/v1?antiphon=1",
            "realtime_model": name,
            "openai_api_key": None,
        }
        yield settings.model_copy(update=there)


@contextmanager
def _stopped_by_signals(program: VoiceProgram) -> Iterator[None]:
    """The first ctrl-c ends the conversation in order, the second at once."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        program.stop()

    try:
        loop.add_signal_handler(signal.SIGINT, stop)
    except NotImplementedError:
        yield  # On Windows ctrl-c cancels the program's task, which ends it in order too.
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _demo_agent() -> Agent:
    from antiphon.demo.agent import agent

    return agent
