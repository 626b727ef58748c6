from __future__ import annotations

import socket

import httpx
import pytest

from antiphon.errors import ConfigurationError
from antiphon.realtime.metrics import ClientMetrics
from antiphon.voice.numbers import metrics_served
from tests.ports import free_port


def test_prometheus_reads_the_numbers_while_the_talk_goes_on() -> None:
    metrics, port = ClientMetrics(), free_port()
    metrics.count("barge_ins_total", 3)
    with metrics_served(metrics, port):
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    assert "antiphon_realtime_barge_ins_total 3.0" in text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5)


def test_a_taken_port_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigurationError, match="METRICS_PORT"),
        metrics_served(ClientMetrics(), taken.getsockname()[1]),
    ):
        pass
