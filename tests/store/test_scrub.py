"""Personal data stays out of stored logs, also where it is split over clauses."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.calls import events
from antiphon.calls.log import CallLog, Entry
from antiphon.clock import WallClock
from antiphon.redaction import Redactor
from antiphon.store.calllog import LOG_NAME, keep_log
from antiphon.store.files import FileWriter
from antiphon.store.scrub import MOST_HELD, EntryScrubber

PLANTED = ("ann@example.com", "4111 1111 1111 1111", "+1 415 555 0199", "DE89370400440532013000")


async def written(folder: Path, told: list[events.CallEvent], *, scrubs: bool) -> list[dict[str, Any]]:
    writer = FileWriter()
    log = CallLog("CA4155550199", WallClock())
    feed, _ = keep_log(log, folder, writer, scrubs=scrubs)
    for event in told:
        log.append(event)
    await feed.aclose()
    writer.close()
    return [json.loads(line) for line in (folder / LOG_NAME).read_text().splitlines()]


def a_call(secret: str, cut: int) -> list[events.CallEvent]:
    sentence = f"I noted {secret} for you."
    return [
        events.SessionStarted(
            "ses_0123456789abcdef", "CA4155550199", "desk", "twilio", "mulaw/8000", "2026-11-29T17:00Z"
        ),
        events.UserTranscription(f"it is {secret[:-1]}", False, 1),
        events.UserTranscription(f"It is {secret}.", True, 1),
        events.FloorDecision({"type": "Heard", "text": f"It is {secret[:-1]}", "final": False}, [], "hearing"),
        events.FloorDecision(
            {"type": "Heard", "text": f"It is {secret}.", "final": True}, [{"text": secret}], "pausing"
        ),
        events.UserTurnCompleted(1, f"It is {secret}.", "silence"),
        events.ToolCalled("call_1", "save", {"value": secret, "password": "hunter2"}),
        events.ToolExecuted("call_1", "save", f"saved {secret}", False, 12.5),
        events.AgentTextSpoken(2, sentence[:cut]),
        events.AgentTextSpoken(2, sentence[cut:]),
        events.AgentSpeechCompleted(2, sentence, 1.5),
        events.TurnCompleted(1, f"It is {secret}.", sentence, False, False),
        events.SessionUsage(1200, 34, 56, 7.5, 0.001),
        events.SessionEnded("user_hangup", 3.0, 1),
    ]


@pytest.mark.parametrize("secret", PLANTED)
async def test_nothing_that_was_planted_is_in_the_file(tmp_path: Path, secret: str) -> None:
    for cut in (9, 8 + len(secret) // 2, 8 + len(secret)):
        entries = await written(tmp_path / str(cut), a_call(secret, cut), scrubs=True)
        text = json.dumps(entries)
        assert secret not in text
        assert secret[:-1] not in text
        assert "hunter2" not in text
        assert [entry["seq"] for entry in entries] == list(range(1, 15))
        clauses = "".join(entry["text"] for entry in entries if entry["type"] == "agent.text")
        assert clauses == Redactor().redact(f"I noted {secret} for you.")
        assert entries[0]["call_id"] == "CA4155550199"
        assert (entries[-2]["llm_input_tokens"], entries[-2]["cost_usd"]) == (1200, 0.001)


async def test_the_file_is_whole_where_nobody_asks_for_less(tmp_path: Path) -> None:
    entries = await written(tmp_path, a_call(PLANTED[0], 12), scrubs=False)
    assert json.dumps(entries).count(PLANTED[0]) >= 6


def entry(seq: int, event: events.CallEvent) -> dict[str, Any]:
    return Entry(seq, seq / 10, event).to_dict()


def test_a_speech_that_never_ends_holds_back_only_so_much() -> None:
    scrubber = EntryScrubber()
    assert scrubber.take([entry(1, events.AgentTextSpoken(1, "write to ann@exa"))]) == []
    later = [entry(seq, events.UserDtmf("•")) for seq in range(2, MOST_HELD + 3)]
    given = scrubber.take(later)
    assert [body["seq"] for body in given] == list(range(1, MOST_HELD + 3))


def test_what_waits_is_there_at_the_end() -> None:
    scrubber = EntryScrubber()
    scrubber.take([entry(1, events.AgentTextSpoken(1, "write to ann@example.com"))])
    (last,) = scrubber.finish()
    assert last["text"] == "write to [REDACTED_EMAIL]"


@given(st.lists(st.integers(1, 60), max_size=6), st.sampled_from(PLANTED))
def test_clauses_together_are_the_scrubbed_speech_wherever_they_are_cut(cuts: list[int], secret: str) -> None:
    text = f"Please write it down: {secret}, and then {secret} again. Thank you."
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    told = [events.AgentTextSpoken(1, text[start:end]) for start, end in pairwise(places)]
    scrubber = EntryScrubber()
    given = [body for seq, event in enumerate(told) for body in scrubber.take([entry(seq, event)])]
    given += scrubber.take([entry(99, events.AgentSpeechCompleted(1, text, 1.0))])
    assert "".join(body["text"] for body in given if body["type"] == "agent.text") == Redactor().redact(text)
    assert secret not in json.dumps(given)
