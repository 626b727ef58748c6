"""Breaking in: what is sent, what is dropped, and what both histories hold of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from antiphon.realtime.client import RealtimeClient
from tests.realtime.server import VAD, Connection, service

SECOND = bytes(48_000)


def without_cancel(connection: Connection) -> Any:
    """A session in which the service leaves cancelling to the client."""
    detection = {**VAD, "interrupt_response": False}
    return connection.greet(audio={"input": {"turn_detection": detection}})


@asynccontextmanager
async def answering(*, cancels: bool, done: bool = False) -> AsyncIterator[tuple[RealtimeClient, Connection]]:
    """A client in the middle of an answer of one second, or at its end."""

    async def begins(connection: Connection) -> None:
        await (connection.greet() if cancels else without_cancel(connection))

    async with asyncio.timeout(20), service(begins, answers=False) as there:
        client = RealtimeClient(there.endpoint())
        connecting = asyncio.create_task(client.connect())
        connection = await there.connection(1)
        await connection.until("session.update")
        detection = {**VAD, "interrupt_response": cancels}
        await connection.send("session.updated", session={"audio": {"input": {"turn_detection": detection}}})
        await connecting
        await connection.hears("u1", "Tell me a story.")
        await connection.begins("r1", "a1")
        await connection.says("r1", "a1", "Once upon a time", SECOND)
        if done:
            await connection.ends("r1")
        await client.wait_for("response.done" if done else "response.output_audio.delta", 5)
        yield client, connection
        await client.close()


def sent(connection: Connection) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in event.items() if key not in ("event_id", "content_index")}
        for event in connection.got[1:]
    ]


async def settled(client: RealtimeClient, connection: Connection) -> None:
    """Everything that was sent before has come, both ways."""
    await client.retrieve_item("mark")
    await connection.until("conversation.item.retrieve")
    connection.got.pop()
    await connection.send("rate_limits.updated")
    await client.wait_for("rate_limits.updated", 5)


async def test_service_that_cancels_itself_is_told_what_was_heard_only() -> None:
    async with answering(cancels=True) as (client, connection):
        await client.interrupt("a1", 500)
        await settled(client, connection)
        assert sent(connection) == [{"type": "conversation.item.truncate", "item_id": "a1", "audio_end_ms": 500}]
        turn = client.conversation.turns[-1]
        assert (turn.text, turn.text_generated) == ("Once", "Once upon a time")
        assert (turn.heard_ms, turn.generated_ms, turn.interrupted) == (500, 1_000, True)


async def test_other_services_are_told_to_cancel_first() -> None:
    async with answering(cancels=False) as (client, connection):
        await client.interrupt("a1", 500)
        await settled(client, connection)
        assert sent(connection) == [
            {"type": "response.cancel", "response_id": "r1"},
            {"type": "conversation.item.truncate", "item_id": "a1", "audio_end_ms": 500},
        ]


async def test_answer_of_which_nothing_was_played_is_deleted() -> None:
    async with answering(cancels=True) as (client, connection):
        await client.interrupt("a1", 0)
        await settled(client, connection)
        assert sent(connection) == [{"type": "conversation.item.delete", "item_id": "a1"}]
        assert client.conversation.turns[-1].text == ""


async def test_finished_answer_that_still_plays_is_truncated() -> None:
    async with answering(cancels=False, done=True) as (client, connection):
        await client.interrupt("a1", 700)
        await settled(client, connection)
        assert sent(connection) == [{"type": "conversation.item.truncate", "item_id": "a1", "audio_end_ms": 700}]


async def test_answer_that_was_heard_whole_is_left_alone() -> None:
    async with answering(cancels=False, done=True) as (client, connection):
        await client.interrupt("a1", 1_000)
        await settled(client, connection)
        assert sent(connection) == []
        assert not client.conversation.turns[-1].interrupted


async def test_more_than_came_is_never_told_as_heard() -> None:
    async with answering(cancels=True) as (client, connection):
        await client.interrupt("a1", 1_300)
        await settled(client, connection)
        assert sent(connection) == [{"type": "conversation.item.truncate", "item_id": "a1", "audio_end_ms": 1_000}]


async def test_answer_that_waits_behind_the_one_that_plays_is_cut_too() -> None:
    async with answering(cancels=False, done=True) as (client, connection):
        await connection.begins("r2", "a2")
        await connection.says("r2", "a2", "And then", SECOND)
        await client.wait_for("response.output_audio.delta", 5, lambda event: event.item_id == "a2")
        for item_id, played_ms in (("a1", 1_000), ("a2", 0), ("a1", 1_000)):
            await client.interrupt(item_id, played_ms)
        await settled(client, connection)
        assert sent(connection) == [
            {"type": "response.cancel", "response_id": "r2"},
            {"type": "conversation.item.delete", "item_id": "a2"},
        ]
        assert [turn.text for turn in client.conversation.turns][1:] == ["Once upon a time", ""]


async def test_answers_of_one_response_are_cut_once_each() -> None:
    async with answering(cancels=True) as (client, connection):
        item = {"id": "a2", "type": "message", "role": "assistant", "content": []}
        await connection.send("response.output_item.added", response_id="r1", output_index=1, item=item)
        await connection.says("r1", "a2", "The end", SECOND)
        await client.wait_for("response.output_audio.delta", 5)
        for item_id, played_ms in (("a1", 500), ("a2", 0), ("a1", 700)):
            await client.interrupt(item_id, played_ms)
        await settled(client, connection)
        assert sent(connection) == [
            {"type": "conversation.item.truncate", "item_id": "a1", "audio_end_ms": 500},
            {"type": "conversation.item.delete", "item_id": "a2"},
        ]
        assert [turn.text for turn in client.conversation.turns][1:] == ["Once", ""]


async def test_answer_without_an_item_yet_is_only_cancelled() -> None:
    async with answering(cancels=False, done=True) as (client, connection):
        await connection.begins("r2")
        await client.wait_for("response.created", 5)
        await client.interrupt("", 0)
        await settled(client, connection)
        assert sent(connection) == [{"type": "response.cancel", "response_id": "r2"}]


async def test_late_deltas_are_dropped_and_counted_until_the_next_answer() -> None:
    heard: list[bytes] = []
    async with answering(cancels=True) as (client, connection):
        client.on("response.output_audio.delta", lambda event: heard.append(event.audio))
        await client.interrupt("a1", 500)
        await connection.says("r1", "a1", " there was", bytes(480))
        await connection.ends("r1", "cancelled", status_details={"type": "cancelled", "reason": "turn_detected"})
        await connection.says("r1", "a1", " a king", bytes(480))
        await connection.hears("u2", "Wait.")
        await connection.begins("r2", "a2")
        await connection.says("r2", "a2", "Yes?", bytes(960))
        await connection.ends("r2")
        await client.wait_for("response.done", 5, lambda event: event.response_id == "r2")
        await settled(client, connection)
        assert heard == [bytes(960)]
        assert client.metrics.total("late_deltas_total") == 4
        words = [turn.text for turn in client.conversation.turns]
        assert words == ["Tell me a story.", "Once", "Wait.", "Yes?"]
        assert client.metrics.total("responses_total", status="cancelled", reason="turn_detected") == 1


async def test_sound_that_waits_for_a_handler_is_dropped_too() -> None:
    heard: list[int] = []
    go_on = asyncio.Event()

    async with answering(cancels=True) as (client, connection):

        async def plays(event: Any) -> None:
            heard.append(len(event.audio))
            await go_on.wait()

        client.on("response.output_audio.delta", plays)
        for size in (480, 960, 1_440):
            await connection.says("r1", "a1", sound=bytes(size))
        await settled(client, connection)
        client.drop(item_id="a1")
        go_on.set()
        await settled(client, connection)
    assert heard == [480]
    assert client.metrics.total("late_deltas_total") == 2
