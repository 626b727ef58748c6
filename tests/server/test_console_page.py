from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from antiphon.agents.agent import Agent
from antiphon.server.agents import AgentBook
from antiphon.server.app import create_app
from antiphon.server.run import make_board
from antiphon.settings import Settings

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>the page</title>")
    (folder / "assets" / "app-1234.js").write_text("let a")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
async def http(tmp_path: Path, page: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with site(tmp_path, page) as client:
        yield client


def site(tmp_path: Path, page: Path) -> httpx.AsyncClient:
    settings = Settings(_env_file=None, api_keys="k", data_dir=tmp_path / "data")
    app = create_app(make_board(AgentBook([Agent("desk")]), settings), page)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize("path", ["/", "/calls", "/calls/2026-01-01.CA1", "/agents"])
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
