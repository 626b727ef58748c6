from __future__ import annotations

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.server.harness import Serve, next_event, phone, start_stream


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Origin": "http://localhost:5173"}, 200),
        ({"Host": "voice.example.com", "Origin": "https://voice.example.com"}, 200),
        ({"Host": "evil.example.com"}, 403),
        ({"Host": "127.0.0.1.evil.example.com"}, 403),
        ({"Host": "evil@[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_open_server_answers_this_machine_alone(serve: Serve, headers: dict[str, str], status: int) -> None:
    async with (
        serve(api_keys="", dev=True, public_url="https://voice.example.com") as up,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http,
    ):
        answer = await http.get("/v1/calls", headers=headers)
        assert answer.status_code == status
        assert ("ANTIPHON_API_KEYS" in answer.text) is (status == 403)


async def test_page_of_another_site_opens_no_socket_to_an_open_server(serve: Serve) -> None:
    async with serve(api_keys="", dev=True) as up:
        with pytest.raises(InvalidStatus) as refused:
            async with phone(up, origin="https://evil.example.com"):
                pass
        assert refused.value.response.status_code == 403
        async with phone(up, additional_headers={}) as socket:
            await start_stream(socket)
            assert (await next_event(socket))["event"] == "media"


async def test_server_with_keys_is_reached_by_any_name(serve: Serve) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        assert (await http.get("/health", headers={"Host": "voice.example.com"})).status_code == 200
