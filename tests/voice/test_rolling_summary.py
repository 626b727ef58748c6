from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.transports.local.mic import RATE_HZ
from antiphon.voice.facts import FactsSheet
from antiphon.voice.memory import MemoryStore
from antiphon.voice.summaries import SummaryRequest, SummaryResult
from tests.realtime.server import SESSION, Connection, greets, in_virtual_time
from tests.voice.talks import Talk, answered, arrived, sound_of, talking, user_said

TRIGGER: dict[str, Any] = {"summary_trigger_tokens": 1000, "summary_min_interval_s": 0, "language_policy": "en"}
CREATE, DELETED = "conversation.item.create", "conversation.item.delete"


class Writer:
    """Writes what a test says, and keeps what it read."""

    def __init__(self, write: Callable[[SummaryRequest], SummaryResult] | Exception, *, wait_s: float = 0.0) -> None:
        self.requests: list[SummaryRequest] = []
        self._write = write
        self._wait_s = wait_s

    async def summarize(self, request: SummaryRequest) -> SummaryResult:
        self.requests.append(request)
        await asyncio.sleep(self._wait_s)
        if isinstance(self._write, Exception):
            raise self._write
        return self._write(request)


def numbered(request: SummaryRequest) -> SummaryResult:
    return SummaryResult(f"{len(request.lines)} lines.", {"last": request.lines[-1]})


async def turn(talk: Talk, number: int, *, tokens: int = 0, words: str = "") -> None:
    await user_said(talk, f"u{number}", words or f"question {number}")
    await answered(talk, number, f"answer {number}", tokens=tokens)


async def applied(talk: Talk, clock: VirtualClock) -> None:
    for _ in range(20):
        await arrived(talk)
        await clock.sleep(0.05)


def outcomes(talk: Talk) -> dict[str, int]:
    metrics = talk.program.client.metrics
    names = ("ok", "deferred", "failed", "stale")
    return {name: count for name in names if (count := metrics.total("summaries_total", outcome=name))}


def ids(talk: Talk) -> list[str]:
    return [turn.item_id for turn in talk.program.client.conversation.turns]


@in_virtual_time
async def test_the_threshold_makes_one_summary_that_stands_first_and_then_deletes(clock: VirtualClock) -> None:
    writer = Writer(numbered)
    async with talking(clock, summarizer=writer, **TRIGGER) as talk:
        await turn(talk, 1, tokens=400)
        await turn(talk, 2, tokens=900)
        assert not writer.requests
        await turn(talk, 3, tokens=1100)
        await applied(talk, clock)
        assert [len(request.lines) for request in writer.requests] == [4]
        created = talk.line.of(CREATE)
        assert len(created) == 1
        assert created[0]["previous_item_id"] == "root"
        item = created[0]["item"]
        assert item["role"] == "system"
        assert item["id"].startswith("sum_")
        assert len(item["id"]) <= 32
        assert item["content"][0]["text"] == "Synopsis: 4 lines.\nFacts: last: assistant: answer 2"
        assert [event["item_id"] for event in talk.line.of(DELETED)] == ["u1", "a1", "u2", "a2"]
        assert talk.line.got.index(created[0]) < talk.line.got.index(talk.line.of(DELETED)[0])
        assert ids(talk) == [item["id"], "u3", "a3"]
        assert talk.program.client.conversation.turns[0].role == "system"
        assert outcomes(talk) == {"ok": 1}


@in_virtual_time
async def test_the_next_summary_replaces_the_former_one(clock: VirtualClock) -> None:
    writer = Writer(numbered)
    async with talking(clock, summarizer=writer, **TRIGGER) as talk:
        for number in range(1, 4):
            await turn(talk, number, tokens=1100 if number == 3 else 10)
        await applied(talk, clock)
        first = talk.program.client.conversation.summary_item_id
        await turn(talk, 4, tokens=10)
        await turn(talk, 5, tokens=1200)
        await applied(talk, clock)
        second = talk.program.client.conversation.summary_item_id
        assert second != first
        assert first in [event["item_id"] for event in talk.line.of(DELETED)]
        assert ids(talk) == [second, "u5", "a5"]
        assert writer.requests[1].synopsis == "4 lines."
        assert writer.requests[1].facts == "last: assistant: answer 2"
        assert talk.program.client.conversation.summary_count == 2


@in_virtual_time
async def test_a_fact_of_the_first_turn_outlives_five_summaries(clock: VirtualClock) -> None:
    def write(request: SummaryRequest) -> SummaryResult:
        names = {"name": "Ada"} if any("I am Ada" in line for line in request.lines) else {}
        return SummaryResult("So far.", names)

    writer = Writer(write)
    async with talking(clock, summarizer=writer, **TRIGGER) as talk:
        await turn(talk, 1, words="I am Ada")
        for number in range(2, 8):
            await turn(talk, number, tokens=1100 + number)
            await applied(talk, clock)
        assert talk.program.client.conversation.summary_count >= 5
        assert talk.program.facts.text == "name: Ada"
        assert "name: Ada" in talk.line.of(CREATE)[-1]["item"]["content"][0]["text"]
        for request in writer.requests:
            kept = {f"user: question {number}" for number in range(7, 8)}
            assert not kept & set(request.lines)


@in_virtual_time
async def test_missing_words_put_it_off_and_their_coming_makes_it(clock: VirtualClock) -> None:
    writer = Writer(numbered)
    async with talking(clock, summarizer=writer, **TRIGGER) as talk:
        item = {"id": "u1", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
        await talk.line.add(item, None)
        await answered(talk, 1, "answer 1")
        await turn(talk, 2, tokens=1100)
        await arrived(talk)
        assert outcomes(talk) == {"deferred": 1}
        assert not writer.requests
        where = {"item_id": "u1", "content_index": 0}
        await talk.line.send("conversation.item.input_audio_transcription.completed", **where, transcript="late words")
        await applied(talk, clock)
        assert outcomes(talk) == {"deferred": 1, "ok": 1}
        assert writer.requests[0].lines[0] == "user: late words"


@in_virtual_time
async def test_words_that_never_come_hold_nothing_up_for_ever(clock: VirtualClock) -> None:
    writer = Writer(numbered)
    async with talking(clock, summarizer=writer, **TRIGGER) as talk:
        item = {"id": "u1", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
        await talk.line.add(item, None)
        await answered(talk, 1, "answer 1")
        await turn(talk, 2, tokens=1100)
        await clock.sleep(20)
        assert len(talk.line.of("conversation.item.retrieve")) == 3
        assert writer.requests[0].lines[0] == "user: [inaudible]"
        assert outcomes(talk) == {"deferred": 1, "ok": 1}


@pytest.mark.parametrize("broken", [IntegrationUnavailableException("away"), ValueError("a bug"), TimeoutError()])
def test_a_summarizer_that_fails_changes_nothing_and_waits_longer(broken: Exception) -> None:
    clock = VirtualClock()

    async def main() -> None:
        writer = Writer(broken)
        async with talking(clock, summarizer=writer, **{**TRIGGER, "summary_min_interval_s": 20}) as talk:
            for number in range(1, 4):
                await turn(talk, number, tokens=1100)
            await applied(talk, clock)
            assert outcomes(talk) == {"failed": 1}
            assert ids(talk) == ["u1", "a1", "u2", "a2", "u3", "a3"]
            assert not talk.line.of(CREATE)
            await clock.sleep(25)
            await turn(talk, 4, tokens=1100)
            assert len(writer.requests) == 1
            await clock.sleep(20)
            await turn(talk, 5, tokens=1100)
            assert len(writer.requests) == 2
            assert talk.program.client.connected

    clock.run(main())


@in_virtual_time
async def test_a_refused_item_leaves_the_history_whole(clock: VirtualClock) -> None:
    async def refuses(connection: Connection) -> None:
        await connection.greet()
        await connection.until("session.update")
        await connection.send("session.updated", session=SESSION)
        await connection.refuse(await connection.until(CREATE), "invalid_value")

    async with talking(clock, refuses, answers=False, summarizer=Writer(numbered), **TRIGGER) as talk:
        await turn(talk, 1)
        await turn(talk, 2, tokens=1100)
        await applied(talk, clock)
        assert outcomes(talk) == {"failed": 1}
        assert not talk.line.of(DELETED)
        assert ids(talk) == ["u1", "a1", "u2", "a2"]
        assert talk.program.client.conversation.summary_item_id is None


@in_virtual_time
async def test_an_item_that_is_never_confirmed_is_taken_back(clock: VirtualClock) -> None:
    async def silent(connection: Connection) -> None:
        await connection.greet()
        await connection.until("session.update")
        await connection.send("session.updated", session=SESSION)

    async with talking(clock, silent, answers=False, summarizer=Writer(numbered), **TRIGGER) as talk:
        await turn(talk, 1)
        await turn(talk, 2, tokens=1100)
        await clock.sleep(16)
        made = talk.line.of(CREATE)[0]["item"]["id"]
        assert {event["item_id"] for event in talk.line.of(DELETED)} == {made}
        assert outcomes(talk) == {"failed": 1}
        assert ids(talk) == ["u1", "a1", "u2", "a2"]


@in_virtual_time
async def test_a_new_connection_meanwhile_makes_it_stale(clock: VirtualClock) -> None:
    writer = Writer(numbered, wait_s=5.0)
    async with talking(clock, greets, greets, summarizer=writer, **TRIGGER) as talk:
        await turn(talk, 1)
        await turn(talk, 2, tokens=1100)
        await clock.sleep(0.1)
        assert len(writer.requests) == 1
        talk.line.drop()
        await talk.there.connection(2)
        await clock.sleep(6.0)
        assert outcomes(talk) == {"stale": 1}
        assert len(ids(talk)) == 4
        assert talk.program.client.connected


@in_virtual_time
async def test_sound_goes_on_while_a_summary_takes_ten_seconds(clock: VirtualClock) -> None:
    writer = Writer(numbered, wait_s=10.0)
    async with talking(clock, summarizer=writer, **TRIGGER) as talk:
        await turn(talk, 1)
        await turn(talk, 2, tokens=1100)
        await clock.sleep(0.1)
        assert talk.program.client.conversation.summarising
        sent = len(talk.line.sound())
        await talk.line.begins("r9", "a9")
        for _ in range(100):
            await talk.line.says("r9", "a9", "", sound_of(40))
            await clock.sleep(0.04)
        assert talk.program.player.underruns == 0
        assert talk.program.player.playout("a9").played_ms > 3500
        assert len(talk.line.sound()) - sent == pytest.approx(4 * 2 * RATE_HZ, rel=0.05)


@in_virtual_time
async def test_it_waits_for_a_moment_without_an_answer(clock: VirtualClock) -> None:
    async with talking(clock, summarizer=Writer(numbered, wait_s=0.2), **TRIGGER) as talk:
        await turn(talk, 1)
        await turn(talk, 2, tokens=1100)
        await talk.line.begins("r9", "a9")
        await clock.sleep(1.0)
        assert not talk.line.of(CREATE)
        await talk.line.ends("r9", usage={"total_tokens": 10})
        await applied(talk, clock)
        assert outcomes(talk) == {"ok": 1}


@in_virtual_time
async def test_the_summarizer_reads_no_personal_data(clock: VirtualClock) -> None:
    writer = Writer(numbered)
    async with talking(clock, summarizer=writer, **TRIGGER) as talk:
        await turn(talk, 1, words="I am ada@example.com, call 555 123 4567.")
        await turn(talk, 2, tokens=1100)
        await applied(talk, clock)
        assert writer.requests[0].lines[0] == "user: I am [REDACTED_EMAIL], call [REDACTED_PHONE]."


@in_virtual_time
async def test_without_a_summarizer_the_history_grows(clock: VirtualClock) -> None:
    async with talking(clock, summary_model="none", **TRIGGER) as talk:
        for number in range(1, 4):
            await turn(talk, number, tokens=2000)
        await applied(talk, clock)
        assert len(ids(talk)) == 6
        assert outcomes(talk) == {}


def test_facts_are_told_at_the_start_and_saved_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    clock = VirtualClock()
    sheet = FactsSheet()
    sheet.put("name", "Ada", at=clock.utc())
    MemoryStore(path).save("They met.", sheet)

    async def main() -> None:
        async with talking(clock, memory_path=path, tools=None, **TRIGGER) as talk:
            await talk.line.until(CREATE)
            text = talk.line.of(CREATE)[0]["item"]["content"][0]["text"]
            assert text == "Synopsis: They met.\nFacts: name: Ada"
            assert set(talk.program.tools.names) == {"remember_fact", "forget_fact"}
            await talk.line.begins("r1")
            await talk.line.calls("r1", "call_1", "remember_fact", '{"key": "mail", "value": "ada@example.com"}')
            await talk.line.calls("r1", "call_2", "forget_fact", '{"key": "name"}', 1)
            await talk.line.ends("r1")
            await talk.line.until("response.create")

    clock.run(main())
    synopsis, saved = MemoryStore(path).load()
    assert synopsis == "They met."
    assert saved.text == "mail: [REDACTED_EMAIL]"
    assert np.frombuffer(path.read_bytes(), np.uint8).size > 0
