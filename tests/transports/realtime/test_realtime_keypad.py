"""Keys that a client presses."""

from __future__ import annotations

import json

from antiphon.agents.agent import Agent
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, call
from antiphon.tools.keypad import pin_gate
from tests.transports.realtime.talk import Client, talking, virtually


def press(client: Client, keys: str) -> None:
    for key in keys:
        client.send("input_audio_buffer.dtmf_event", event=key)


@virtually
async def test_number_that_a_client_types_is_a_turn_that_the_model_reads(clock: VirtualClock) -> None:
    async with talking(clock, tells_log=True) as client:
        press(client, "4711#")
        await client.until("response.done")
        told = client.events("input_audio_buffer.dtmf_event_received")
        assert [event["event"] for event in told] == list("4711#")
        assert told[0]["received_at"] == int(clock.utc().timestamp())
        assert client.prompt()[0] == ("user", "[keypad: 4711]")
        entries = [event["entry"] for event in client.events("antiphon.event")]
        assert [entry["digit"] for entry in entries if entry["type"] == "user.dtmf"] == ["•"] * 5
        assert "4711" not in json.dumps(entries)


@virtually
async def test_key_stops_what_the_agent_says(clock: VirtualClock) -> None:
    async with talking(clock, agent=Agent("desk", greeting="Good morning. " * 20), greets=True) as client:
        await client.until("response.output_audio.delta", 5)
        press(client, "1")
        await client.until("response.done")
        assert client.statuses() == [("cancelled", "turn_detected")]


@virtually
async def test_pin_gate_opens_by_the_keys_of_a_client(clock: VirtualClock) -> None:
    gate = pin_gate("4711")
    agent = Agent("desk", "Ask for the PIN.", tools=[gate])
    llm = [Reply(calls=(call("pin_gate"),)), "Type it, please.", "Thank you, that is right."]
    async with talking(clock, agent=agent, llm=llm, tells_log=True) as client:
        client.write("My balance?")
        client.ask()
        await client.until("response.done", 2)
        press(client, "4712#")
        await client.wait(5.0)
        press(client, "4711#")
        await client.wait(5.0)
        entries = json.dumps([event["entry"] for event in client.events("antiphon.event")])
        assert "The caller has typed the right number." in entries
        assert "4711" not in entries + json.dumps(client.prompt())
