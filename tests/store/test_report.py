"""The report of a call: spreads by nearest rank, what was used, and what deserves a look."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from antiphon.calls import events
from antiphon.calls.log import CallLog, Entry
from antiphon.clock import VirtualClock
from antiphon.store.report import STAGES, Insight, report_of
from antiphon.store.spread import Spread, nearest_rank, spread_of

MODELS = {"stt": "moonshine", "llm": "acme/small", "tts": "hibari"}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_rank_is_a_value_that_this_share_does_not_exceed(values: list[float], share: float) -> None:
    ordered = sorted(values)
    value = nearest_rank(ordered, share)
    assert value in values
    assert sum(each <= value for each in values) >= round(share * len(values), 9)
    assert sum(each < value for each in values) < share * len(values)


def test_nothing_has_no_spread_and_one_value_is_every_quantile() -> None:
    assert spread_of([]) == Spread(0)
    one = spread_of([40.0])
    assert {one.avg_ms, one.min_ms, one.max_ms, one.p50_ms, one.p95_ms, one.p99_ms} == {40.0}


def test_severity_goes_by_the_average_and_shares_by_the_headline() -> None:
    assert [spread_of([value]).severity for value in (499.9, 500.0, 999.9, 1000.0)] == [
        "ok",
        "warning",
        "warning",
        "error",
    ]
    assert spread_of([100.0, 300.0], headline_ms=800.0).relative_pct == 25.0


def a_call() -> list[Entry]:
    clock = VirtualClock()
    log = CallLog("CA1", clock)
    entries: list[Entry] = []
    log.subscribe(entries.append)

    async def tell() -> None:
        log.append(events.SessionStarted("ses_1", "CA1", "desk", "twilio", "mulaw/8000", "2026-11-29", MODELS))
        log.append(events.TurnMetrics(1, False, False, first_audio_ms=600.0, llm_ttft_ms=300.0, models=MODELS))
        log.append(events.ToolExecuted("1", "pay", "no", True, 30.0))
        log.append(events.AgentHandoff("billing", "desk", "announced", ""))
        log.append(events.SessionError("tts_unavailable", "It is away."))
        log.append(events.AgentStateChanged("thinking", "speaking"))
        log.append(events.UserSpeechStarted(1.0))
        await clock.sleep(0.25)
        log.append(events.AgentSpeechInterrupted(1, "", "", "", 0.0))
        log.append(events.TurnMetrics(2, True, False, first_audio_ms=1800.0, llm_ttft_ms=1700.0, models=MODELS))
        part = events.ModelUsage("llm", "acme/small", input_tokens=70, output_tokens=30)
        log.append(events.SessionUsage(70, 30, 12, 3.5, None, (part,)))
        log.append(events.SessionEnded("user_hangup", 9.0, 2))

    clock.run(tell())
    return entries


def test_a_report_tells_each_stage_what_was_used_and_what_deserves_a_look() -> None:
    report = report_of(a_call())
    assert (report.calls, report.turns, report.interrupted, report.barge_ins, report.handoffs) == (1, 2, 1, 1, 1)
    assert (report.tool_calls, report.tool_errors) == (1, 1)
    assert (report.input_tokens, report.output_tokens, report.cost_usd) == (70, 30, None)
    assert report.models == {role: [model] for role, model in MODELS.items()}
    assert (report.errors, report.ended) == ({"tts_unavailable": 1}, {"user_hangup": 1})
    first_audio = report.stages["first_audio"]
    assert (first_audio.count, first_audio.p50_ms, first_audio.p95_ms, first_audio.severity) == (2, 600, 1800, "error")
    assert report.stages["llm_ttft"].relative_pct == 83.3
    assert report.stages["barge_in_stop"].avg_ms == 250
    assert report.stages["stt"] == Spread(0), "what was not measured is not 0"
    assert report.insights == [
        Insight("error", "first_audio", "first_audio takes 1200 ms on average, 1800 ms at p95."),
        Insight("error", "llm_ttft", "llm_ttft takes 1000 ms on average, 1700 ms at p95."),
        Insight("error", "tts_unavailable", "tts_unavailable happened once."),
        Insight("warning", "tool", "Tools failed once."),
    ]


def test_a_log_that_was_written_gives_the_same_report_as_the_call() -> None:
    entries = a_call()
    read = [Entry.from_dict(entry.to_dict()) for entry in entries]
    assert None not in read
    assert report_of([entry for entry in read if entry is not None]) == report_of(entries)


def test_stages_are_figures_of_turns() -> None:
    metrics = events.TurnMetrics(1, False, False)
    assert all(getattr(metrics, name) is None for name in STAGES.values())
