"""What Prometheus is told of calls: the values of their logs, under labels that no caller can choose."""

from __future__ import annotations

import asyncio

import httpx
from prometheus_client.parser import text_string_to_metric_families

from antiphon.calls import events
from antiphon.calls.log import CallLog, Entry
from antiphon.clock import WallClock
from antiphon.server.numbers import MOST_NAMES, CallNumbers
from tests.server.harness import HEADERS, SILENCE, SPEECH, Serve, phone, start_stream, until


def sample(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            if each.name == name and labels.items() <= each.labels.items():
                return float(each.value)
    return None


async def test_a_call_is_counted_with_the_values_of_its_log(serve: Serve) -> None:
    entries: list[Entry] = []

    def watch(log: CallLog) -> None:
        log.subscribe(entries.append)

    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        up.board.watchers.append(watch)
        async with asyncio.timeout(40), phone(up) as socket:
            caller = await start_stream(socket)
            await until(lambda: bool(entries))
            for frame in [SPEECH] * 40 + [SILENCE] * 60:
                await socket.send(caller.media(frame))
            await until(lambda: any(isinstance(entry.event, events.AgentSpeechStarted) for entry in entries[20:]))
        await until(lambda: any(isinstance(entry.event, events.SessionEnded) for entry in entries))
        text = (await http.get("/metrics", headers=HEADERS)).text

    told = [entry.event for entry in entries]
    (metrics,) = [event for event in told if isinstance(event, events.TurnMetrics)]
    (usage,) = [event for event in told if isinstance(event, events.SessionUsage)]
    call = {"agent": "desk", "carrier": "twilio"}
    assert sample(text, "antiphon_agent_calls_total", **call) == 1
    assert sample(text, "antiphon_agent_turns_total", **call) == 1
    for name, value_ms, model in (
        ("stt_latency", metrics.transcript_ms, "scripted"),
        ("llm_ttft", metrics.llm_ttft_ms, "script"),
        ("tts_ttfb", metrics.tts_ttfb_ms, "scripted"),
    ):
        assert value_ms is not None
        total = sample(text, f"antiphon_{name}_seconds_sum", **call, provider="scripted", model=model)
        assert total is not None
        assert abs(total - max(0.0, value_ms) / 1000) < 1e-9
    for name, value_ms in (("turn_decision", metrics.end_of_turn_ms), ("agent_first_audio", metrics.first_audio_ms)):
        assert value_ms is not None
        assert abs((sample(text, f"antiphon_{name}_seconds_sum", **call) or 0.0) - value_ms / 1000) < 1e-9
    assert sample(text, "antiphon_turn_duration_seconds_count", **call) == 1
    spoken = sum(isinstance(event, events.AgentSpeechStarted) for event in told)
    assert sample(text, "antiphon_tts_playout_seconds_count", **call, provider="scripted", model="scripted") == spoken
    assert sample(text, "antiphon_tts_clauses_total", **call, provider="scripted") == sum(
        isinstance(event, events.AgentTextSpoken) for event in told
    )
    assert sample(text, "antiphon_tts_characters_total", provider="scripted") == usage.tts_characters
    assert sample(text, "antiphon_stt_audio_seconds_total", provider="scripted") == usage.stt_audio_s
    assert usage.cost_usd is None  # nobody knows what a scripted model costs
    assert sample(text, "antiphon_calls_unpriced_total") == 1
    assert "CA1" not in text


def a_log(numbers: CallNumbers, models: dict[str, str]) -> CallLog:
    log = CallLog("CA1", WallClock())
    numbers.watch(log)
    log.append(events.SessionStarted("ses_1", "CA1", "desk", "twilio", "mulaw/8000", "2026-11-29", models))
    return log


def value(numbers: CallNumbers, name: str, **labels: str) -> float | None:
    for collector in numbers.collectors:
        for family in collector.collect():
            for each in family.samples:
                if each.name == name and labels.items() <= each.labels.items():
                    return float(each.value)
    return None


async def test_tokens_and_their_cost_are_the_providers() -> None:
    numbers = CallNumbers()
    log = a_log(numbers, {"llm": "openai/gpt-4o-mini", "stt": "moonshine/tiny-en", "tts": "hibari"})
    part = events.ModelUsage("llm", "openai/gpt-4o-mini", input_tokens=1_000_000, output_tokens=500_000, cost_usd=0.45)
    log.append(events.SessionUsage(1_000_000, 500_000, 20, 3.0, 0.45, (part,)))
    of = {"provider": "openai", "model": "gpt-4o-mini"}
    assert value(numbers, "antiphon_llm_tokens_total", **of, direction="input") == 1_000_000
    assert value(numbers, "antiphon_llm_tokens_total", **of, direction="output") == 500_000
    assert abs((value(numbers, "antiphon_cost_usd_total", **of, role="llm") or 0.0) - 0.45) < 1e-9
    assert value(numbers, "antiphon_calls_unpriced_total") == 0


async def test_handoffs_tools_and_barge_ins_count_for_the_agent_that_has_the_call() -> None:
    numbers = CallNumbers()
    log = a_log(numbers, {"tts": "hibari"})
    log.append(events.AgentHandoff("billing", "desk", "announced", ""))
    log.append(events.ToolExecuted("1", "pay", "no", True, 3.0))
    log.append(events.AgentStateChanged("thinking", "speaking"))
    log.append(events.UserSpeechStarted(1.0))
    log.append(events.AgentSpeechInterrupted(1, "", "", "", 0.0))
    assert value(numbers, "antiphon_tool_calls_total", agent="billing", status="error") == 1
    assert value(numbers, "antiphon_barge_ins_total", agent="billing", carrier="twilio") == 1
    assert value(numbers, "antiphon_barge_in_stop_seconds_count", agent="billing") == 1


def test_labels_are_bounded() -> None:
    numbers = CallNumbers()
    names = [numbers.name("agent", f"agent {n}") for n in range(MOST_NAMES + 5)]
    assert names[-5:] == ["other"] * 5
    assert numbers.name("agent", "agent 0") == "agent 0"


async def test_a_stage_counts_for_the_model_that_answered() -> None:
    numbers = CallNumbers()
    log = a_log(numbers, {"llm": "acme/large|acme/small", "stt": "deepgram/nova-3", "tts": "hibari"})
    log.append(events.UserTranscription("When", False, 0))
    log.append(events.UserTranscription("When?", True, 0))
    answered = {"llm": "acme/small", "stt": "deepgram/nova-3", "tts": "hibari"}
    log.append(events.TurnMetrics(1, False, False, llm_total_ms=400.0, tts_total_ms=50.0, models=answered))
    of = {"agent": "desk", "mode": "cascade", "carrier": "twilio"}
    small = {"provider": "acme", "model": "small"}
    assert value(numbers, "antiphon_llm_duration_seconds_sum", **of, **small) == 0.4
    assert value(numbers, "antiphon_tts_synthesis_seconds_sum", **of, provider="hibari", model="hibari") == 0.05
    assert value(numbers, "antiphon_stt_recognition_seconds_count", **of, provider="deepgram", model="nova-3") == 1
    assert value(numbers, "antiphon_turn_processing_seconds_count", **of) is None


async def test_a_call_that_one_model_holds_has_the_mode_realtime() -> None:
    numbers = CallNumbers()
    log = a_log(numbers, {"s2s": "realtime/openai", "tts": "hibari"})
    log.append(events.TurnMetrics(1, False, False, llm_ttft_ms=400.0))
    of = {"mode": "realtime", "provider": "realtime", "model": "openai"}
    assert value(numbers, "antiphon_llm_ttft_seconds_sum", **of) == 0.4
