"""The writer's thread: bounded, quick, and indifferent to a broken disk."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from antiphon.calls.events import AgentTextSpoken, SessionError
from antiphon.calls.log import CallLog
from antiphon.clock import VirtualClock, WallClock
from antiphon.store.calllog import LOG_NAME, call_folder, keep_log
from antiphon.store.files import FileWriter


class Held:
    """A sink that waits for permission, to keep the thread busy."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.items: list[Any] = []
        self.closed = False

    def write(self, items: list[Any]) -> None:
        self.go.wait(10)
        self.items += items

    def close(self) -> None:
        self.closed = True


class Broken:
    def write(self, items: list[Any]) -> None:
        raise OSError("no space left on device")

    def close(self) -> None:
        raise OSError("no space left on device")


async def test_items_come_in_order_and_closing_waits_for_them() -> None:
    writer, sink = FileWriter(), Held()
    sink.go.set()
    feed = writer.open(sink, capacity=1_000)
    for n in range(500):
        feed.put(n)
    async with asyncio.timeout(10):
        await feed.aclose()
    assert sink.items == list(range(500))
    assert sink.closed
    assert feed.dropped == 0
    writer.close()


async def test_full_feed_drops_and_counts_and_never_waits() -> None:
    writer, sink = FileWriter(), Held()
    feed = writer.open(sink, capacity=10)
    for n in range(1_000):
        feed.put(n)
    assert feed.dropped >= 970
    assert writer.dropped == feed.dropped
    sink.go.set()
    async with asyncio.timeout(10):
        await feed.aclose()
    assert len(sink.items) == 1_000 - feed.dropped
    assert writer.dropped == feed.dropped
    writer.close()


async def test_broken_disk_costs_its_own_file_only() -> None:
    writer, good = FileWriter(), Held()
    good.go.set()
    bad_feed, good_feed = writer.open(Broken(), capacity=10), writer.open(good, capacity=10)
    bad_feed.put("lost")
    good_feed.put("kept")
    async with asyncio.timeout(10):
        await bad_feed.aclose()
        await good_feed.aclose()
    assert bad_feed.dropped == 1
    assert good.items == ["kept"]
    writer.close()


async def test_close_writes_what_is_left() -> None:
    writer, sink = FileWriter(), Held()
    sink.go.set()
    feed = writer.open(sink, capacity=10)
    feed.put("last words")
    await asyncio.to_thread(writer.close)
    assert sink.items == ["last words"]


async def test_log_is_json_lines_with_the_events_fields(tmp_path: Path) -> None:
    writer, log = FileWriter(), CallLog("CA1", WallClock())
    feed, leave = keep_log(log, tmp_path, writer)
    log.append(AgentTextSpoken(speech=1, text="Grüße"))
    log.append(SessionError("bad_frame", "The message is not JSON."))
    leave()
    log.append(SessionError("late", "Nobody reads this."))
    async with asyncio.timeout(10):
        await feed.aclose()
    writer.close()
    lines = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert [line["type"] for line in lines] == ["agent.text", "session.error"]
    assert lines[0]["text"] == "Grüße"
    assert [line["seq"] for line in lines] == [1, 2]


@pytest.mark.parametrize("call_id", ["../../etc/passwd", "/abs", "a/b", "..", "", "x" * 999, "CA-1_2"])
def test_no_call_id_leads_out_of_the_folder(tmp_path: Path, call_id: str) -> None:
    folder = call_folder(tmp_path, call_id, VirtualClock.START)
    assert folder.resolve().parent == (tmp_path / "calls" / "2026-01-05").resolve()
    assert len(folder.name) <= 120
