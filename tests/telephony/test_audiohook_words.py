"""A carrier that reads is told what is said; one that can move its callers takes them along when the server ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon.agents.agent import Agent
from antiphon.wire.caller import Ending
from tests.server.harness import Serve, scripted_models, until
from tests.telephony.lines import Caller, on_the_line

pytestmark = pytest.mark.timeout(60)


def entities(caller: Caller, kind: str) -> list[dict[str, Any]]:
    parameters = [json.loads(message)["parameters"] for message in caller.messages]
    return [each["data"] for told in parameters for each in told.get("entities", []) if each["type"] == kind]


async def test_what_is_said_is_told_and_what_came_of_each_turn(serve: Serve) -> None:
    agent = Agent("desk", greeting="Hello.")
    async with serve(agents=[agent], models=scripted_models()) as up, on_the_line(up, "audiohook") as caller:
        await until(lambda: bool(caller.events("turn.completed")))
        await caller.speak()
        await until(lambda: len(caller.events("turn.completed")) > 1)
        await until(lambda: len(entities(caller, "bot_turn_response")) > 1)
        await caller.leave()
        await caller.closed.wait()
    said = [
        (told["channel"], told["alternatives"][0]["interpretations"][0]["transcript"])
        for told in entities(caller, "transcript")
        if told["isFinal"]
    ]
    assert said == [("internal", "Hello."), ("external", "Hello there."), ("internal", "Good morning to you.")]
    assert entities(caller, "bot_turn_response") == [
        {"disposition": "match", "text": "Hello."},
        {"disposition": "match", "text": "Good morning to you."},
    ]


async def test_a_server_that_ends_has_the_carrier_connect_the_caller_anew_without_a_goodbye(serve: Serve) -> None:
    async with serve(drain_s=0) as up:
        async with on_the_line(up, "audiohook") as caller:
            await until(lambda: bool(caller.events("turn.completed")))
            up.server.drain()
            ended = await caller.until("session.ended")
            await caller.closed.wait()
        assert ended["reason"] == "drained"
        assert [event for event in caller.received if isinstance(event, Ending)] == [Ending("reconnect")]
        assert [event["kind"] for event in caller.events("agent.speech_created")] == ["greeting"]
