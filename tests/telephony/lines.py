"""A caller on a carrier's socket, and the call's log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from antiphon.agents.agent import Agent
from antiphon.calls.log import Entry
from antiphon.models.catalog import Models
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as asks
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from antiphon.server.run import Running
from antiphon.tools.prebuilt import end_call
from antiphon.tools.transfer import transfer_call
from antiphon.wire.caller import MediaCaller
from tests.server.harness import SILENCE, SPEECH, phone, start_stream, until
from tests.server.test_telephony_audiohook import dial, genesys

BILLING = "+493023125012"
OURS = "+493023125099"


def desk(*, kind: str = "blind", ends: bool = False) -> tuple[Agent, Models]:
    """An agent that transfers, or ends the call, when it is spoken to, and its models."""

    def think(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        if messages[-1].role == "tool":
            return f"I was told: {messages[-1].text}"
        if ends:
            return Reply(calls=(asks("end_call", goodbye="Bye."),))
        wish = {"destination": "billing", "reason": "a bill", "type": kind, "context_summary": "Ms Doe has a bill."}
        return Reply(calls=(asks("transfer_call", **wish, hold_text="Hold on."),))

    tools = [transfer_call({"billing": BILLING}), end_call]
    models = Models(
        vad=EnergyVAD(),
        stt=ScriptedSTT(["Billing, please."]),
        llm=ScriptedChatClient(think),
        tts=ScriptedTTS(seconds=0.3),
        turn=None,
    )
    return Agent("desk", "Answer.", tools=tools), models


class Caller:
    """Somebody on the telephone.

    Attributes:
        socket: The carrier's media socket.
        wire: The carrier's side of it.
        told: The entries of the call's log.
        received: What the server has sent.
        messages: Its text.
        closed: Set when the socket is.
    """

    def __init__(self, socket: ClientConnection, wire: MediaCaller) -> None:
        self.socket = socket
        self.wire = wire
        self.told: list[Entry] = []
        self.received: list[Any] = []
        self.messages: list[str] = []
        self.closed = asyncio.Event()

    async def speak(self) -> None:
        """Say something, and wait."""
        for frame in [SPEECH] * 30 + [SILENCE] * 60:
            message = self.wire.media(frame)
            if message is not None:
                await self.socket.send(message)
            await asyncio.sleep(0.004)

    async def listen(self) -> None:
        """Take what the server sends, to the end."""
        try:
            async for message in self.socket:
                if isinstance(message, str):
                    self.messages.append(message)
                event = self.wire.receive(message)
                self.received.append(event)
                if type(event).__name__ == "Ending":
                    await self.leave()
        except ConnectionClosed:
            pass
        self.closed.set()

    async def leave(self) -> None:
        """The carrier ends the stream: the caller hung up, or is moved."""
        last = self.wire.closing()
        if last is not None:
            await self.socket.send(last)
        if self.wire.name != "audiohook":
            await self.socket.close()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What was told of a kind."""
        return [entry.to_dict() for entry in self.told if entry.event.type == kind]

    async def until(self, kind: str) -> dict[str, Any]:
        """Wait for the first event of a kind."""
        await until(lambda: bool(self.events(kind)))
        return self.events(kind)[0]


@asynccontextmanager
async def on_the_line(up: Running, carrier: str, call_id: str = "CA1", **parameters: str) -> AsyncIterator[Caller]:
    """A call that is up."""
    told: list[Entry] = []
    up.board.watchers.append(lambda log: log.subscribe(told.append))
    async with asyncio.TaskGroup() as tasks, _connected(up, carrier, call_id, parameters) as caller:
        caller.told = told
        listening = tasks.create_task(caller.listen())
        await until(lambda: any(entry.event.type == "agent.state_changed" for entry in told))
        yield caller
        listening.cancel()


@asynccontextmanager
async def _connected(up: Running, carrier: str, call_id: str, parameters: dict[str, str]) -> AsyncIterator[Caller]:
    if carrier == "audiohook":
        wire = genesys(**parameters)
        async with dial(up, wire) as socket:
            await socket.send(wire.opening()[0])
            yield Caller(socket, wire)
        return
    query = f"?call_connection_id={call_id}" if carrier == "acs" else ""
    async with phone(up, f"/telephony/{carrier}{query}", max_queue=None) as socket:
        yield Caller(socket, await start_stream(socket, call_id, carrier, **parameters))
