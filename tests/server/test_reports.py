"""How a call and the server did: reports over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from typer.testing import CliRunner

from antiphon.agents.agent import Agent
from antiphon.calls import events
from antiphon.calls.log import CallLog
from antiphon.cli.main import app
from antiphon.clock import VirtualClock
from antiphon.server.recent import RecentCalls, summary_of
from tests.server.harness import HEADERS, SILENCE, SPEECH, Serve, phone, server, start_stream, until


async def test_a_call_has_a_report_while_it_goes_on_and_when_it_is_over(tmp_path: Path) -> None:
    async with (
        server(tmp_path, agents=[Agent("desk")], keep_files=True) as up,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}", headers=HEADERS) as http,
    ):
        async with asyncio.timeout(40), phone(up) as socket:
            caller = await start_stream(socket)
            await until(lambda: bool(up.board.live.all()))
            for frame in [SPEECH] * 40 + [SILENCE] * 60:
                await socket.send(caller.media(frame))
            await until(lambda: any(call.summary().first_audio_p50_ms for call in up.board.live.all()))
            name = up.board.live.all()[0].id
            live = (await http.get(f"/v1/calls/{name}/report")).json()["report"]
        await up.board.all_over()
        told = (await http.get(f"/v1/calls/{name}/report?include_turns=true")).json()
        over, (turn,) = told["report"], told["turns"]
        lately = (await http.get("/v1/metrics/summary?window_minutes=5")).json()
        missing = await http.get("/v1/calls/2026-01-01.nobody/report")
    assert (live["turns"], live["ended"]) == (1, {})
    assert over["turns"] == turn["turn"] == 1
    assert turn["first_audio_ms"] == over["stages"]["first_audio"]["avg_ms"]
    assert over["ended"] == {"user_hangup": 1}
    assert over["stages"]["first_audio"] == live["stages"]["first_audio"] == lately["stages"]["first_audio"]
    assert over["stages"]["first_audio"]["count"] == 1
    assert over["models"] == {"stt": ["scripted"], "llm": ["scripted/script"], "tts": ["scripted"]}
    assert (lately["window_minutes"], lately["reaches_back_s"], lately["calls"]) == (5, None, 1)
    assert missing.status_code == 404

    (folder,) = [path.parent for path in (tmp_path / "calls").rglob("log.jsonl")]
    for named in (str(folder), str(folder / "log.jsonl"), name):
        run = CliRunner().invoke(app, ["report", named, "--json"], env={"ANTIPHON_DATA_DIR": str(tmp_path)})
        assert run.exit_code == 0, run.output
        assert httpx.Response(200, text=run.output).json() == over
    shown = CliRunner().invoke(app, ["report", str(folder)]).output
    assert "first_audio" in shown
    assert "scripted/script" in shown
    unknown = CliRunner().invoke(app, ["report", "2026-01-01.nobody"], env={"ANTIPHON_DATA_DIR": str(tmp_path)})
    assert unknown.exit_code == 2
    assert "/v1/calls lists it" in unknown.output


async def test_reports_need_a_key_and_a_window_of_a_day_at_most(serve: Serve) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        for path in ("/v1/metrics/summary", "/v1/pools", "/v1/calls/2026-01-01.nobody/report"):
            assert (await http.get(path)).status_code == 401
        for minutes in (0, 1441):
            answer = await http.get("/v1/metrics/summary", params={"window_minutes": minutes}, headers=HEADERS)
            assert answer.status_code == 422
        assert (await http.get("/v1/pools", headers=HEADERS)).json() == {"pools": []}


def test_a_window_holds_what_is_young_enough_and_says_what_it_has_forgotten() -> None:
    clock = VirtualClock()
    recent = RecentCalls(clock, most=3)
    log = CallLog("CA1", clock)
    recent.watch(log)

    async def talk() -> None:
        for turn in range(2):
            log.append(events.TurnMetrics(turn, False, False, first_audio_ms=100.0 * (turn + 1)))
            await clock.sleep(60)
        assert recent.reaches_back_s is None
        assert summary_of(recent.since(90)).stages["first_audio"].max_ms == 200
        assert summary_of(recent.since(90)).turns == 1
        assert summary_of(recent.since(150)).turns == 2
        log.append(events.ToolExecuted("1", "look_up", "a secret", False, 5.0))
        log.append(events.TurnMetrics(2, False, False))
        assert recent.reaches_back_s == 60
        assert "a secret" not in repr(recent.since(1000))

    clock.run(talk())
