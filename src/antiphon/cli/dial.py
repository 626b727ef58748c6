"""``antiphon dial``: have a server call somebody, and read along."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import typer
from rich.console import Console
from rich.text import Text

from antiphon.calls.log import Entry
from antiphon.cli.transcript import Row, Transcript
from antiphon.errors import ConfigurationError, IntegrationUnavailableException
from antiphon.settings import load_settings

TIMEOUT_S = 20.0
SILENCE_S = 40.0
"""The server gives a sign of life every 15 s: a stream that is silent for longer is dead."""

_COLOURS = {"caller": "cyan", "agent": "green", "note": "dim"}
_NAMES = {"caller": "them", "agent": "agent", "note": ""}


def dial_number(wanted: Mapping[str, Any], context: Sequence[str], *, url: str, key: str | None, as_json: bool) -> None:
    """Have somebody called, and show the call to its end.

    Args:
        wanted: The fields of ``POST /v1/calls``; those that are None are left out.
        context: Values for the conversation, as ``name=value``.
        url: The server's address.
        key: API key; the first of the settings unless given.
        as_json: Print one JSON document and nothing else.

    Raises:
        AntiphonException: The server cannot be reached, or refuses the call.
    """
    if key is None:
        keys = load_settings().api_keys
        key = keys[0].get_secret_value() if keys else None
    fields = {name: value for name, value in wanted.items() if value is not None}
    fields["context"] = dict(_pair(each) for each in context)
    view = DialView(Console(stderr=as_json, quiet=as_json))
    asyncio.run(dial(fields, view, url=url, key=key))
    if as_json:
        typer.echo(msgspec.json.encode(view.result()).decode())
    if view.state.get("status") == "failed":
        raise typer.Exit(1)


class DialView:
    """Shows a call line by line: how far it is, then what is said.

    Args:
        console: Where.

    Attributes:
        state: How far the call is, as the server tells it.
        transcript: What was said.
    """

    def __init__(self, console: Console) -> None:
        self.state: dict[str, Any] = {}
        self.transcript = Transcript()
        self._console = console
        self._shown: set[int] = set()

    def made(self, state: dict[str, Any]) -> None:
        """The server has taken the command."""
        self.state = state
        numbers = f"{state['target_number']} from {state['caller_id']}"
        self.note(f"calling {numbers}: {state['agent']} over {state['carrier']} ({state['call_id']})")

    def became(self, state: dict[str, Any]) -> None:
        """The call is a step further."""
        if state["status"] != self.state.get("status"):
            if state["status"] == "failed":
                why = state["message"] or str(state["reason"]).replace("_", " ")
                self._console.print(f"not reached: {why}", style="red", highlight=False)
            elif state["status"] != "initiating":
                self.note(state["status"])
        self.state = state

    def read(self, entry: Entry) -> None:
        """Something was told in the call's log."""
        self.transcript.read(entry)
        for number, row in enumerate(self.transcript.rows):
            if row.is_final and number not in self._shown:
                self._shown.add(number)
                self._show(row)

    def note(self, text: str) -> None:
        """Tell something about the call."""
        self._console.print(text, style="dim", highlight=False, soft_wrap=True)

    def result(self) -> dict[str, Any]:
        """All of it."""
        ended = self.transcript.ended
        over = {} if ended is None else {"status": "disconnected", "reason": ended.reason}
        rows = [{"at_s": row.at_s, "who": row.who, "text": row.text} for row in self.transcript.rows if row.is_final]
        return {**self.state, **over, "transcript": rows}

    def _show(self, row: Row) -> None:
        line = Text.assemble((f"{row.at_s:7.1f}  ", "dim"), (f"{_NAMES[row.who]:<6}", _COLOURS[row.who]), row.text)
        if row.unheard:
            line.append(f" ⟨not heard: {row.unheard}⟩", "dim")
        self._console.print(line, soft_wrap=True)


async def dial(wanted: Mapping[str, Any], view: DialView, *, url: str, key: str | None) -> None:
    """Have somebody called, and tell ``view`` what happens, to the end. Ctrl-c hangs up; a second one leaves at once.

    Raises:
        AntiphonException: The server cannot be reached, or refuses the call.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as http:
        made = await _ask(http, "/v1/calls", wanted)
        view.made(made)
        path = f"/v1/calls/{made['call_id']}"
        async with _interrupts() as interrupted:
            ending = asyncio.create_task(_hang_up(http, path, interrupted, view), name="hang up")
            try:
                await _follow(http, path, view)
            finally:
                ending.cancel()
                await asyncio.wait([ending])


async def _follow(http: httpx.AsyncClient, path: str, view: DialView) -> None:
    """Read the call's events to the end."""
    try:
        timeout = httpx.Timeout(TIMEOUT_S, read=SILENCE_S)
        async with http.stream("GET", f"{path}/events", timeout=timeout) as events:
            name = ""
            async for line in events.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    _take(name, msgspec.json.decode(line.removeprefix("data: ")), view)
    except httpx.HTTPError as error:
        raise IntegrationUnavailableException(
            f"The server at {http.base_url} does not tell any more about the call ({type(error).__name__}): see there "
            f"what comes of {path}."
        ) from error


def _take(name: str, told: dict[str, Any], view: DialView) -> None:
    if name == "status":
        view.became(told)
    elif (entry := Entry.from_dict(told)) is not None:
        view.read(entry)


async def _hang_up(http: httpx.AsyncClient, path: str, interrupted: asyncio.Event, view: DialView) -> None:
    await interrupted.wait()
    view.note("hanging up; ctrl-c again leaves at once")
    try:
        await http.post(f"{path}/terminate")  # A call that is over already is what was wanted.
    except httpx.HTTPError as error:
        view.note(f"the server did not take the command to hang up ({type(error).__name__})")


@asynccontextmanager
async def _interrupts() -> AsyncIterator[asyncio.Event]:
    """Set by the first ctrl-c; the second one ends the program as usual."""
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()

    def first() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        interrupted.set()

    loop.add_signal_handler(signal.SIGINT, first)
    try:
        yield interrupted
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _ask(http: httpx.AsyncClient, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        answer = await http.post(path, json=body)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise ConfigurationError(f"{http.base_url} is no address: give --url such as http://127.0.0.1:8000.") from None
    except httpx.HTTPError as error:
        raise ConfigurationError(
            f"Nothing answers at {http.base_url} ({type(error).__name__}): start `antiphon serve`, or name the server "
            "with --url."
        ) from None
    if answer.status_code == 202:
        made: dict[str, Any] = answer.json()
        return made
    if answer.status_code in (401, 403):
        raise ConfigurationError(f"The server at {http.base_url} wants an API key: give --key.")
    raise ConfigurationError(_detail(answer))


def _detail(answer: httpx.Response) -> str:
    """The server's own words, as one sentence."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answered {answer.status_code}: is it an Antiphon? Name the server with --url."
    if isinstance(detail, str):
        return detail
    faults = [f"{each['loc'][-1]}: {each['msg']}" for each in detail]
    return "; ".join(faults) + "."


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigurationError(f"{text!r} is no value for the conversation: write --context name=value.")
    return name, value
