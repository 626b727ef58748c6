"""One loop from the user's lines to the agent's answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec

from antiphon.agents.agent import Agent, Input
from antiphon.agents.models import client_of
from antiphon.agents.responses import AgentResponse
from antiphon.agents.scenarios.load import load_catalog
from antiphon.agents.session import AgentSession
from antiphon.agents.stream import ResponseStream
from antiphon.cli.chat.lines import Lines, Typed, piped, typed
from antiphon.cli.chat.views import JsonView, TextView, View
from antiphon.errors import AntiphonException, ConfigurationError
from antiphon.models.catalog import close_clients
from antiphon.models.llm.content import ApprovalRequest, ApprovalResponse
from antiphon.telemetry import setup_logging


def run_chat(
    path: Path,
    *,
    agent: str | None,
    scenario: str | None,
    messages: Sequence[str] | None,
    llm: str | None,
    session_file: Path | None,
    approve_all: bool,
    as_json: bool,
) -> bool:
    """Talk with an agent; gives whether every turn went well."""
    setup_logging("warning")
    agents = load_catalog(path).team(scenario)
    if llm is not None:
        agents = tuple(each.replace(model=llm) for each in agents)
    chosen = _chosen(agents, agent)
    view: View = JsonView() if as_json else TextView()
    talk = _Talk(chosen, agents, view, session_file=session_file, approve_all=approve_all)
    return asyncio.run(talk.run(messages))


def _chosen(agents: Sequence[Agent], name: str | None) -> Agent:
    if name is None:
        return agents[0]
    for agent in agents:
        if agent.name.casefold() == name.casefold():
            return agent
    known = ", ".join(agent.name for agent in agents)
    raise ConfigurationError(f"There is no agent {name!r} here; choose one of {known}.")


class _Talk:
    """A conversation at the terminal.

    Args:
        agent: Who answers first.
        agents: All that handoffs may name.
        view: Where it is shown.
        session_file: Where the conversation is kept.
        approve_all: Approve every call without asking.
    """

    def __init__(
        self, agent: Agent, agents: Sequence[Agent], view: View, *, session_file: Path | None, approve_all: bool
    ) -> None:
        self._agent = agent
        self._agents = agents
        self._view = view
        self._file = session_file
        self._approve_all = approve_all
        self._session = AgentSession(agents=agents)
        self._lines: Lines | None = None
        self._ok = True

    async def run(self, messages: Sequence[str] | None) -> bool:
        """Talk until there is nothing more to say; gives whether every turn went well."""
        try:
            await self._restore()
            client = client_of(self._agent)
            self._view.begin(self._agent, client)
            with self._view.waiting(f"Getting {client.name} ready"):
                await client.warm()
            if messages:
                for text in messages:
                    self._view.said(text, shown=True)
                    await self._turn(text)
                return self._ok
            self._lines = typed() if sys.stdin.isatty() else piped()
            async for text in _all(self._lines):
                if not self._lines.is_typed:
                    self._view.said(text, shown=True)
                if await self._command(text):
                    continue
                await self._turn(text)
            return self._ok
        finally:
            await self._session.aclose()
            await close_clients()

    async def _command(self, text: str) -> bool:
        """What begins with a slash is for the program."""
        if text == "/reset":
            await self._session.aclose()
            self._session = AgentSession(agents=self._agents)
        elif text == "/help":
            self._view.note("/reset forgets the conversation, /quit or ctrl-d ends it, ctrl-c interrupts an answer.")
        elif text != "/quit":
            return False
        else:
            assert self._lines is not None
            self._lines.end()
        return True

    async def _turn(self, said: Input) -> None:
        """One turn, with the approvals that it asks for."""
        try:
            response = await self._answer(said)
            while response is not None and response.user_input_requests:
                answers = [await self._decide(request) for request in response.user_input_requests]
                response = await self._answer(answers)
        except AntiphonException as error:
            self._ok = False
            self._view.failed(error)
        await self._keep()

    async def _answer(self, said: Input) -> AgentResponse | None:
        """Show an answer as it comes; None when it was interrupted."""
        stream = self._agent.run(said, stream=True, session=self._session)
        interrupted = asyncio.Event()
        with _on_interrupt(stream, interrupted):
            async for update in stream:
                self._view.update(update)
            response = await stream.get_final_response()
        if interrupted.is_set():
            self._view.interrupted()
            return None
        self._view.ended(response)
        return response

    async def _decide(self, request: ApprovalRequest) -> ApprovalResponse:
        """Ask the user, where there is one to ask."""
        if self._approve_all:
            return request.approve()
        if not isinstance(self._lines, Typed):
            return request.reject("nobody was there to approve it")
        answer = await self._lines.ask(f"Run {request.prompt}? [y]es, [a]lways, [n]o: ")
        if answer.startswith("a"):
            return request.approve("session")
        return request.approve() if answer.startswith("y") else request.reject("the user said no")

    async def _restore(self) -> None:
        if self._file is None or not self._file.exists():
            return
        try:
            kept = msgspec.json.decode(await asyncio.to_thread(self._file.read_bytes))
            self._session = AgentSession.from_dict(kept)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{self._file} is no conversation ({error}); name another file.") from None
        self._session.agents = self._agents
        self._view.note(f"Going on with {self._file}: {len(self._session.messages)} messages.")

    async def _keep(self) -> None:
        if self._file is not None:
            kept = msgspec.json.encode(self._session.to_dict())
            await asyncio.to_thread(_write, self._file, kept)


def _write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    os.replace(part, file)


async def _all(lines: Lines) -> AsyncIterator[str]:
    while (line := await lines.next()) is not None:
        if line.strip():
            yield line.strip()


@contextlib.contextmanager
def _on_interrupt(stream: ResponseStream, interrupted: asyncio.Event) -> Iterator[None]:
    """Let ctrl-c end the answer and not the program."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def interrupt() -> None:
        if not interrupted.is_set():
            interrupted.set()
            tasks.add(loop.create_task(stream.interrupt()))

    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except NotImplementedError:  # not on Windows: there ctrl-c ends the program
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
