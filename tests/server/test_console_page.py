from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from antiphon.agents.agent import Agent
from antiphon.server.agents import AgentBook
from antiphon.server.app import create_app
from antiphon.server.run import listen, make_board
from antiphon.settings import Settings

PLAIN = "let b = 1"
SUFFIX = {"br": ".br", "gzip": ".gz", None: ""}
BROTLI = b"as brotli"  # The server sends it as it is.
HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>the page</title>")
    (folder / "assets" / "app-1234.js").write_text("let a")
    (folder / "assets" / "app-5678.js").write_text(PLAIN)
    (folder / "assets" / "app-5678.js.gz").write_bytes(gzip.compress(PLAIN.encode()))
    (folder / "assets" / "app-5678.js.br").write_bytes(BROTLI)
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
async def http(tmp_path: Path, page: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with site(tmp_path, page) as client:
        yield client


def site(tmp_path: Path, page: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(application(tmp_path, page)), base_url="http://test")


def application(tmp_path: Path, page: Path) -> FastAPI:
    settings = Settings(_env_file=None, api_keys="k", data_dir=tmp_path / "data")
    return create_app(make_board(AgentBook([Agent("desk")]), settings), page)


@asynccontextmanager
async def served(tmp_path: Path, page: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The page over a socket."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(application(tmp_path, page), lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve([listener]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as http:
        yield http
    server.should_exit = True
    await serving


@pytest.mark.parametrize("path", ["/", "/calls", "/calls/2026-01-01.CA1", "/agents", "/scenarios/energy", "/server"])
async def test_every_page_is_the_one_page(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers=HTML)
    assert (answer.status_code, "the page" in answer.text) == (200, True)
    assert answer.headers["Cache-Control"] == "no-cache"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_assets_are_kept_for_ever(http: httpx.AsyncClient) -> None:
    answer = await http.get("/assets/app-1234.js")
    assert (answer.status_code, answer.text) == (200, "let a")
    assert "javascript" in answer.headers["Content-Type"]
    assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("BR;q=0, gzip;q=0.5", "gzip"),
        ("br;q=0.000, gzip; q=0", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_assets_come_as_small_as_the_browser_takes_them(
    page: Path, tmp_path: Path, accepted: str, coding: str | None
) -> None:
    async with served(tmp_path, page) as http:
        path = "/assets/app-5678.js"
        async with http.stream("GET", path, headers={"Accept-Encoding": accepted}) as answer:
            body = b"".join([piece async for piece in answer.aiter_raw()])
        again = await http.get(path, headers={"Accept-Encoding": accepted, "If-None-Match": answer.headers["ETag"]})
    assert answer.headers.get("Content-Encoding") == coding
    assert body == (page / "assets" / f"app-5678.js{SUFFIX[coding]}").read_bytes()
    assert answer.headers["Content-Length"] == str(len(body))
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert "immutable" in answer.headers["Cache-Control"]
    assert (again.status_code, again.content) == (304, b"")


async def test_what_the_build_did_not_compress_comes_as_it_is(http: httpx.AsyncClient) -> None:
    answer = await http.get("/assets/app-1234.js", headers={"Accept-Encoding": "br, gzip"})
    assert ("Content-Encoding" in answer.headers, answer.text) == (False, "let a")
    assert answer.headers["Vary"] == "Accept-Encoding"


async def test_address_that_another_method_has_is_not_the_page(http: httpx.AsyncClient) -> None:
    assert (await http.delete("/health", headers=HTML)).status_code == 405
    assert (await http.post("/calls", headers=HTML)).status_code == 405


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/assets/gone.js", {"Accept": "*/*"}),
        ("/calls", {"Accept": "application/json"}),
        ("/v1/unknown", HTML),
        ("/telephony/unknown/none", HTML),
        ("/..%2fsecret.txt", {}),
        ("/assets/%2e%2e/%2e%2e/secret.txt", {}),
    ],
)
async def test_what_is_no_page_is_404(http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
    answer = await http.get(path, headers=headers)
    assert answer.status_code == 404
    assert "the page" not in answer.text
    assert "immutable" not in answer.headers.get("Cache-Control", "")


async def test_other_routes_keep_their_addresses(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health", headers=HTML)).json() == {"status": "ok"}
    assert (await http.get("/ready", headers=HTML)).status_code == 503
    assert (await http.get("/metrics", headers=HTML)).status_code == 401
    assert (await http.get("/v1/calls", headers=HTML)).status_code == 401


async def test_page_that_is_not_built_says_how(tmp_path: Path) -> None:
    async with site(tmp_path, tmp_path / "none") as http:
        answer = await http.get("/", headers=HTML)
        assert "make console" in answer.text
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert (await http.get("/calls", headers=HTML)).status_code == 404
