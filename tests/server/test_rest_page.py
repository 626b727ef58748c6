"""Every request that the REST page names is there, and is refused without a good key."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from tests.server.harness import HEADERS, Serve

PAGE = (Path(__file__).parents[2] / "docs/rest.md").read_text(encoding="utf-8")
REQUESTS = [
    *re.findall(r"`(GET|POST|DELETE) (/v1/[^` ?]+)`", PAGE),
    ("GET", "/metrics"),
    ("POST", "/v1/calls/ID/resume"),
]
ENDLESS = {"/v1/calls/stream"}


def test_the_page_names_requests() -> None:
    assert len(REQUESTS) > 20


async def test_r44_every_request_is_refused_without_a_good_key(serve: Serve) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}", timeout=10) as http:
        for method, path in REQUESTS:
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"X-API-Key": "wrong"},
                {"Authorization": "Basic x"},
            ):
                answer = await http.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path, headers)


async def test_every_request_of_the_page_is_there(serve: Serve) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}", timeout=10) as http:
        for method, path in REQUESTS:
            if path in ENDLESS:
                continue
            answer = await http.request(method, path, headers=HEADERS, json={})
            assert answer.status_code in {200, 404, 422}, (method, path, answer.text)
            assert '"Not Found"' not in answer.text, (method, path)
