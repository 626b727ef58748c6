"""Outages: the session and the history come back in order, sound is not lost or late, answers are not forgotten."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.realtime.client import CONNECTED, DISCONNECTED, RETRYING, RealtimeClient
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.reconnect import RECONNECT_CODES, Backoff
from tests.realtime.server import Connection, greets, in_virtual_time, service

CHUNK = 960  # 20 ms


async def talk(connection: Connection) -> None:
    """One turn and its answer, of which a call and 100 ms of sound are part."""
    await connection.hears("u1", "What time is it?")
    await connection.begins("r1")
    await connection.calls("r1", "c1", "clock", "{}")
    await connection.ends("r1")


def kinds(connection: Connection) -> list[str]:
    """What the client sent, sound aside."""
    return [event["type"] for event in connection.got if not event["type"].endswith("append")]


def items(connection: Connection) -> list[tuple[str, Any]]:
    """The items that the client created."""
    return [
        (event["item"]["type"], (event["item"].get("content") or [{}])[0].get("text") or event["item"].get("output"))
        for event in connection.of("conversation.item.create")
    ]


@in_virtual_time
async def test_dropped_socket_brings_session_and_history_back_in_order(clock: VirtualClock) -> None:
    told: list[ServerEvent] = []
    settings = {"instructions": "Be brief.", "tools": [{"type": "function", "name": "clock"}]}
    async with service() as there, RealtimeClient(there.endpoint(), settings, clock=clock) as client:
        client.on((CONNECTED, DISCONNECTED, RETRYING, "conversation.item.added"), told.append)
        first = there.connections[0]
        await client.update_session({"audio": {"output": {"speed": 1.1}}})
        await talk(first)
        await client.wait_for("response.done", 5)
        await client.create_item({"type": "function_call_output", "call_id": "c1", "output": "noon"})
        await client.wait_for("conversation.item.added", 5)
        await first.begins("r2", "a1")
        await first.says("r2", "a1", "It is noon", bytes(4_800))
        await client.wait_for("response.output_audio.delta", 5)
        first.drop()
        lost_s = clock.now()
        second = await there.connection(2)
        await client.wait_for(CONNECTED, 5)
        assert clock.now() - lost_s <= 0.5 + 1
        assert client.metrics.total("reconnections_total") == 1
        assert kinds(second) == ["session.update", *["conversation.item.create"] * 4]
        assert second.got[0]["session"] == {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {"output": {"speed": 1.1}},
            **settings,
        }
        assert items(second) == [
            ("message", "What time is it?"),
            ("function_call", None),
            ("function_call_output", "noon"),
            ("message", "It is noon"),
        ]
        assert client.conversation.turns[-1].interrupted
        assert client.conversation.turns[-1].generated_ms == 100
        # The conversation goes on.
        await second.hears("u2", "Thanks.")
        await second.begins("r3", "a2")
        await second.says("r3", "a2", "Bye.", bytes(4_800))
        await second.ends("r3")
        await client.wait_for("response.done", 5)
        words = [turn.text for turn in client.conversation.turns]
        assert words == ["What time is it?", "It is noon", "Thanks.", "Bye."]
        assert client.metrics.total("turns_total") == 4
    names = [event.type for event in told if event.type != "conversation.item.added"]
    assert names == [DISCONNECTED, RETRYING, CONNECTED]
    # Replayed items are no news.
    assert [event.item_id for event in told if event.type == "conversation.item.added"][-2:] == ["u2", "a2"]


@pytest.mark.parametrize("code", sorted(RECONNECT_CODES - {1006}))
def test_close_that_may_pass_is_an_outage(code: int) -> None:
    @in_virtual_time
    async def scenario(clock: VirtualClock) -> None:
        async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
            await there.connections[0].close(code, "later")
            await there.connection(2)
            await client.wait_for("session.updated", 5)
            assert client.metrics.total("connect_failures_total") == 0

    scenario()


@in_virtual_time
async def test_service_that_accepts_and_drops_is_not_hammered(clock: VirtualClock) -> None:
    pauses: list[float] = []

    async def drops(connection: Connection) -> None:
        await connection.greet()
        await connection.until("session.update")
        connection.drop()

    backoff = Backoff(max_s=4)
    rng = random.Random(1)
    async with (
        service(greets, *[drops] * 10, greets) as there,
        RealtimeClient(there.endpoint(), backoff=backoff, clock=clock, rng=rng) as client,
    ):
        client.on(RETRYING, lambda event: pauses.append(event.body["delay_s"]))
        there.connections[0].drop()
        await there.connection(12)
        await client.wait_for("session.updated", 20)
        again = random.Random(1)
        assert pauses == [backoff.delay_s(number, again.random()) for number in range(1, 12)]
        assert pauses[-1] >= 2
        # Half a minute of peace, and the count begins anew.
        await clock.sleep(31)
        there.connections[-1].drop()
        await there.connection(13)
        await client.wait_for("session.updated", 20)
        assert pauses[-1] <= 0.5


@in_virtual_time
async def test_program_may_limit_the_tries(clock: VirtualClock) -> None:
    async with (
        service(greets, 503) as there,
        RealtimeClient(there.endpoint(), backoff=Backoff(max_tries=3), clock=clock) as client,
    ):
        there.connections[0].drop()
        with pytest.raises(IntegrationUnavailableException, match="503"):
            await client.wait_closed()
        assert there.refused == 2


@in_virtual_time
async def test_peer_that_answers_no_ping_is_lost(clock: VirtualClock) -> None:
    asleep = asyncio.Event()

    async def sleeps(connection: Connection) -> None:
        await connection.greet()
        await connection.until("session.update")
        connection.freeze()
        asleep.set()

    async with (
        service(sleeps, greets) as there,
        RealtimeClient(there.endpoint(), ping_interval_s=10, ping_timeout_s=20, clock=clock) as client,
    ):
        await asleep.wait()
        begun_s = clock.now()
        await there.connection(2)
        await client.wait_for("session.updated", 5)
        assert 20 <= clock.now() - begun_s <= 33


@in_virtual_time
async def test_sound_of_a_short_outage_is_heard_after_the_history(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        first = there.connections[0]
        await talk(first)
        await client.wait_for("response.done", 5)
        await first.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
        await client.append_audio(b"a" * CHUNK)
        await first.until("input_audio_buffer.append")
        first.drop()
        while client.connected:
            await clock.sleep(0.01)
        await client.append_audio(b"b" * CHUNK)
        second = await there.connection(2)
        await second.until("input_audio_buffer.append", 2)
        while not client.connected:
            await clock.sleep(0.01)
        await client.append_audio(b"c" * CHUNK)
        await second.until("input_audio_buffer.append", 3)
        assert second.sound() == b"a" * CHUNK + b"b" * CHUNK + b"c" * CHUNK
        assert [event["type"] for event in second.got][-4:] == [
            "conversation.item.create",
            *["input_audio_buffer.append"] * 3,
        ]
        assert client.metrics.total("audio_frames_dropped_total") == 0


@in_virtual_time
async def test_sound_of_a_long_outage_is_dropped_and_counted(clock: VirtualClock) -> None:
    async with (
        service(greets, 503, 503, 503, 503, 503, greets) as there,
        RealtimeClient(there.endpoint(), clock=clock) as client,
    ):
        there.connections[0].drop()
        while client.connected:
            await clock.sleep(0.01)
        for _ in range(10):
            await client.append_audio(b"b" * CHUNK)
        second = await there.connection(2)
        await client.wait_for("session.updated", 20)
        while not client.connected:
            await clock.sleep(0.01)
        await client.append_audio(b"c" * CHUNK)
        await second.until("input_audio_buffer.append")
        assert second.sound() == b"c" * CHUNK
        assert client.metrics.total("audio_frames_dropped_total", direction="in", reason="stale") == 10


@in_virtual_time
async def test_sound_from_before_the_first_connection_is_heard_up_to_two_seconds(clock: VirtualClock) -> None:
    hold = asyncio.Event()

    async def waits(connection: Connection) -> None:
        await hold.wait()
        await connection.greet()

    async with service(waits) as there:
        client = RealtimeClient(there.endpoint(), clock=clock)
        connecting = asyncio.create_task(client.connect())
        connection = await there.connection(1)
        for number in range(110):
            await client.append_audio(bytes([number]) * CHUNK)
        hold.set()
        await connecting
        await connection.until("input_audio_buffer.append", 100)
        assert connection.sound() == b"".join(bytes([number]) * CHUNK for number in range(10, 110))
        assert client.metrics.total("audio_frames_dropped_total", direction="in") == 10
        await client.close()


@pytest.mark.parametrize("began", [False, True])
def test_answer_that_had_not_begun_is_asked_for_again(began: bool) -> None:
    @in_virtual_time
    async def scenario(clock: VirtualClock) -> None:
        async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
            first = there.connections[0]
            await client.create_item(
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello?"}]}
            )
            await client.create_response({"instructions": "Greet."})
            await first.until("response.create")
            if began:
                await first.begins("r1", "a1")
                await client.wait_for("response.output_item.added", 5)
            first.drop()
            second = await there.connection(2)
            again = await second.until("response.create")
            assert again["response"] == {"instructions": "Greet."}
            assert items(second) == [("message", "Hello?")]
            await second.begins("r2", "a2")
            await second.ends("r2")
            await client.wait_for("response.done", 5)
            await clock.sleep(20)
            assert len(second.of("response.create")) == 1

    scenario()


@in_virtual_time
async def test_answer_that_turn_detection_owed_is_asked_for(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        first = there.connections[0]
        await first.hears("u1", "Hello?")
        await client.wait_for("conversation.item.input_audio_transcription.completed", 5)
        first.drop()
        second = await there.connection(2)
        await second.until("response.create")
        assert items(second) == [("message", "Hello?")]


@in_virtual_time
async def test_answer_that_was_cut_off_is_not_asked_for_again(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        first = there.connections[0]
        await first.hears("u1", "Hello?")
        await first.begins("r1", "a1")
        await first.says("r1", "a1", "Good mor", bytes(48))
        await client.wait_for("response.output_audio.delta", 5)
        first.drop()
        second = await there.connection(2)
        await clock.sleep(20)
        assert second.of("response.create") == []


@in_virtual_time
async def test_items_and_wishes_wait_for_the_connection(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        there.connections[0].drop()
        while client.connected:
            await clock.sleep(0.01)
        await client.create_item({"type": "function_call_output", "call_id": "c1", "output": "noon"})
        await client.create_response()
        await client.update_session({"instructions": "New."})
        second = await there.connection(2)
        await second.until("response.create")
        assert kinds(second) == ["session.update", "conversation.item.create", "response.create"]
        assert second.got[0]["session"]["instructions"] == "New."


@in_virtual_time
async def test_handler_that_fails_makes_no_outage(clock: VirtualClock) -> None:
    def fails(_event: ServerEvent) -> None:
        raise OSError("a bug that looks like the network's")

    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        client.on("*", fails)
        await talk(there.connections[0])
        await client.wait_for("response.done", 5)
        await clock.sleep(60)
        assert client.connected
        assert len(there.connections) == 1


@in_virtual_time
async def test_session_is_renewed_in_a_quiet_moment_before_it_expires(clock: VirtualClock) -> None:
    begun = clock.utc().timestamp()

    async def expires(connection: Connection) -> None:
        await connection.greet(expires_at=int(clock.utc().timestamp()) + 600)

    quiet = [False]
    async with (
        service(expires) as there,
        RealtimeClient(there.endpoint(), is_quiet=lambda: quiet[0], clock=clock) as client,
    ):
        first = there.connections[0]
        await talk(first)
        await client.wait_for("response.done", 5)
        await clock.sleep(begun + 545 - clock.utc().timestamp())
        assert len(there.connections) == 1
        await client.append_audio(b"a" * CHUNK)
        quiet[0] = True
        second = await there.connection(2)
        await second.until("input_audio_buffer.append")
        assert 545 <= clock.utc().timestamp() - begun <= 546
        assert items(second)[0] == ("message", "What time is it?")
        assert second.sound() == b"a" * CHUNK
        # Speech puts it off, but not for ever.
        await second.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u9")
        await there.connection(3)
        assert 1_134 <= clock.utc().timestamp() - begun <= 1_137
        assert client.metrics.total("renewals_total") >= 1
        assert client.metrics.total("reconnections_total") == 0


@in_virtual_time
async def test_expired_session_is_an_outage_like_any_other(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        first = there.connections[0]
        error = {"type": "invalid_request_error", "code": "session_expired", "message": "It took 60 minutes."}
        await first.send("error", error=error)
        await first.close(1001, "It took 60 minutes.")
        await there.connection(2)
        await client.wait_for("session.updated", 5)


@in_virtual_time
async def test_hours_of_outages_leave_one_conversation(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        for number in range(1, 31):
            connection = await there.connection(number)
            while not client.connected:
                await clock.sleep(0.05)
            await connection.hears(f"u{number}", f"Question {number}.")
            await connection.begins(f"r{number}", f"a{number}")
            await connection.says(f"r{number}", f"a{number}", f"Answer {number}.", bytes(480))
            await connection.ends(f"r{number}")
            await client.wait_for("response.done", 5)
            connection.drop()
            await clock.sleep(0.01)
        last = await there.connection(31)
        await last.until("conversation.item.create", 60)
        words = [text for _, text in items(last)]
        assert words == [f"{word} {n}." for n in range(1, 31) for word in ("Question", "Answer")]
        assert client.metrics.total("turns_total") == 60
        while not client.connected:
            await clock.sleep(0.05)
        assert client.metrics.total("reconnections_total") == 30


@in_virtual_time
async def test_change_that_was_refused_is_not_told_to_the_next_connection(clock: VirtualClock) -> None:
    async def knows_better(connection: Connection) -> None:
        await connection.greet()
        await connection.until("session.update")
        await connection.send("session.updated", session={})
        for number in range(2, 5):
            update = await connection.until("session.update", number)
            if update["session"].get("instructions") == "Bad.":
                await connection.refuse(update, "invalid_value")
            else:
                await connection.send("session.updated", session=update["session"])

    async with (
        service(knows_better, answers=False) as there,
        RealtimeClient(there.endpoint(), {"instructions": "First."}, clock=clock) as client,
    ):
        for session in ({"instructions": "Bad."}, {"max_output_tokens": 7}, {"instructions": "Late."}):
            await client.update_session(session)
        first = there.connections[0]
        await first.until("session.update", 4)
        await client.wait_for("session.updated", 5, lambda event: "instructions" in event.part("session"))
        first.drop()
        await client.wait_for(CONNECTED, 5)
        told = there.connections[1].got[0]["session"]
        assert told == {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": "Late.",
            "max_output_tokens": 7,
        }


@in_virtual_time
async def test_history_that_is_not_confirmed_holds_the_conversation_up_once(clock: VirtualClock) -> None:
    async def configures(connection: Connection) -> None:
        await connection.greet()
        await connection.until("session.update")
        await connection.send("session.updated", session={})

    async with service(configures, answers=False) as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        first = there.connections[0]
        for number in range(10):
            await first.hears(f"u{number}", "Hello?")
        await first.begins("r1", "a1")
        await first.says("r1", "a1", "Yes.", bytes(480))
        await client.wait_for("response.output_audio.delta", 5)
        first.drop()
        begun_s = clock.now()
        await client.wait_for(CONNECTED, 20)
        assert 5 <= clock.now() - begun_s <= 6
