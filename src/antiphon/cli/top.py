"""``antiphon top``: a running server, looked at from outside, by its metrics and the stream of its calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import httpx
import msgspec
import typer
from rich.console import Console
from rich.live import Live

from antiphon.cli.top_figures import Figures, Snapshot, snapshot_of
from antiphon.cli.top_view import view
from antiphon.clock import WallClock
from antiphon.errors import ConfigurationError
from antiphon.settings import load_settings

TIMEOUT_S = 5.0
RETRY_S = 1.0
KEEP_ENDED = 5
"""Calls that are shown a while longer after their end."""


def top(
    url: Annotated[str, typer.Option(help="The server's address.")] = "http://127.0.0.1:8000",
    key: Annotated[str | None, typer.Option(help="API key; the first of ANTIPHON_API_KEYS unless given.")] = None,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Watch a running server: its calls, how fast it answers, its event loop and what it dropped; ctrl-c ends."""
    if key is None:
        keys = load_settings().api_keys
        key = keys[0].get_secret_value() if keys else None
    console = Console()
    with suppress(KeyboardInterrupt):
        if as_json:
            typer.echo(msgspec.json.encode(asyncio.run(_look_once(url, key))).decode())
        elif console.is_terminal:
            asyncio.run(_watch(url, key, console, interval_s=interval))
        else:  # nobody looks on: a picture is enough
            console.print(view(asyncio.run(_look_once(url, key))))


async def _look_once(url: str, key: str | None) -> Snapshot:
    async with _client(url, key) as http:
        figures = await _figures(http)
        body = msgspec.json.decode((await _get(http, "/v1/calls?limit=1")).content)
    calls = [call for call in body["calls"] if call["state"] == "live"]
    return snapshot_of(url, figures, calls)


async def _watch(url: str, key: str | None, console: Console, *, interval_s: float) -> None:
    """Look again and again. Only the first look may fail: a server that goes away may come back."""
    clock = WallClock()
    calls: dict[str, Mapping[str, Any]] = {}
    async with _client(url, key) as http:
        shown = snapshot_of(url, await _figures(http), [])
        with Live(view(shown), console=console, screen=True, auto_refresh=False) as live:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_follow(http, calls, clock), name="calls")
                while True:
                    try:
                        shown = snapshot_of(url, await _figures(http), list(calls.values()))
                        live.update(view(shown), refresh=True)
                    except ConfigurationError as error:
                        live.update(view(shown, trouble=str(error)), refresh=True)
                    await clock.sleep(interval_s)


async def _follow(http: httpx.AsyncClient, calls: dict[str, Mapping[str, Any]], clock: WallClock) -> None:
    """Keep the sums of the calls that go on, and of a few that have just ended."""
    while True:
        with suppress(httpx.HTTPError):
            # A comment comes every 15 s, so a stream that is silent for longer is dead.
            async with http.stream("GET", "/v1/calls/stream", timeout=httpx.Timeout(TIMEOUT_S, read=30.0)) as told:
                calls.clear()
                async for line in told.aiter_lines():
                    if line.startswith("data: "):
                        note(calls, msgspec.json.decode(line.removeprefix("data: ")))
        await clock.sleep(RETRY_S)


def note(calls: dict[str, Mapping[str, Any]], call: Mapping[str, Any]) -> None:
    """Take the news of a call; the oldest of those that have ended give way."""
    calls.pop(call["id"], None)
    calls[call["id"]] = call
    ended = [name for name, each in calls.items() if each["state"] == "ended"]
    for name in ended[:-KEEP_ENDED]:
        del calls[name]


def _client(url: str, key: str | None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False)


async def _figures(http: httpx.AsyncClient) -> Figures:
    figures = Figures((await _get(http, "/metrics")).text)
    if not figures.has("antiphon_calls_live"):
        raise ConfigurationError(f"The server at {http.base_url} is no Antiphon: name the right one with --url.")
    return figures


async def _get(http: httpx.AsyncClient, path: str) -> httpx.Response:
    try:
        answer = await http.get(path)
    except httpx.InvalidURL:
        raise ConfigurationError(f"{http.base_url} is no address: give --url such as http://127.0.0.1:8000.") from None
    except httpx.HTTPError as error:
        raise ConfigurationError(
            f"Nothing answers at {http.base_url} ({type(error).__name__}): start `antiphon serve`, or name the server "
            "with --url."
        ) from None
    if answer.status_code in (401, 403):
        raise ConfigurationError(
            f"The server at {http.base_url} wants an API key: give --key, or set ANTIPHON_API_KEYS."
        )
    if answer.status_code != 200:
        raise ConfigurationError(
            f"{http.base_url} answered {answer.status_code} for {path}: is it an Antiphon? Name the server with --url."
        )
    return answer
