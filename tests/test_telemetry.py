"""What the log hides, and what the metrics tell."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import generate_latest

from antiphon.telemetry import MASK, Metrics, redact, setup_logging


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    "name", ["password", "client_secret", "token", "auth_token", "api_key", "apiKey", "Authorization", "digit", "DTMF"]
)
def test_values_of_telling_names_are_masked_at_any_depth(name: str) -> None:
    event = redact(None, "info", {"event": "x", name: "1234", "deep": {"list": [{name: "1234"}]}, "other": "1234"})
    assert event[name] == MASK
    assert event["deep"]["list"][0][name] == MASK
    assert event["other"] == "1234"


@pytest.mark.parametrize(
    "text",
    ["Authorization: Bearer abc.def", "GET /telephony/plivo?token=abc&x=1", "url?api_key=abc", "key=abc", "BEARER abc"],
)
def test_credentials_inside_of_texts_are_masked(text: str) -> None:
    masked = redact(None, "info", {"event": text})["event"]
    assert "abc" not in masked
    assert MASK in masked


def test_json_log_is_one_object_a_line_with_the_calls_id(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    setup_logging("info", "json")
    log = structlog.get_logger("test")
    with structlog.contextvars.bound_contextvars(call_id="CA1"):
        log.info("hello", token="t", count=2, path=object)
        log.debug("not shown")
    logging.getLogger("vendor").error("a %s", "problem")
    logging.getLogger("vendor").info("not shown")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (first["event"], first["call_id"], first["token"], first["count"]) == ("hello", "CA1", MASK, 2)
    assert first["level"] == "info"
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"]) == ("a problem", "error")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_traceback_shows_no_local_variables(monkeypatch: pytest.MonkeyPatch, log_format: str) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    setup_logging("info", log_format)  # type: ignore[arg-type]
    said = "my number is four two"
    try:
        raise ValueError("a fault")
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert "a fault" in stream.getvalue()
    assert said not in stream.getvalue()


def test_metrics_in_prometheus_text() -> None:
    metrics = Metrics()
    metrics.traffic.frames_in += 3
    metrics.refused["full"] += 1
    metrics.gauges["calls_live"] = lambda: 7
    metrics.counters["rows_dropped"] = lambda: 2
    for seconds in (0.1, 0.55, 0.55, 99.0):
        metrics.observe_first_audio(seconds)
    text = generate_latest(metrics.registry()).decode()
    for line in (
        "antiphon_frames_in_total 3.0",
        'antiphon_calls_refused_total{reason="full"} 1.0',
        "antiphon_calls_live 7.0",
        "antiphon_rows_dropped_total 2.0",
        'antiphon_turn_first_audio_seconds_bucket{le="0.5"} 1.0',
        'antiphon_turn_first_audio_seconds_bucket{le="0.6"} 3.0',
        'antiphon_turn_first_audio_seconds_bucket{le="+Inf"} 4.0',
        "antiphon_turn_first_audio_seconds_count 4.0",
    ):
        assert line in text
    assert "process_cpu_seconds_total" in text


PLANTED = ("ann@example.com", "+1 415 555 0199", "4111 1111 1111 1111", "DE89370400440532013000")


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("scrubs", [True, False])
def test_personal_data_stays_out_of_the_log_unless_that_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, log_format: str, scrubs: bool
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    setup_logging("info", log_format, scrubs=scrubs)  # type: ignore[arg-type]
    log = structlog.get_logger("test")
    for planted in PLANTED:
        log.info("told", text=f"it is {planted}", deep={"list": [f"<{planted}>"]}, call_id="CA4155550199123")
        logging.getLogger("vendor").error("sent to %s", planted)
        try:
            raise ValueError(f"cannot reach {planted}")
        except ValueError:
            log.exception("failed")
    written = stream.getvalue()
    assert "CA4155550199123" in written
    for planted in PLANTED:
        assert (planted in written) is not scrubs


def test_names_and_times_of_the_log_itself_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    setup_logging("info", "json")
    structlog.get_logger("test").info("call_ended", session_id="ses_0123456789abcdef01234567", duration_s=123456.7)
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["session_id"], line["duration_s"]) == ("ses_0123456789abcdef01234567", 123456.7)
    assert "REDACTED" not in line["timestamp"]
