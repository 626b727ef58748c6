"""A Realtime client on a real socket, whose session reaches a real MCP server on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from antiphon.agents.agent import Agent
from antiphon.models.catalog import Models
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from tests.server.harness import HEADERS, server

TEXT: dict[str, Any] = {"type": "realtime", "output_modalities": ["text"]}


class Talk:
    """One connection; keeps every event of the server.

    Attributes:
        events: In order.
        llm: The model, with what it was asked.
    """

    def __init__(self, socket: ClientConnection, llm: ScriptedChatClient) -> None:
        self.events: list[dict[str, Any]] = []
        self.llm = llm
        self._socket = socket
        self._came = asyncio.Condition()
        self._asked = 0

    async def read(self) -> None:
        """Keep what comes, until the end."""
        async for frame in self._socket:
            async with self._came:
                self.events.append(json.loads(frame))
                self._came.notify_all()

    async def close(self) -> None:
        """Go away."""
        await self._socket.close()

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def use(self, *tools: dict[str, Any], **session: Any) -> None:
        """Give the session its tools, and wait until it says so."""
        number = len(self.of("session.updated")) + 1
        await self.send("session.update", session={**TEXT, **session, "tools": list(tools)})
        await self.until("session.updated", number)

    async def say(self, text: str) -> None:
        """Write a turn of the user."""
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})

    async def ask(self, text: str = "", **response: Any) -> dict[str, Any]:
        """Write a turn and have it answered; gives the response that is done."""
        if text:
            await self.say(text)
        self._asked += 1
        mark = {"asked": str(self._asked)}
        await self.send("response.create", response={**response, "metadata": mark})
        await self.wait_for(lambda: any(done["metadata"] == mark for done in self.done))
        return next(done for done in self.done if done["metadata"] == mark)

    @property
    def done(self) -> list[dict[str, Any]]:
        """The responses that are done."""
        return [event["response"] for event in self.of("response.done")]

    async def until(self, kind: str, number: int = 1) -> dict[str, Any]:
        """Wait for the n-th event of a type."""
        await self.wait_for(lambda: len(self.of(kind)) >= number)
        return self.of(kind)[number - 1]

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the events so far are such."""
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(condition)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a type."""
        return [event for event in self.events if event["type"] == kind]

    def about(self, item_id: str) -> list[str]:
        """What was told of an item, in order."""
        return [
            event["type"] for event in self.events if item_id in (event.get("item_id"), event.get("item", {}).get("id"))
        ]

    def prompt(self, index: int = -1) -> list[tuple[str, str]]:
        """What the model was asked, without the instructions."""
        return [(each.role, _text(each)) for each in self.llm.requests[index].messages if each.role != "system"]


def _text(message: Message) -> str:
    if message.result is not None:
        return message.result.text
    return " ".join([message.text.strip(), *(f"{each.name}({each.arguments})" for each in message.calls)]).strip()


def adding(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
    """Calls ``add`` of the server ``sums`` when asked for a sum, and tells what came of it."""
    last = messages[-1]
    if last.role == "tool":
        return f"It is {last.text}."
    if last.text.startswith("Add") and any(tool.name == "sums_add" for tool in options.tools):
        return Reply(calls=(call("sums_add", a=2, b=3),))
    return "I cannot add."


@asynccontextmanager
async def talking(
    tmp_path: Path, script: Any = adding, *, agent: Agent | None = None, window: int | None = None, query: str = ""
) -> AsyncIterator[Talk]:
    """A server with scripted models and a client that has its session."""
    llm = ScriptedChatClient(script, name=f"scripted/{tmp_path.name}")  # what is learnt of a model goes by its name
    if window is not None:
        llm.context_window = window  # type: ignore[attr-defined]
    models = Models(
        vad=EnergyVAD(), stt=ScriptedSTT(["Hello there."]), llm=llm, tts=ScriptedTTS(ms_per_char=1), turn=None
    )
    async with server(tmp_path, agents=[agent or Agent("desk", "Help.")], models=models) as up:
        url = f"ws://127.0.0.1:{up.port}/v1/realtime?model=desk{query}"
        async with connect(url, additional_headers=HEADERS, compression=None, proxy=None) as socket:
            talk = Talk(socket, llm)
            reading = asyncio.create_task(talk.read())
            try:
                await talk.until("conversation.created")
                yield talk
                await socket.close()
                await reading
            finally:
                reading.cancel()
