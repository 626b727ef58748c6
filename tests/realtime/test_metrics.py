"""What is measured: times to the millisecond of the script, counts exactly, and all of it for Prometheus."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from antiphon.clock import VirtualClock
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.metrics import MAX_LABELS, ClientMetrics, Histogram
from tests.realtime.server import in_virtual_time, service

USAGE = {
    "total_tokens": 50,
    "input_tokens": 30,
    "output_tokens": 20,
    "input_token_details": {"text_tokens": 10, "audio_tokens": 20, "cached_tokens": 4},
    "output_token_details": {"text_tokens": 5, "audio_tokens": 15},
}


@in_virtual_time
async def test_times_of_a_turn_are_those_of_the_script(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        connection = there.connections[0]
        for number, (thinks_s, buffers_s) in enumerate([(0.3, 0.12), (0.7, 0.05), (0.1, 0.02)]):
            await connection.hears(f"u{number}", "Hello.")
            await client.wait_for("conversation.item.input_audio_transcription.completed", 5)
            await clock.sleep(thinks_s)
            await connection.begins(f"r{number}", f"a{number}")
            for _ in range(3):
                await connection.says(f"r{number}", f"a{number}", "Hi.", bytes(480))
            await client.wait_for("response.output_audio.delta", 5)
            await clock.sleep(buffers_s)
            client.note_played(f"a{number}")
            client.note_played(f"a{number}")
            await connection.ends(f"r{number}", usage=USAGE)
            await client.wait_for("response.done", 5)
            first = client.metrics.histogram("eos_to_first_delta_ms").last_ms
            played = client.metrics.histogram("first_delta_to_playback_ms").last_ms
            whole = client.metrics.histogram("end_to_end_ms").last_ms
            assert first == pytest.approx(thinks_s * 1000, abs=5)
            assert played == pytest.approx(buffers_s * 1000, abs=5)
            assert first is not None
            assert played is not None
            assert whole == pytest.approx(first + played, abs=1)
        assert client.metrics.histogram("end_to_end_ms").count == 3
        assert client.metrics.histogram("eos_to_first_delta_ms").p50_ms == pytest.approx(300, abs=5)
        assert client.metrics.histogram("eos_to_first_delta_ms").max_ms == pytest.approx(700, abs=5)
        assert client.metrics.total("tokens_total", direction="input", modality="audio") == 60
        assert client.metrics.total("tokens_total", direction="input", modality="cached") == 12
        assert client.metrics.total("tokens_total", direction="output") == 60
        assert client.metrics.total("responses_total", status="completed") == 3
        assert client.metrics.gauge("connected") == 1
        assert (client.conversation.latest_tokens, client.conversation.peak_tokens) == (50, 50)


@in_virtual_time
async def test_manual_turn_is_timed_from_its_commit(clock: VirtualClock) -> None:
    async with service() as there, RealtimeClient(there.endpoint(), clock=clock) as client:
        connection = there.connections[0]
        await connection.send("session.updated", session={"audio": {"input": {"turn_detection": None}}})
        await client.wait_for("session.updated", 5)
        await client.append_audio(bytes(9_600))
        await client.commit_input()
        await clock.sleep(0.4)
        await connection.begins("r1", "a1")
        await connection.says("r1", "a1", sound=bytes(480))
        await client.wait_for("response.output_audio.delta", 5)
        assert client.metrics.histogram("eos_to_first_delta_ms").last_ms == pytest.approx(400, abs=5)


def test_everything_is_told_to_prometheus() -> None:
    metrics = ClientMetrics()
    metrics.count("turns_total", role="user")
    metrics.set("mic_level_dbfs", -31.5)
    metrics.observe("connect_ms", 12)
    metrics.observe("connect_ms", 120_000)
    registry = CollectorRegistry()
    registry.register(metrics)
    text = generate_latest(registry).decode()
    for line in (
        'antiphon_realtime_turns_total{role="user"} 1.0',
        "antiphon_realtime_mic_level_dbfs -31.5",
        'antiphon_realtime_connect_ms_bucket{le="20"} 1.0',
        'antiphon_realtime_connect_ms_bucket{le="+Inf"} 2.0',
        "antiphon_realtime_connect_ms_sum 120012.0",
    ):
        assert line in text


def test_names_that_a_service_makes_up_fill_no_memory() -> None:
    metrics = ClientMetrics()
    for number in range(10 * MAX_LABELS):
        metrics.count("unknown_events_total", type=f"made.up.{number}")
    assert metrics.total("unknown_events_total") == 10 * MAX_LABELS
    assert metrics.total("unknown_events_total", type="other") == 9 * MAX_LABELS


def test_numbers_that_nobody_declared_are_a_mistake() -> None:
    with pytest.raises(KeyError):
        ClientMetrics().count("nothing_total")
    with pytest.raises(KeyError):
        ClientMetrics().count("turns_total")
    with pytest.raises(KeyError):
        ClientMetrics().set("nothing", 1)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_histogram_knows_its_values(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    assert histogram.last_ms == values[-1]
    assert histogram.max_ms == max(values)
    assert histogram.count == sum(histogram.buckets) == len(values)
    assert min(values) <= (histogram.p50_ms or 0) <= (histogram.p95_ms or 0) <= max(values)
