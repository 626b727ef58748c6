"""Keys over each carrier's socket: a number for the model alone, and a gate that not even the model sees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from websockets.asyncio.client import ClientConnection

from antiphon.agents.agent import Agent
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.keypad import pin_gate
from antiphon.wire.caller import MediaCaller
from tests.server.harness import Running, Serve, phone, scripted_models, start_stream, until
from tests.server.test_telephony_audiohook import dial, genesys

LINES = ("twilio", "plivo", "acs", "audiohook")


@asynccontextmanager
async def calling(up: Running, carrier: str) -> AsyncIterator[tuple[ClientConnection, MediaCaller]]:
    """A call over a carrier's socket, which is up."""
    told: list[str] = []
    up.board.watchers.append(lambda log: log.subscribe(lambda entry: told.append(entry.event.type)))
    async with connecting(up, carrier) as (socket, caller):
        await until(lambda: "agent.state_changed" in told)
        yield socket, caller


@asynccontextmanager
async def connecting(up: Running, carrier: str) -> AsyncIterator[tuple[ClientConnection, MediaCaller]]:
    if carrier == "audiohook":
        caller = genesys()
        async with dial(up, caller) as socket:
            await socket.send(caller.opening()[0])
            yield socket, caller
        return
    async with phone(up, f"/telephony/{carrier}", max_queue=None) as socket:
        yield socket, await start_stream(socket, carrier=carrier)


async def press(socket: ClientConnection, caller: MediaCaller, keys: str) -> None:
    for key in keys:
        await socket.send(caller.dtmf(key))


@pytest.mark.parametrize("carrier", LINES)
async def test_r24_a_number_reaches_the_model_and_no_file(carrier: str, serve: Serve) -> None:
    llm = ScriptedChatClient(lambda _messages, _options: "Thank you.")
    async with serve(agents=[Agent("desk")], models=replace(scripted_models(), llm=llm), keep_files=True) as up:
        async with calling(up, carrier) as (socket, caller):
            await press(socket, caller, "99*471147#")
            await until(lambda: bool(llm.requests))
        await up.board.all_over()
    assert llm.requests[0].messages[-1].text == "[keypad: 471147]"
    [log] = up.board.settings.data_dir.glob("calls/*/*/log.jsonl")
    written = log.read_text(encoding="utf-8")
    assert '"trigger":"dtmf"' in written.replace(" ", "")
    assert "••••••" in written
    assert "471147" not in written


@pytest.mark.parametrize("carrier", LINES)
async def test_a_gate_takes_the_right_number_only_and_shows_none(carrier: str, serve: Serve) -> None:
    def think(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        told = " ".join(message.text for message in messages if message.role == "tool")
        if "typed the right number" in told:
            return "You are known."
        return "Please type your number." if told else Reply(calls=(call("pin_gate"),))

    llm = ScriptedChatClient(think)
    agent = Agent("desk", tools=[pin_gate("471147", again="Again.")])
    async with serve(agents=[agent], models=replace(scripted_models(), llm=llm), keep_files=True) as up:
        async with calling(up, carrier) as (socket, caller):
            await press(socket, caller, "1#")
            await until(lambda: len(llm.requests) > 1)
            await press(socket, caller, "222229#")
            await press(socket, caller, "471147#")
            await until(lambda: "typed the right number" in str(llm.requests))
        await up.board.all_over()
    [log] = up.board.settings.data_dir.glob("calls/*/*/log.jsonl")
    written = log.read_text(encoding="utf-8")
    assert "Again." in written
    assert "The caller has typed the right number." in written
    for digits in ("471147", "222229"):
        assert digits not in written
        assert digits not in str(llm.requests)
