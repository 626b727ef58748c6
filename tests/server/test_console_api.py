from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from antiphon import __version__
from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.manners import Hearing, Manners
from antiphon.server import live as live_module
from antiphon.server import sse
from antiphon.tools.tool import tool
from tests.server.harness import HEADERS, Running, Serve, close_code, next_event, phone, start_stream, until


def client(up: Running, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}", headers=HEADERS, timeout=20, **options)


async def frames(response: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """The events of a stream, comments left out."""
    event: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            yield event
            event = {}


async def one_call(up: Running, call_id: str = "CA1") -> None:
    """A call that is answered and hung up."""
    async with phone(up) as socket:
        caller = await start_stream(socket, call_id)
        while (await next_event(socket))["event"] != "mark":
            pass
        await socket.send(caller.closing())
        await close_code(socket)
    await until(lambda: up.board.admission.live == 0)


@pytest.mark.parametrize(
    "path",
    [
        "/server",
        "/agents",
        "/calls",
        "/calls/stream",
        "/calls/2026-01-01.x",
        "/calls/2026-01-01.x/events",
        "/calls/2026-01-01.x/recording",
    ],
)
async def test_nobody_reads_without_a_key(serve: Serve, path: str) -> None:
    async with serve() as up, client(up) as http:
        refused = await http.get(f"/v1{path}", headers={"Authorization": "Bearer wrong"})
        assert refused.status_code == 401
        assert "Authorization: Bearer KEY" in refused.json()["detail"]
        assert refused.headers["Cache-Control"] == "no-store"


async def test_server_tells_its_models_and_slots(serve: Serve) -> None:
    async with serve(max_calls=7) as up, client(up) as http, phone(up) as socket:
        await start_stream(socket)
        await next_event(socket)
        answer = await http.get("/v1/server")
        body = answer.json()
        assert (body["version"], body["ready"], body["slots"], body["calls_live"]) == (__version__, True, 7, 1)
        assert set(body["models"]) == {"vad", "stt", "llm", "tts"}
        assert body["uptime_s"] >= 0
        assert answer.headers["Cache-Control"] == "no-store"


async def test_agents_tell_their_tools_and_handoffs(serve: Serve) -> None:
    @tool
    def opening_hours(day: str) -> str:
        """When it is open."""
        return day

    async def by_day(_context: object) -> str:
        """Asks for the day."""
        return "today"

    billing = Agent("billing", ["Bills.", by_day], description="Knows about bills.")
    greetings = {"greeting": "Hi.", "return_greeting": "Hi again."}
    desk = Agent("desk", "You are {{ agent_name }}.", tools=[opening_hours], handoffs=[Handoff(billing)], **greetings)
    async with serve(agents=[desk]) as up, client(up) as http:
        first, second = (await http.get("/v1/agents")).json()["agents"]
        assert (first["name"], first["is_default"], first["greeting"]) == ("desk", True, "Hi.")
        assert first["return_greeting"] == "Hi again."
        assert first["instructions"] == "You are {{ agent_name }}."
        assert first["tools"] == [{"name": "opening_hours", "description": "When it is open.", "kind": "function"}]
        assert first["handoffs"] == [{"target": "billing", "when": "Knows about bills.", "type": "announced"}]
        assert (second["name"], second["is_default"]) == ("billing", False)
        assert second["instructions"] == "Bills.\n\nAsks for the day."


async def test_r13_agents_are_shown_with_the_silence_that_ends_their_turns(serve: Serve) -> None:
    agents = [
        Agent("desk"),
        Agent("calm", manners=Manners(hearing=Hearing(silence_ms=1500))),
        Agent("model", model="s2s:scripted"),
    ]
    async with serve(agents=agents) as up, client(up) as http:
        shown = (await http.get("/v1/agents")).json()["agents"]
        assert {agent["name"]: agent["turn_silence_ms"] for agent in shown} == {
            "desk": 800,
            "calm": 1500,
            "model": 700,
        }


async def test_live_call_comes_first_and_its_entries_are_there(serve: Serve) -> None:
    async with serve(keep_files=True) as up, client(up) as http:
        await one_call(up, "CA1")
        async with phone(up) as socket:
            await start_stream(socket, "CA2")
            await next_event(socket)
            listed = (await http.get("/v1/calls")).json()["calls"]
            assert [(call["call_id"], call["state"]) for call in listed] == [("CA2", "live"), ("CA1", "ended")]
            detail = (await http.get(f"/v1/calls/{listed[0]['id']}")).json()
            assert detail["call"]["state"] == "live"
            assert detail["entries"][0]["type"] == "session.started"
            assert detail["models"] == detail["entries"][0]["models"]


async def test_ended_call_reads_the_same_from_memory_and_from_its_files(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "KEEP_ENDED", 1)
    async with serve(keep_files=True) as up, client(up) as http:
        await one_call(up, "CA1")
        (call,) = (await http.get("/v1/calls")).json()["calls"]
        assert (call["state"], call["end_reason"], call["preview"]) == ("ended", "user_hangup", "Hello.")
        remembered = (await http.get(f"/v1/calls/{call['id']}")).json()
        await one_call(up, "CA2")
        assert up.board.live.get(call["id"]) is None
        assert (await http.get(f"/v1/calls/{call['id']}")).json() == remembered
        listed = (await http.get("/v1/calls")).json()["calls"]
        assert [each["call_id"] for each in listed] == ["CA2", "CA1"]
        assert listed[1] == remembered["call"]


async def test_recording_comes_in_ranges(serve: Serve) -> None:
    async with serve(keep_files=True, record=True) as up, client(up) as http:
        await one_call(up)
        (call,) = (await http.get("/v1/calls")).json()["calls"]
        assert call["has_recording"]
        whole = await http.get(f"/v1/calls/{call['id']}/recording")
        assert (whole.headers["Content-Type"], whole.content[:4]) == ("audio/wav", b"RIFF")
        part = await http.get(f"/v1/calls/{call['id']}/recording", headers={"Range": "bytes=8-11"})
        assert (part.status_code, part.content) == (206, b"WAVE")


async def test_recording_that_grows_while_it_is_sent_is_sent_as_it_was(serve: Serve) -> None:
    async with serve(keep_files=True, record=True) as up, client(up) as http:
        await one_call(up)
        (call,) = up.board.live.all()
        path = up.board.past.recording(call.id)
        assert path is not None
        path.write_bytes(bytes(30_000_000))  # More than the sockets between the two can hold.
        async with http.stream("GET", f"/v1/calls/{call.id}/recording") as response:
            with path.open("ab") as file:
                file.write(bytes(1_000))
            assert response.headers["Content-Length"] == "30000000"
            assert len(await response.aread()) == 30_000_000
            assert response.headers["Accept-Ranges"] == "bytes"


async def test_unknown_calls_are_404_and_wrong_cursors_400(serve: Serve) -> None:
    async with serve() as up, client(up) as http:
        for path in ("2026-01-01.x", "2026-01-01.x/events", "2026-01-01.x/recording", "..%2f..%2fetc.passwd", "x"):
            assert (await http.get(f"/v1/calls/{path}")).status_code == 404
        assert (await http.get("/v1/calls", params={"before": "x"})).status_code == 400
        assert (await http.get("/v1/calls", params={"limit": 0})).status_code == 422


async def test_refused_streams_are_no_calls(serve: Serve) -> None:
    async with serve(keep_files=True) as up, client(up) as http:
        token = up.board.tokens.issue()
        async with phone(up, additional_headers={}) as socket:
            await start_stream(socket, "CA1", token="wrong")
            assert await close_code(socket) == 1008
        assert token
        assert (await http.get("/v1/calls")).json() == {"calls": [], "next": None, "outgoing": []}


async def test_events_replay_and_follow_a_live_call_to_its_end(serve: Serve) -> None:
    async with serve(keep_files=True) as up, client(up) as http, phone(up) as socket:
        caller = await start_stream(socket)
        await next_event(socket)
        (call,) = up.board.live.all()
        async with http.stream("GET", f"/v1/calls/{call.id}/events") as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
            seen: list[dict[str, str]] = []
            async for event in frames(response):
                seen.append(event)
                if len(seen) == 1:
                    await socket.send(caller.closing())
        assert [int(event["id"]) for event in seen] == list(range(1, len(seen) + 1))
        assert {event["event"] for event in seen} == {"entry"}
        types = [json.loads(event["data"])["type"] for event in seen]
        assert (types[0], types[-1]) == ("session.started", "session.ended")


async def test_events_of_a_past_call_go_on_after_the_last_one_seen(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "KEEP_ENDED", 1)
    async with serve(keep_files=True) as up, client(up) as http:
        await one_call(up, "CA1")
        name = up.board.live.all()[0].id
        await one_call(up, "CA2")
        async with http.stream("GET", f"/v1/calls/{name}/events", headers={"Last-Event-ID": "3"}) as response:
            seen = [event async for event in frames(response)]
        assert seen[0]["id"] == "4"
        assert json.loads(seen[-1]["data"])["type"] == "session.ended"


async def test_entries_that_left_the_memory_come_from_the_file(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "KEEP_ENTRIES", 2)
    async with serve(keep_files=True) as up, client(up) as http:
        await one_call(up)
        name = up.board.live.all()[0].id
        entries = (await http.get(f"/v1/calls/{name}")).json()["entries"]
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        assert len(entries) > 2


async def test_stream_tells_start_and_end_of_calls(serve: Serve) -> None:
    async with serve() as up, client(up) as http:
        async with http.stream("GET", "/v1/calls/stream") as response:
            calling = asyncio.create_task(one_call(up))
            states: list[str] = []
            async for event in frames(response):
                call = json.loads(event["data"])
                assert (event["event"], call["call_id"]) == ("call", "CA1")
                states.append(call["state"])
                if call["state"] == "ended":
                    break
            await calling
        assert states[0] == "live"
        assert call["end_reason"] == "user_hangup"
        await until(lambda: up.board.live.streams == 0)  # The reader has left, and nothing is kept for it.


async def test_newcomer_to_the_stream_hears_of_calls_that_go_on(serve: Serve) -> None:
    async with serve() as up, client(up) as http, phone(up) as socket:
        await start_stream(socket)
        await next_event(socket)
        async with http.stream("GET", "/v1/calls/stream") as response:
            first = await anext(frames(response))
        assert json.loads(first["data"])["state"] == "live"


async def test_quiet_stream_shows_signs_of_life(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.01)
    async with serve() as up, client(up) as http, http.stream("GET", "/v1/calls/stream") as response:
        lines = response.aiter_lines()
        assert [await anext(lines) for _ in range(3)] == [": keep-alive", "", ": keep-alive"]


async def test_streams_end_with_the_server(serve: Serve) -> None:
    async with serve() as up, client(up) as http, http.stream("GET", "/v1/calls/stream") as response:
        await until(lambda: up.board.live.streams == 1)
        up.server.drain()
        async with asyncio.timeout(4):  # Less than uvicorn would wait for a stream that goes on.
            assert [event async for event in frames(response)] == []
            await asyncio.wait([up.serving])


async def test_too_many_streams_are_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "MAX_READERS", 1)
    async with serve() as up, client(up) as http, http.stream("GET", "/v1/calls/stream"):
        await until(lambda: up.board.live.streams == 1)
        refused = await http.get("/v1/calls/stream")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")


async def test_slow_reader_loses_the_oldest_and_is_counted() -> None:
    box: sse.Mailbox[int] = sse.Mailbox(3)
    for number in range(5):
        box.put(number)
    assert await box.take() == [2, 3, 4]
    assert box.dropped == 2
    box.put(5)
    box.close()
    assert await box.take() == [5]
    assert await box.take() is None


async def test_what_readers_lose_is_in_the_metrics(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "READER_SUMMARIES", 1)
    async with serve() as up, client(up) as http:
        with up.board.live.summaries() as box:
            await one_call(up)
            assert box.dropped >= 1
        metrics = (await http.get("/metrics")).text
        assert f"antiphon_stream_items_dropped_total {float(box.dropped)}" in metrics


def test_frame_is_one_event() -> None:
    assert sse.frame("entry", b'{"a":1}', 7) == b'event: entry\nid: 7\ndata: {"a":1}\n\n'
    assert sse.frame("call", b"{}") == b"event: call\ndata: {}\n\n"
