"""A conversation over a real socket: configuration, sound, answers, both dialects, noise, refusals, the end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from structlog.testing import capture_logs

from antiphon.clock import VirtualClock
from antiphon.errors import (
    AntiphonException,
    ConfigurationError,
    IntegrationInvalidAuthException,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
)
from antiphon.realtime.client import CLOSED, RealtimeClient
from antiphon.realtime.endpoint import endpoint_for
from antiphon.realtime.errors import NotConnected, RequestRefused
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.reconnect import FATAL_CODES
from tests.realtime.server import Connection, in_virtual_time, service

DELTA = "response.output_audio.delta"
SILENCE = bytes(4_800)  # 100 ms


async def test_configuration_is_told_once_and_the_effective_one_is_kept() -> None:
    async with service() as there:
        async with RealtimeClient(there.endpoint("front desk"), {"instructions": "Be brief."}) as client:
            assert client.connected
            assert client.session["audio"]["output"]["voice"] == "marin"
            assert client.session["instructions"] == "Be brief."
        connection = there.connections[0]
        [update] = connection.of("session.update")
        assert update["session"] == {"type": "realtime", "output_modalities": ["audio"], "instructions": "Be brief."}
        assert connection.path == "/v1/realtime?model=front+desk"
        assert connection.headers["authorization"] == "Bearer key-1234"
        assert "sec-websocket-extensions" not in connection.headers
        assert "openai-beta" not in connection.headers
        assert not client.connected


@pytest.mark.parametrize("beta", [False, True])
async def test_spoken_turn_and_its_answer_in_both_dialects(beta: bool) -> None:
    heard: list[bytes] = []
    async with asyncio.timeout(20), service(beta=beta) as there:
        async with RealtimeClient(there.endpoint()) as client:
            client.on(DELTA, lambda event: heard.append(event.audio))
            connection = there.connections[0]
            for number in range(10):
                await client.append_audio(bytes([number]) * 480)
            await connection.until("input_audio_buffer.append", 10)
            assert connection.sound() == b"".join(bytes([number]) * 480 for number in range(10))
            await connection.hears("u1", "Hello.")
            await connection.begins("r1", "a1")
            for number in range(10):
                await connection.says("r1", "a1", "word ", bytes([number]) * 2_400)
            await connection.ends("r1")
            await client.wait_for("response.done", 5)
        assert b"".join(heard) == b"".join(bytes([number]) * 2_400 for number in range(10))
        words = [(turn.role, turn.text, turn.transcript_state) for turn in client.conversation.turns]
        assert words == [("user", "Hello.", "done"), ("assistant", "word " * 10, "done")]


async def test_every_method_sends_its_event_with_an_id_of_its_own() -> None:
    async with asyncio.timeout(20), service() as there, RealtimeClient(there.endpoint()) as client:
        connection = there.connections[0]
        sent = [
            await client.append_audio(SILENCE),
            await client.commit_input(),
            await client.clear_input(),
            await client.create_item({"type": "function_call_output", "call_id": "c", "output": ""}),
            await client.create_item({"type": "message", "id": "mine"}, previous_item_id="root"),
            await client.delete_item("i"),
            await client.retrieve_item("i"),
            await client.truncate_item("i", 70.9),
            await client.create_response({"instructions": "Now."}),
            await client.cancel_response("r"),
            await client.send({"type": "output_audio_buffer.clear", "event_id": "mine"}),
            await client.update_session({"instructions": "More."}),
        ]
        await connection.until("session.update", 2)
        got = connection.got[1:]
        assert [event["event_id"] for event in got] == sent
        assert len(set(sent)) == len(sent)
        assert max(len(event_id) for event_id in sent) <= 32
        assert [event["type"] for event in got] == [
            "input_audio_buffer.append",
            "input_audio_buffer.commit",
            "input_audio_buffer.clear",
            "conversation.item.create",
            "conversation.item.create",
            "conversation.item.delete",
            "conversation.item.retrieve",
            "conversation.item.truncate",
            "response.create",
            "response.cancel",
            "output_audio_buffer.clear",
            "session.update",
        ]
        assert len(got[3]["item"]["id"]) <= 32
        assert got[4]["item"]["id"] == "mine"
        assert got[4]["previous_item_id"] == "root"
        assert {key: got[7][key] for key in ("content_index", "audio_end_ms")} == {
            "content_index": 0,
            "audio_end_ms": 70,
        }
        assert got[8]["response"] == {"instructions": "Now."}
        assert got[11]["session"] == {"type": "realtime", "instructions": "More."}


async def test_too_little_to_be_speech_is_cleared_in_place_of_committed() -> None:
    async with asyncio.timeout(20), service() as there, RealtimeClient(there.endpoint()) as client:
        await client.append_audio(SILENCE[:-2])
        await client.commit_input()
        await there.connections[0].until("input_audio_buffer.clear")
        assert not there.connections[0].of("input_audio_buffer.commit")


async def test_nothing_can_be_sent_before_and_after_the_conversation() -> None:
    async with service() as there:
        client = RealtimeClient(there.endpoint())
        for attempt in (client.append_audio(SILENCE), client.cancel_response(), client.create_response()):
            with pytest.raises(NotConnected):
                await attempt
        async with client:
            pass
        with pytest.raises(NotConnected):
            await client.create_item({"type": "message"})
        with pytest.raises(ConfigurationError, match="new one"):
            await client.connect()
        await client.close()
        await client.wait_closed()


async def test_noise_between_events_is_counted_and_ends_nothing() -> None:
    told: list[ServerEvent] = []
    async with asyncio.timeout(20), service() as there, RealtimeClient(there.endpoint()) as client:
        client.on("antiphon.latency", told.append)
        connection = there.connections[0]
        for text in ("{", "[]", "7", '{"type": 3}', '{"type": "response.done"}', '{"type": "error", "error": "no"}'):
            await connection.raw(text)
        await connection.raw(b"\x00\xff")
        await connection.send("conversation.item.added", item={"id": 7, "content": 3}, previous_item_id={})
        await connection.send("response.done", response={"usage": 3, "status": {}, "status_details": []})
        await connection.send("session.updated", session={"audio": 7, "voice": [], "modalities": 3})
        await connection.send("antiphon.latency", ms=3)
        await connection.send("antiphon.handoff")
        await connection.send("response.video.delta", delta="x")
        await connection.send("rate_limits.updated", rate_limits=[])
        await client.wait_for("rate_limits.updated", 5)
        assert client.connected
        assert client.metrics.total("errors_total", category="protocol", code="unreadable_event") == 7
        assert client.metrics.total("unknown_events_total") == 2
    assert [event.body["ms"] for event in told] == [3]


async def test_neither_the_key_nor_what_is_said_is_in_a_log_of_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    # The server of this test writes with the library's own loggers.
    logging.getLogger("websockets.server").setLevel(logging.INFO)
    with capture_logs() as logs:
        async with asyncio.timeout(20), service() as there, RealtimeClient(there.endpoint(key="s3cret")) as client:
            connection = there.connections[0]
            await connection.hears("u1", "My number is 1234.")
            await connection.begins("r1", "a1")
            await connection.says("r1", "a1", "It is 1234.", SILENCE)
            await connection.fails("r1", "content_filter")
            await client.wait_for("response.done", 5)
    text = f"{caplog.text} {logs}"
    assert "Realtime service" in text
    assert "s3cret" not in text
    assert "1234" not in text


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, IntegrationInvalidRequestException),
        (401, IntegrationInvalidAuthException),
        (403, IntegrationInvalidAuthException),
        (404, IntegrationInvalidRequestException),
    ],
)
async def test_handshake_that_is_refused_for_good_is_tried_once(status: int, error: type[AntiphonException]) -> None:
    async with service(status) as there:
        client = RealtimeClient(there.endpoint(key="s3cret"))
        with capture_logs() as logs, pytest.raises(error, match=rf"\({status}\): Not today\.") as caught:
            await client.connect()
        assert caught.value.status_code == status
        assert there.refused == 1
        assert client.metrics.total("reconnections_total") == 0
        assert "s3cret" not in f"{caught.value} {logs}"
        with pytest.raises(error):
            await client.wait_closed()


@in_virtual_time
async def test_handshake_that_may_go_well_later_is_tried_again(clock: VirtualClock) -> None:
    async with service(429, 500, 503, 408, greet) as there:
        async with RealtimeClient(there.endpoint(), clock=clock) as client:
            assert client.connected
        assert there.refused == 4
        assert client.metrics.total("connect_failures_total") == 4
        assert client.metrics.total("reconnections_total") == 0
        assert 3.75 <= clock.now() <= 7.6  # 0.5 + 1 + 2 + 4 s, each at least half.


async def greet(connection: Connection) -> None:
    await connection.greet()


@in_virtual_time
async def test_nobody_there_is_given_up_after_five_tries(clock: VirtualClock) -> None:
    client = RealtimeClient(endpoint_for("antiphon", "m", base_url="http://127.0.0.1:9"), clock=clock)
    with pytest.raises(IntegrationUnavailableException, match=r"Nothing answers at ws://127\.0\.0\.1:9"):
        await client.connect()
    assert client.metrics.total("connect_failures_total", reason="unreachable") == 5


async def test_redirect_is_not_followed_with_the_key() -> None:
    async with service(302) as there:
        with pytest.raises(IntegrationInvalidRequestException, match="302"):
            await RealtimeClient(there.endpoint()).connect()
        assert there.refused == 1


@in_virtual_time
async def test_r46_a_service_that_does_not_speak_the_protocol_is_left_within_five_seconds(clock: VirtualClock) -> None:
    async def mute(_connection: Connection) -> None:
        pass

    async def babbles(connection: Connection) -> None:
        for text in ('{"hello": 1}', "<html>", "[1]", "42"):
            await connection.raw(text)

    for script in (mute, babbles):
        begun_s = clock.now()
        async with service(script) as there:
            client = RealtimeClient(there.endpoint(), clock=clock)
            with pytest.raises(IntegrationUnavailableException, match="said nothing of its protocol"):
                await client.connect()
            assert len(there.connections) == 1
        assert clock.now() - begun_s < 5


async def test_configuration_that_is_refused_ends_the_try_with_the_services_words() -> None:
    async def refuses(connection: Connection) -> None:
        await connection.greet()
        await connection.refuse(await connection.until("session.update"), "invalid_value")

    async with service(refuses, answers=False) as there:
        with pytest.raises(RequestRefused, match=r"No\.") as caught:
            await RealtimeClient(there.endpoint(), {"instructions": "x"}).connect()
        assert caught.value.code == "invalid_value"
        assert len(there.connections) == 1


@pytest.mark.parametrize("code", sorted(FATAL_CODES))
@pytest.mark.parametrize("how", ["code", "type", "response"])
async def test_fatal_error_ends_the_conversation_at_its_first_occurrence(code: str, how: str) -> None:
    async with asyncio.timeout(20), service() as there, RealtimeClient(there.endpoint()) as client:
        connection = there.connections[0]
        if how == "response":
            await connection.begins("r1")
            await connection.fails("r1", code)
        else:
            error = {"type": "invalid_request_error", "code": None, "message": "Not any more.", how: code}
            await connection.send("error", error=error)
        with pytest.raises(AntiphonException, match=code) as caught:
            await client.wait_closed()
        assert caught.value.code == code
        assert not caught.value.retryable
        assert len(there.connections) == 1


@pytest.mark.parametrize(("code", "is_error"), [(1000, False), (1008, True), (1009, True), (4000, True)])
async def test_close_for_good_is_the_end(code: int, is_error: bool) -> None:
    closed: list[str] = []
    async with asyncio.timeout(20), service() as there, RealtimeClient(there.endpoint()) as client:
        client.on(CLOSED, lambda event: closed.append(event.type))
        await there.connections[0].close(code, "over")
        if is_error:
            with pytest.raises(IntegrationInvalidRequestException, match=f"{code} over"):
                await client.wait_closed()
        else:
            await client.wait_closed()
        assert len(there.connections) == 1
    assert closed == [CLOSED]


async def test_harmless_errors_are_no_warnings_and_others_are() -> None:
    with capture_logs() as logs:
        async with asyncio.timeout(20), service() as there, RealtimeClient(there.endpoint()) as client:
            connection = there.connections[0]
            for code in ("response_cancel_not_active", "input_audio_buffer_commit_empty", "cannot_update_voice"):
                error = {"type": "invalid_request_error", "code": code, "message": "No."}
                await connection.send("error", error=error)
            await connection.send("rate_limits.updated")
            await client.wait_for("rate_limits.updated", 5)
            assert client.connected
            assert client.metrics.total("errors_total", category="api") == 3
    warned = [entry["error_code"] for entry in logs if entry["log_level"] == "warning"]
    assert warned == ["cannot_update_voice"]


async def test_request_gives_the_reply_or_raises_the_refusal() -> None:
    async with asyncio.timeout(20), service() as there, RealtimeClient(there.endpoint()) as client:
        connection = there.connections[0]
        item = {"type": "message", "role": "system", "id": "s1", "content": []}
        create = {"type": "conversation.item.create", "item": item}
        added = await client.request(create, "conversation.item.added", timeout_s=5)
        assert added.item_id == "s1"
        asking = asyncio.create_task(
            client.request({"type": "conversation.item.retrieve", "item_id": "x"}, "nothing", timeout_s=5)
        )
        await connection.refuse(await connection.until("conversation.item.retrieve"), "item_retrieve_invalid_item_id")
        with pytest.raises(RequestRefused, match="refuses"):
            await asking
        with pytest.raises(TimeoutError):
            await client.wait_for("nothing", 0.01)


@in_virtual_time
async def test_failed_response_is_asked_for_once_more_a_second_later(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        connection = there.connections[0]
        await client.create_response({"instructions": "Greet."})
        await connection.until("response.create")
        for number in (1, 2):
            await connection.begins(f"r{number}")
            await connection.fails(f"r{number}", "rate_limit_exceeded")
            await client.wait_for("response.done", 5)
            failed_s = clock.now()
            if number == 1:
                again = await connection.until("response.create", 2)
                assert again["response"] == {"instructions": "Greet."}
                assert 1.0 <= clock.now() - failed_s <= 1.1
        await clock.sleep(30)
        assert len(connection.of("response.create")) == 2
        assert client.metrics.total("responses_total", status="failed") == 2


async def test_handler_that_fails_or_dawdles_hurts_only_itself() -> None:
    order: list[Any] = []
    stuck = asyncio.Event()

    def fails(_event: ServerEvent) -> None:
        raise RuntimeError("a bug")

    async def dawdles(event: ServerEvent) -> None:
        await stuck.wait()
        order.append(event.body["number"])

    async with asyncio.timeout(20), service() as there, RealtimeClient(there.endpoint()) as client:
        client.on("rate_limits.updated", fails)
        client.on("rate_limits.updated", dawdles)
        client.on(("rate_limits.updated", "conversation.created"), lambda event: order.append(event.type))
        connection = there.connections[0]
        for number in range(3):
            await connection.send("rate_limits.updated", number=number)
        await connection.send("conversation.created")
        await client.wait_for("conversation.created", 5)
        await connection.send("rate_limits.updated", number=3)
        await client.wait_for("rate_limits.updated", 5)
        await asyncio.sleep(0)
        assert order[:4] == [*["rate_limits.updated"] * 3, "conversation.created"]
        stuck.set()
        await connection.send("conversation.created")
        await client.wait_for("conversation.created", 5)
        assert client.connected
        assert client.metrics.total("errors_total", category="handler") == 4
    assert [entry for entry in order if isinstance(entry, int)] == [0, 1, 2, 3]


@in_virtual_time
async def test_close_waits_two_seconds_for_a_handler_and_no_longer(clock: VirtualClock) -> None:
    async def never_ends(_event: ServerEvent) -> None:
        await clock.sleep(3_600)

    async with service() as there:
        client = RealtimeClient(there.endpoint(), clock=clock)
        client.on("session.created", never_ends)
        await client.connect()
        begun_s = clock.now()
        await client.close()
        assert clock.now() - begun_s <= 2.1
    assert len(asyncio.all_tasks()) == 1


async def test_program_that_goes_away_while_connecting_leaves_nothing_behind() -> None:
    async with service() as there:
        client = RealtimeClient(there.endpoint())
        connecting = asyncio.create_task(client.connect())
        await there.connection(1)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert [task for task in asyncio.all_tasks() if task.get_name() == "realtime client"] == []
