from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.store import calls as calls_module
from antiphon.store.calls import PastCalls, Wanted
from antiphon.store.summary import Tally

ALL = Wanted()
STARTED = {"type": "session.started", "session_id": "ses_1", "call_id": "CA1", "agent": "desk", "carrier": "twilio"}


def call_lines(**started: str) -> list[dict[str, Any]]:
    events = [
        {**STARTED, "started_at": "2026-03-01T10:00:00+00:00", "models": {"stt": "moonshine"}, **started},
        {"type": "agent.text", "speech": 1, "text": "Good morning."},
        {
            "type": "floor.decision",
            "event": {"type": "turn.completed", "interrupted": True},
            "actions": [],
            "phase": "x",
        },
        {"type": "turn.completed", "turn": 1, "user_text": "", "agent_text": "Good morning.", "interrupted": False},
        {"type": "user.turn_completed", "turn": 2, "text": "Do you open on Sunday?", "trigger": "silence"},
        {"type": "turn.metrics", "turn": 2, "first_audio_ms": 400.0},
        {"type": "turn.completed", "turn": 2, "user_text": "Do you", "agent_text": "No.", "interrupted": True},
        {"type": "turn.metrics", "turn": 3, "first_audio_ms": 600.0},
        {"type": "turn.metrics", "turn": 4, "first_audio_ms": None},
        {"type": "session.ended", "reason": "user_hangup", "duration_s": 12.5, "turns": 3, "error": None},
    ]
    return [{"seq": n, "at": n * 1.0, **event} for n, event in enumerate(events, 1)]


def write_call(
    data_dir: Path, name: str, *, date: str = "2026-03-01", mtime: float = 1_000.0, lines: list[Any] | None = None
) -> Path:
    folder = data_dir / "calls" / date / name
    folder.mkdir(parents=True)
    entries = call_lines(call_id=name) if lines is None else lines
    path = folder / "log.jsonl"
    path.write_bytes(b"".join(json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in entries))
    os.utime(path, (mtime, mtime))
    return folder


def ids(data_dir: Path, **wanted: str) -> list[str]:
    return [call.id for call in PastCalls(data_dir).page(50, wanted=Wanted(**wanted)).calls]


def test_summary_tells_what_the_log_holds(tmp_path: Path) -> None:
    write_call(tmp_path, "CA1")
    (call,) = PastCalls(tmp_path).page(10, wanted=ALL).calls
    assert call.id == "2026-03-01.CA1"
    assert (call.agent, call.carrier, call.call_id) == ("desk", "twilio", "CA1")
    assert (call.state, call.end_reason, call.duration_s, call.turns) == ("ended", "user_hangup", 12.5, 3)
    assert (call.first_audio_p50_ms, call.interruptions) == (500.0, 1)
    assert call.preview == "Do you open on Sunday?"
    assert not call.has_recording


def test_reply_that_the_end_of_the_call_cut_is_no_interruption(tmp_path: Path) -> None:
    lines = call_lines()
    cut = {**lines[6], "at": 9.9}
    write_call(tmp_path, "CA1", lines=[*lines[:9], cut, lines[9]])
    assert PastCalls(tmp_path).page(10, wanted=ALL).calls[0].interruptions == 1


def test_call_whose_process_died_ends_with_its_last_whole_line(tmp_path: Path) -> None:
    folder = write_call(tmp_path, "CA1", lines=call_lines()[:5])
    with (folder / "log.jsonl").open("ab") as file:
        file.write(b'{"seq":6,"at":99.0,"type":"turn.metr')
    past = PastCalls(tmp_path)
    (call,) = past.page(10, wanted=ALL).calls
    assert (call.state, call.end_reason, call.duration_s, call.turns) == ("ended", None, 5.0, 1)
    assert [entry.seq for entry in past.entries(call.id)] == [1, 2, 3, 4, 5]


def test_broken_lines_and_foreign_folders_are_left_out(tmp_path: Path) -> None:
    folder = write_call(tmp_path, "CA1")
    text = (folder / "log.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "log.jsonl").write_bytes(text[0] + b'{"seq": oh\n\xff\xfe\n[]\n' + b"".join(text[1:]))
    write_call(tmp_path, "no-call", lines=[{"seq": 1, "at": 0, "type": "turn.completed"}])
    (tmp_path / "calls" / "2026-03-01" / "empty").mkdir()
    (tmp_path / "calls" / "notes").mkdir()
    past = PastCalls(tmp_path)
    (call,) = past.page(10, wanted=ALL).calls
    assert call.turns == 3
    assert [entry.seq for entry in past.entries(call.id)] == list(range(1, 11))


def test_pages_follow_each_other_without_gap_or_overlap(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        for n in range(7):
            write_call(tmp_path, f"CA{n}", date=f"2026-03-0{day}", mtime=1_000.0 + n // 2)
    past = PastCalls(tmp_path)
    seen: list[str] = []
    before = None
    for _ in range(6):
        page = past.page(4, before, wanted=ALL)
        seen += [call.id for call in page.calls]
        before = page.next
        if before is None:
            break
    assert before is None
    assert len(seen) == len(set(seen)) == 21
    assert seen == [call.id for call in past.page(100, wanted=ALL).calls]
    assert seen[0] == "2026-03-03.CA6"
    assert seen[-1] == "2026-03-01.CA0"


def test_filters_by_agent_carrier_and_words(tmp_path: Path) -> None:
    write_call(tmp_path, "CA1", lines=call_lines(agent="billing"))
    write_call(tmp_path, "CA2", lines=call_lines(carrier="plivo", call_id="long-call-id"))
    assert ids(tmp_path, agent="billing") == ["2026-03-01.CA1"]
    assert ids(tmp_path, carrier="plivo") == ["2026-03-01.CA2"]
    assert ids(tmp_path, q="CALL-ID") == ["2026-03-01.CA2"]
    assert len(ids(tmp_path, q="sunday")) == 2
    assert ids(tmp_path, q="monday") == []


def test_page_reads_a_bounded_number_of_logs_and_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "MAX_READ", 5)
    for n in range(12):
        write_call(tmp_path, f"CA{n:02}", mtime=1_000.0 + n, lines=call_lines(agent="rare" if n == 0 else "desk"))
    past = PastCalls(tmp_path)
    wanted = Wanted(agent="rare")
    pages = [past.page(50, wanted=wanted)]
    while pages[-1].next is not None:
        pages.append(past.page(50, pages[-1].next, wanted=wanted))
    assert [len(page.calls) for page in pages] == [0, 0, 1]


def test_changed_log_is_read_again(tmp_path: Path) -> None:
    folder = write_call(tmp_path, "CA1", lines=call_lines()[:4])
    past = PastCalls(tmp_path)
    assert past.page(1, wanted=ALL).calls[0].end_reason is None
    with (folder / "log.jsonl").open("ab") as file:
        file.writelines(json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in call_lines()[4:])
    assert past.page(1, wanted=ALL).calls[0].end_reason == "user_hangup"


def test_calls_told_elsewhere_stay_out(tmp_path: Path) -> None:
    write_call(tmp_path, "CA1")
    write_call(tmp_path, "CA2")
    page = PastCalls(tmp_path).page(10, wanted=ALL, without={"2026-03-01.CA2"})
    assert [call.id for call in page.calls] == ["2026-03-01.CA1"]


def test_log_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    noise = {"seq": 0, "at": 0.0, "type": "floor.decision", "event": {"text": "x" * 1_000}}
    first, *rest = call_lines()
    write_call(tmp_path, "CA1", lines=[first, *[noise] * 600, *rest])
    (call,) = PastCalls(tmp_path).page(1, wanted=ALL).calls
    assert (call.turns, call.first_audio_p50_ms) == (3, 500.0)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc.passwd",
        "2026-03-01.../../../secret",
        "2026-03-01...",
        "2026-03-01.a/b",
        "2026-03-01.a\x00",
        "2026-03-01.",
        "..2026-03-01",
        "2026-03-01.CA1\n",
        "",
    ],
)
def test_names_that_are_no_ids_lead_nowhere(tmp_path: Path, name: str) -> None:
    write_call(tmp_path, "CA1")
    past = PastCalls(tmp_path)
    assert past.summary(name) is None
    assert past.entries(name) == []
    assert past.recording(name) is None


@given(st.text(max_size=40))
def test_no_name_leaves_the_folder_of_calls(name: str) -> None:
    root = Path("/data")
    folder = PastCalls(root)._folder(f"2026-03-01.{name}")
    assert folder is None or Path(os.path.normpath(folder)).parent == root / "calls" / "2026-03-01"


@pytest.mark.parametrize("cursor", ["", "x", "2026-03-01.1", "2026-03-01.-1.CA1", "2026-03-01.1.../x"])
def test_wrong_cursor_is_told(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(ValueError, match="next"):
        PastCalls(tmp_path).page(1, cursor, wanted=ALL)


def test_no_data_folder_is_no_calls(tmp_path: Path) -> None:
    assert PastCalls(tmp_path / "none").page(1, wanted=ALL).calls == []


@given(
    st.dictionaries(
        st.sampled_from(["at", "text", "turns", "reason", "duration_s", "models", "first_audio_ms"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.dictionaries(st.text(), st.text()),
    ),
    st.sampled_from(sorted(Tally.TYPES)),
)
def test_tally_takes_what_other_versions_wrote(fields: dict[str, Any], kind: str) -> None:
    tally = Tally()
    tally.add({**fields, "type": kind})
    assert tally.summary("x.y", is_live=False, has_recording=False).id == "x.y"
