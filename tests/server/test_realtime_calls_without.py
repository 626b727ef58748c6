"""A server without the extra for WebRTC says so; one that does not speak the protocol has no calls either."""

from __future__ import annotations

import sys

import httpx
import pytest

from tests.server.harness import HEADERS, Running, Serve

SDP = {"Content-Type": "application/sdp", **HEADERS}


async def dial(up: Running, **more: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        return await http.post("/v1/realtime/calls?model=desk", headers={**SDP, **more}, content="v=0")


async def test_the_extra_is_named_where_it_is_missing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "antiphon.transports.webrtc.peer", raising=False)
    monkeypatch.setitem(sys.modules, "aiortc", None)  # As if it were not installed.
    async with serve() as up:
        response = await dial(up)
        assert (response.status_code, response.json()["error"]["code"]) == (501, "not_implemented")
        assert "antiphon[webrtc]" in response.json()["error"]["message"]
        assert up.board.admission.live == 0


async def test_calls_are_off_with_the_protocol(serve: Serve) -> None:
    async with serve(realtime_enabled=False) as up:
        assert (await dial(up)).status_code == 404


async def test_the_older_dialect_is_refused_where_it_is_off(serve: Serve) -> None:
    async with serve(realtime_beta="off") as up:
        response = await dial(up, **{"OpenAI-Beta": "realtime=v1"})
        assert (response.status_code, response.json()["error"]["code"]) == (400, "beta_api_shape_disabled")
