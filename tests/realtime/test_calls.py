"""Functions that the model calls: one output each, one answer for all of a response, and an end to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from antiphon.clock import VirtualClock
from antiphon.realtime.called import MAX_FOLLOW_UPS
from antiphon.realtime.calls import CUT_MARK, MAX_OUTPUT, CallRefused, FunctionCalls
from antiphon.realtime.client import RealtimeClient
from tests.realtime.server import Connection, in_virtual_time, service


class Tools:
    """Functions of a test."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, Mapping[str, Any]]] = []
        self.go_on = asyncio.Event()

    def definitions(self) -> Sequence[Mapping[str, Any]]:
        return [{"type": "function", "name": name} for name in ("clock", "slow", "broken", "long", "odd")]

    async def run(self, name: str, arguments: Mapping[str, Any]) -> Any:
        self.ran.append((name, arguments))
        if name == "slow":
            await self.go_on.wait()
        if name == "broken":
            raise RuntimeError("the secret is 1234")
        results = {"clock": {"time": "noon"}, "slow": "done", "long": "ä" * MAX_OUTPUT, "odd": {1: {object}}}
        if name not in results:
            raise CallRefused("unknown_tool", f"There is no {name}.")
        return results[name]


@asynccontextmanager
async def calling(clock: VirtualClock) -> AsyncIterator[tuple[RealtimeClient, Connection, Tools]]:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        tools = Tools()
        running = asyncio.create_task(FunctionCalls(client, tools, clock=clock).run())
        connection = there.connections[0]
        await connection.hears("u1", "Do it.")
        try:
            yield client, connection, tools
        finally:
            running.cancel()


async def outputs(connection: Connection, number: int) -> dict[str, str]:
    """The outputs that came, by call, once there are so many."""
    await connection.until("conversation.item.create", number)
    created = [event["item"] for event in connection.of("conversation.item.create")]
    return {item["call_id"]: item["output"] for item in created}


@pytest.mark.parametrize(
    ("name", "arguments", "output", "outcome"),
    [
        ("clock", "{}", {"time": "noon"}, "ok"),
        ("clock", "", {"time": "noon"}, "ok"),
        ("nobody", "{}", {"error": {"code": "unknown_tool", "message": "There is no nobody."}}, "unknown"),
        ("broken", "{}", {"error": {"code": "failed", "message": "It failed (RuntimeError)."}}, "error"),
        (
            "clock",
            "[1]",
            {"error": {"code": "invalid_arguments", "message": "The arguments are no JSON object."}},
            "error",
        ),
        (
            "clock",
            "{oops",
            {"error": {"code": "invalid_arguments", "message": "The arguments are no JSON object."}},
            "error",
        ),
        ("slow", "{}", {"error": {"code": "timeout", "message": "It took longer than 10 s."}}, "timeout"),
    ],
)
def test_every_call_gets_one_output_and_the_response_one_follow_up(
    name: str, arguments: str, output: dict[str, Any], outcome: str
) -> None:
    @in_virtual_time
    async def scenario(clock: VirtualClock) -> None:
        async with calling(clock) as (client, connection, _tools):
            await connection.begins("r1")
            await connection.calls("r1", "c1", name, arguments)
            await connection.ends("r1")
            found = await outputs(connection, 1)
            assert {call_id: json.loads(text) for call_id, text in found.items()} == {"c1": output}
            await connection.until("response.create")
            await clock.sleep(20)
            assert len(connection.of("conversation.item.create")) == len(connection.of("response.create")) == 1
            assert client.metrics.total("tool_calls_total", outcome=outcome) == 1
            assert client.metrics.histogram("tool_ms").count == 1
            [call] = client.conversation.turns[0].calls
            assert call.status == {"ok": "done", "timeout": "timeout"}.get(outcome, "error")
            assert json.loads(call.output or "") == output

    scenario()


@in_virtual_time
async def test_two_calls_run_side_by_side_and_get_one_follow_up(clock: VirtualClock) -> None:
    async with calling(clock) as (_client, connection, tools):
        await connection.begins("r1")
        await connection.calls("r1", "c1", "slow", "{}")
        await connection.calls("r1", "c2", "clock", "{}", index=1)
        await connection.ends("r1")
        assert await outputs(connection, 1) == {"c2": '{"time":"noon"}'}
        await clock.sleep(1)
        assert connection.of("response.create") == []
        tools.go_on.set()
        assert set(await outputs(connection, 2)) == {"c1", "c2"}
        await connection.until("response.create")
        await clock.sleep(20)
        assert len(connection.of("response.create")) == 1


@in_virtual_time
async def test_follow_up_waits_for_the_end_of_the_response(clock: VirtualClock) -> None:
    async with calling(clock) as (_client, connection, _tools):
        await connection.begins("r1")
        await connection.calls("r1", "c1", "clock", "{}")
        await outputs(connection, 1)
        await clock.sleep(1)
        assert connection.of("response.create") == []
        await connection.ends("r1")
        await connection.until("response.create")


@in_virtual_time
async def test_call_of_a_cancelled_response_is_not_run(clock: VirtualClock) -> None:
    async with calling(clock) as (client, connection, tools):
        await connection.begins("r1")
        await client.wait_for("response.created", 5)
        client.drop(response_id="r1")
        await connection.calls("r1", "c1", "clock", "{}")
        await connection.ends("r1", "cancelled")
        await clock.sleep(5)
        assert tools.ran == []
        assert connection.of("conversation.item.create") == connection.of("response.create") == []
        assert client.conversation.turns[0].calls[0].status == "skipped"


@in_virtual_time
async def test_running_call_of_a_cancelled_response_ends_and_is_told(clock: VirtualClock) -> None:
    async with calling(clock) as (client, connection, tools):
        await connection.begins("r1")
        await connection.calls("r1", "c1", "slow", "{}")
        await clock.sleep(0.1)
        await client.cancel_response()
        await connection.ends("r1", "cancelled")
        tools.go_on.set()
        assert await outputs(connection, 1) == {"c1": "done"}
        await clock.sleep(5)
        assert connection.of("response.create") == []


@in_virtual_time
async def test_user_who_speaks_meanwhile_is_answered_by_the_service_itself(clock: VirtualClock) -> None:
    async with calling(clock) as (_client, connection, tools):
        await connection.begins("r1")
        await connection.calls("r1", "c1", "slow", "{}")
        await connection.ends("r1")
        await connection.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
        await clock.sleep(0.1)
        tools.go_on.set()
        await outputs(connection, 1)
        await clock.sleep(5)
        assert connection.of("response.create") == []


@in_virtual_time
async def test_calls_without_end_are_stopped_once(clock: VirtualClock) -> None:
    async with calling(clock) as (_client, connection, _tools):
        for number in range(1, MAX_FOLLOW_UPS + 2):
            await connection.begins(f"r{number}")
            await connection.calls(f"r{number}", f"c{number}", "clock", "{}")
            await connection.ends(f"r{number}")
            asked = await connection.until("response.create", number)
            assert (asked.get("response") == {"tool_choice": "none"}) is (number == MAX_FOLLOW_UPS + 1)


@in_virtual_time
async def test_outage_loses_no_output_and_asks_once(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        tools = Tools()
        running = asyncio.create_task(FunctionCalls(client, tools, clock=clock).run())
        first = there.connections[0]
        await first.hears("u1", "Do it.")
        await first.begins("r1")
        await first.calls("r1", "c1", "slow", "{}")
        await clock.sleep(0.1)
        first.drop()
        await clock.sleep(0.1)
        tools.go_on.set()
        second = await there.connection(2)
        await second.until("response.create")
        await clock.sleep(20)
        told = [event["item"]["type"] for event in second.of("conversation.item.create")]
        assert told == ["message", "function_call", "function_call_output"]
        assert len(second.of("response.create")) == 1
        running.cancel()


@in_virtual_time
async def test_outputs_are_text_of_a_bounded_length(clock: VirtualClock) -> None:
    async with calling(clock) as (_client, connection, _tools):
        await connection.begins("r1")
        await connection.calls("r1", "c1", "long", "{}")
        await connection.calls("r1", "c2", "odd", "{}", index=1)
        found = await outputs(connection, 2)
        assert found["c1"] == "ä" * (MAX_OUTPUT // 2) + CUT_MARK
        assert "object" in found["c2"]
