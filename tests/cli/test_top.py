"""``antiphon top`` looks at a real server."""

from __future__ import annotations

import asyncio
import io
import socket
from typing import Any

import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from antiphon.cli.top import KEEP_ENDED, _look_once, _watch, note, top
from antiphon.cli.top_figures import Figures, quantile_ms, snapshot_of
from antiphon.cli.top_view import _end_of, view
from antiphon.errors import ConfigurationError
from tests.server.harness import KEY, SILENCE, SPEECH, phone, server, start_stream, until


def text_of(renderable: Any) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(renderable)
    written: str = console.file.getvalue()  # type: ignore[attr-defined]
    return written


async def test_a_snapshot_has_the_calls_agents_and_latencies_of_the_server(tmp_path: Any) -> None:
    async with server(tmp_path, max_calls=7) as up, asyncio.timeout(40), phone(up) as line:
        url = f"http://127.0.0.1:{up.port}"
        caller = await start_stream(line)
        for frame in [SPEECH] * 40 + [SILENCE] * 60:
            await line.send(caller.media(frame))
        await until(lambda: any(call.summary().turns for call in up.board.live.all()))
        now = await _look_once(url, KEY)
        assert (now.live, now.slots, now.draining) == (1, 7, False)
        assert (now.resting, now.pools) == ((), {})
        (call,) = now.calls
        assert (call["call_id"], call["agent"], call["state"]) == ("CA1", "desk", "live")
        (agent,) = now.agents
        assert (agent.agent, agent.live, agent.calls) == ("desk", 1, 1)
        assert now.dropped["frames_dropped"] == up.board.metrics.traffic.frames_dropped
        shown = text_of(view(now))
        for words in ("1/7 calls", "first audio", "desk", "CA1", "twilio", "refused none"):
            assert words in shown
        assert msgspec.json.decode(msgspec.json.encode(now))["stages"].keys() == now.stages.keys()


async def test_the_live_view_follows_calls_and_outlives_its_server(tmp_path: Any) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160, height=40)
    async with asyncio.timeout(40):
        async with server(tmp_path) as up:
            watching = asyncio.create_task(_watch(f"http://127.0.0.1:{up.port}", KEY, console, interval_s=0.05))
            await until(lambda: "antiphon top" in screen.getvalue())
            async with phone(up) as line:
                await start_stream(line, "CA77")
                await until(lambda: "CA77" in screen.getvalue())
            await until(lambda: "user_hangup" in screen.getvalue())
        await until(lambda: "Nothing answers" in screen.getvalue())
        assert not watching.done()
        watching.cancel()
        await asyncio.wait([watching])


async def test_a_wrong_key_is_told(tmp_path: Any) -> None:
    async with server(tmp_path) as up:
        with pytest.raises(ConfigurationError, match="wants an API key: give --key"):
            await _look_once(f"http://127.0.0.1:{up.port}", "wrong")


def test_nobody_there_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        app = typer.Typer()
        app.command()(top)
        result = CliRunner().invoke(app, ["--url", url, "--json"])
    assert isinstance(result.exception, ConfigurationError)
    assert f"Nothing answers at {url}" in str(result.exception)
    assert "antiphon serve" in str(result.exception)


@pytest.mark.parametrize("text", ["", "<html>hello</html>", "antiphon_calls_live"])
def test_a_text_of_somebody_else_has_no_figures(text: str) -> None:
    assert not Figures(text).has("antiphon_calls_live")


def test_calls_that_ended_give_way_and_live_ones_stay() -> None:
    calls: dict[str, Any] = {}
    note(calls, {"id": "live", "state": "live"})
    for number in range(KEEP_ENDED + 3):
        note(calls, {"id": str(number), "state": "ended"})
    assert list(calls) == ["live", *map(str, range(3, KEEP_ENDED + 3))]


def test_a_long_id_shows_its_end() -> None:
    assert (_end_of("CA1"), _end_of("CA00000000000000012345")) == ("CA1", "…0000000012345")


def test_quantiles_of_a_histogram() -> None:
    assert quantile_ms({}, 0.5) is None
    assert quantile_ms({0.1: 0, 0.2: 10, float("inf"): 10}, 0.5) == 150
    assert quantile_ms({0.1: 1, 0.2: 1, float("inf"): 100}, 0.95) == 200


@given(st.lists(st.floats(0.001, 7.9), min_size=1, max_size=60))
def test_a_quantile_lies_in_the_bucket_of_its_value(values: list[float]) -> None:
    bounds = [0.02, 0.1, 0.5, 1.0, 2.0, 8.0]
    buckets = {bound: float(sum(value <= bound for value in values)) for bound in bounds}
    buckets[float("inf")] = float(len(values))
    median = sorted(values)[(len(values) - 1) // 2]
    high = next(bound for bound in bounds if median <= bound)
    low = max([bound for bound in bounds if bound < high], default=0.0)
    got = quantile_ms(buckets, 0.5)
    assert got is not None
    assert low * 1000 <= got <= high * 1000


def test_models_that_rest_and_connections_that_are_open_are_shown() -> None:
    told = """
antiphon_calls_live 0
antiphon_model_available{role="llm",model="acme/large"} 0
antiphon_model_available{role="llm",model="acme/small"} 1
antiphon_pool_connections{pool="cartesia/sonic-3",state="active"} 2
antiphon_pool_connections{pool="cartesia/sonic-3",state="warm"} 3
"""
    now = snapshot_of("http://127.0.0.1", Figures(told), [])
    assert now.resting == ("llm acme/large",)
    assert now.pools == {"cartesia/sonic-3": {"active": 2, "warm": 3}}
    shown = text_of(view(now))
    assert "resting llm acme/large" in shown
    assert "connections cartesia/sonic-3  active 2  warm 3" in shown
