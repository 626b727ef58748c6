"""Slots, keys, tokens and health."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import ConfigurationError
from antiphon.server.admission import Admission
from antiphon.server.auth import MAX_TOKENS, TOKEN_LIFE_S, ApiKeys, StreamTokens, check_openness, is_loopback
from antiphon.server.lag import SAMPLE_S, LoopLag
from tests.server.harness import HEADERS, Serve, next_event, phone, start_stream


def test_slots_are_counted_exactly() -> None:
    admission = Admission(2, 20.0, LoopLag())
    assert admission.enter() == "not_ready"
    admission.ready = True
    assert [admission.enter() for _ in range(3)] == [None, None, "full"]
    assert admission.live == 2
    admission.leave()
    assert admission.enter() is None


def test_late_loop_and_draining_take_no_call() -> None:
    lag = LoopLag()
    admission = Admission(2, 20.0, lag)
    admission.ready = True
    lag.p95_ms = 21.0
    assert admission.enter() == "overloaded"
    lag.p95_ms = 19.0
    assert admission.is_open
    admission.draining = True
    assert admission.enter() == "draining"
    assert admission.live == 0


async def test_lag_sees_a_loop_that_was_kept(caplog: pytest.LogCaptureFixture) -> None:
    lag = LoopLag()
    lag.start()
    loop = asyncio.get_running_loop()
    for _ in range(30):
        busy_until = loop.time() + SAMPLE_S
        while loop.time() < busy_until:
            pass
        await asyncio.sleep(0)
    lag.stop()
    assert lag.max_ms > 0
    assert lag.p50_ms <= lag.p95_ms <= lag.p99_ms <= lag.max_ms


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True)),
        *(("0.0.0.0", False), ("192.168.1.5", False), ("::", False), ("example.com", False)),
        ("127.0.0.1.example.com", False),
    ],
)
def test_dev_is_for_loopback_only(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    check_openness(host, dev=False)
    if loopback:
        check_openness(host, dev=True)
    else:
        with pytest.raises(ConfigurationError, match="loopback"):
            check_openness(host, dev=True)


def test_keys_are_compared_whole_and_none_means_closed() -> None:
    keys = ApiKeys(["first", "second"])
    assert keys.accepts({"authorization": "Bearer second"})
    assert keys.accepts({"authorization": "bearer  first"})
    assert keys.accepts({"x-api-key": "first"})
    for wrong in ("", "firs", "firstt", "First", "first,second"):
        assert not keys.accepts({"authorization": f"Bearer {wrong}"})
        assert not keys.accepts({"x-api-key": wrong})
    assert not ApiKeys([]).accepts({"x-api-key": ""})
    assert ApiKeys([], dev=True).accepts({})


def test_tokens_are_single_use_and_die_of_age() -> None:
    clock = VirtualClock()

    async def run() -> None:
        tokens = StreamTokens(clock)
        assert not tokens.expected
        token = tokens.issue()
        assert tokens.expected
        assert tokens.knows(token)
        assert not tokens.redeem("0" * 64)
        assert not tokens.redeem(None)
        assert tokens.redeem(token)
        assert not tokens.redeem(token)
        old = tokens.issue()
        await clock.sleep(TOKEN_LIFE_S + 1)
        assert not tokens.expected
        assert not tokens.redeem(old)
        first = tokens.issue()
        for _ in range(MAX_TOKENS):
            last = tokens.issue()
        assert not tokens.knows(first)
        assert tokens.redeem(last)

    clock.run(run())


async def test_metrics_need_a_key_and_tell_of_calls(serve: Serve) -> None:
    async with serve(max_calls=7) as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        assert (await http.get("/metrics")).status_code == 401
        async with phone(up) as socket:
            await start_stream(socket)
            await next_event(socket)
            text = (await http.get("/metrics", headers=HEADERS)).text
        for line in ("antiphon_calls_live 1.0", "antiphon_slots 7.0", "antiphon_frames_out_total "):
            assert line in text
        assert 'antiphon_turn_first_audio_seconds_bucket{le="+Inf"} 0.0' in text
        assert (await http.get("/nowhere")).status_code == 404
        assert (await http.get("/telephony/twilio", headers=HEADERS)).status_code == 404
