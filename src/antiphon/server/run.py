"""From settings and agents to a process that answers calls."""

from __future__ import annotations

import asyncio
import gc
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from rich.console import Console

from antiphon.agents.agent import Agent
from antiphon.agents.observability import enable_instrumentation
from antiphon.agents.scenarios.load import Catalog
from antiphon.clock import WallClock
from antiphon.errors import ConfigurationError
from antiphon.models.catalog import Models
from antiphon.models.weights.store import OnProgress
from antiphon.server.agents import AgentBook
from antiphon.server.app import create_app
from antiphon.server.auth import ApiKeys, check_openness, is_loopback
from antiphon.server.drain import DrainingServer
from antiphon.server.greeting import PullBar, print_start
from antiphon.server.policy import policy_from
from antiphon.server.sockets import DirectWebSocketProtocol
from antiphon.server.switchboard import Switchboard
from antiphon.server.warming import load_and_warm, warm_agents
from antiphon.settings import Settings, load_settings
from antiphon.telemetry import setup_logging, setup_tracing

FRAME_LIMIT = 1 << 20

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        board: Its calls.
        port: Where it listens.
        server: uvicorn's; ``drain()`` ends it.
        serving: Its task.
    """

    board: Switchboard
    port: int
    server: DrainingServer
    serving: asyncio.Task[None]


def serve(
    agents: Agent | Sequence[Agent] | Catalog | str | Path,
    *,
    settings: Settings | None = None,
    reload: bool = False,
    **options: Any,
) -> None:
    """Answer calls until the process is told to stop.

    Args:
        agents: Who answers: agents, a catalog of agents and scenarios, or the file or folder that holds them.
        settings: All settings; read from the environment unless given.
        reload: Load the file again when it changes.
        options: Settings that win over the environment: ``host``, ``port``, ``dev``, ``llm`` and so on.

    Raises:
        AntiphonException: Something that the user configured cannot work; the sentence says what to do.
    """
    settings = settings or load_settings(**options)
    scrubs = settings.redact != "off"
    setup_logging(settings.log_level, settings.log_format, scrubs=scrubs)
    if setup_tracing(settings):
        enable_instrumentation(content=settings.otel_content, scrubs=scrubs)
    book = _book(agents, settings.scenario)
    with asyncio.Runner(loop_factory=_new_loop()) as runner:
        runner.run(_serve(book, settings, reload=reload))


async def _serve(book: AgentBook, settings: Settings, *, reload: bool) -> None:
    """The life of a process that only serves."""
    console = Console()
    async with AsyncExitStack() as stack:
        with closing(PullBar(console)) as bar, console.status("loading the models; calls are taken when they are warm"):
            server = await stack.enter_async_context(running(book, settings, handle_signals=True, on_progress=bar))
        if not server.board.admission.ready:
            return  # Told to stop before it was ready.
        gc.collect()
        gc.freeze()  # What is there now stays for good: the collector need not look at it again.
        print_start(console, server.board, server.port)
        if reload:
            board = server.board
            watching = book.watch(board.clock, partial(warm_agents, board), board.close_unused_sources)
            watcher = asyncio.create_task(watching, name="agents")
            stack.callback(watcher.cancel)
        await server.serving


@asynccontextmanager
async def running(
    book: AgentBook,
    settings: Settings,
    *,
    handle_signals: bool = False,
    on_progress: OnProgress | None = None,
    models: Models | None = None,
    keep_files: bool = True,
) -> AsyncIterator[Running]:
    """A server on the running loop. Its sockets are open at once; the body begins when calls are taken.

    Args:
        book: Who answers.
        settings: All settings.
        handle_signals: Whether signals to the process drain this server.
        on_progress: Told about weights that are fetched.
        models: In place of those that the settings name.
        keep_files: Whether calls leave files.

    Raises:
        AntiphonException: The port is taken, a model is missing, or the settings contradict each other.
    """
    board = make_board(book, settings, keep_files=keep_files)
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    server = DrainingServer(_uvicorn_config(board), board, drain_s=settings.drain_s, handle_signals=handle_signals)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="server")
    _log.debug("listening", host=settings.host, port=port)
    try:
        await _until_ready(board, serving, models, on_progress)
        yield Running(board, port, server, serving)
    finally:
        server.should_exit = True
        await asyncio.wait([serving])
        await board.aclose()
        listener.close()


async def _until_ready(
    board: Switchboard, serving: asyncio.Task[None], models: Models | None, on_progress: OnProgress | None
) -> None:
    """Load and warm the models, unless the server is told to stop meanwhile."""
    work = asyncio.create_task(load_and_warm(board, models, on_progress), name="models")
    try:
        await asyncio.wait([work, serving], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            board.models_ready(work.result())
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait([work])


def make_board(book: AgentBook, settings: Settings, *, keep_files: bool = True) -> Switchboard:
    """The switchboard that the settings describe.

    Raises:
        ConfigurationError: It would be open to strangers, or shut to everybody.
    """
    check_openness(settings.host, dev=settings.dev)
    _check_data_dir(settings.data_dir)
    _check_ice_servers(settings)
    keys = [key.get_secret_value() for key in settings.api_keys]
    has_carrier = any(
        (settings.twilio_auth_token, settings.plivo_auth_token, settings.acs_audience, settings.audiohook_secrets)
    )
    if not settings.dev and not keys and not has_carrier and not is_loopback(settings.host):
        raise ConfigurationError(
            f"Nobody could call this server on {settings.host}: set ANTIPHON_API_KEYS, or TWILIO_AUTH_TOKEN, "
            "PLIVO_AUTH_TOKEN, ANTIPHON_ACS_AUDIENCE or ANTIPHON_AUDIOHOOK_SECRETS for a carrier."
        )
    own_key = f"ant_{secrets.token_hex(16)}" if not settings.dev and not keys and not has_carrier else None
    return Switchboard(
        settings,
        book,
        policy=policy_from(settings),
        keys=ApiKeys([*keys, own_key] if own_key else keys, dev=settings.dev),
        clock=WallClock(),
        keep_files=keep_files and settings.models != "bench",
        own_key=own_key,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigurationError: The port is taken, or the address is not ours.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise ConfigurationError(f"{host} is no address of this machine: {exc.strerror}.") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        raise ConfigurationError(
            f"Port {port} of {host} cannot be used ({exc.strerror}): end the program that has it, or choose another "
            "one with --port."
        ) from exc
    return listener


def _uvicorn_config(board: Switchboard) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(board),
        http="httptools",
        ws=DirectWebSocketProtocol,
        ws_max_size=FRAME_LIMIT,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
        forwarded_allow_ips="127.0.0.1",
    )


def _check_ice_servers(settings: Settings) -> None:
    if not settings.webrtc_ice_servers:
        return
    try:
        from antiphon.transports.webrtc.ice import ice_servers
    except ImportError as exc:
        raise ConfigurationError(
            "ANTIPHON_WEBRTC_ICE_SERVERS is set, and WebRTC is not installed: pip install 'antiphon[webrtc]'."
        ) from exc
    ice_servers([address.get_secret_value() for address in settings.webrtc_ice_servers])


def _check_data_dir(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise ConfigurationError(
            f"Nothing can be written to {folder} ({exc.strerror}): set ANTIPHON_DATA_DIR to a folder of yours."
        ) from exc


def _book(agents: Agent | Sequence[Agent] | Catalog | str | Path, scenario: str | None) -> AgentBook:
    if isinstance(agents, (str, Path)):
        return AgentBook.at(agents, scenario=scenario)
    if isinstance(agents, Catalog):
        return AgentBook(agents.agents, scenarios=agents.scenarios, scenario=scenario)
    return AgentBook([agents] if isinstance(agents, Agent) else agents, scenario=scenario)


def _new_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
