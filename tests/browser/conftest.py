"""Fixtures of the browser's tests. They need Chromium and the built page, and are skipped without."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from antiphon.console import DIST
from tests.browser.harness import CHROMIUM, DESKTOP, WAIT_MS, Tab, launch, microphone_file, new_tab

OpenTab = Callable[..., Awaitable[Tab]]


@pytest.fixture(autouse=True)
def _browser_and_page_are_there() -> None:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    if not (DIST / "index.html").is_file():
        pytest.skip("the page is not built: run `make console`")
    expect.set_options(timeout=WAIT_MS)


@pytest.fixture
async def open_tab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenTab]:
    """Opens an address in a browser of its own. At the end, a picture of each page; no page may have complained."""
    tabs: list[Tab] = []
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())

        async def start(
            url: str,
            *parts: float | Path,
            allowed: bool = True,
            size: tuple[int, int] = DESKTOP,
            dark: bool = False,
            script: Path | None = None,
        ) -> Tab:
            speaks = microphone_file(tmp_path / f"microphone-{len(tabs)}.wav", *(parts or (1.0,)))
            browser = await launch(playwright, speaks, allowed=allowed)
            stack.push_async_callback(browser.close)
            tab = await new_tab(browser, size=size, dark=dark)
            tabs.append(tab)
            if script is not None:
                await tab.page.add_init_script(path=script)
            await tab.page.goto(url)
            return tab

        yield start
        name = re.sub(r"[^a-z0-9_]+", "-", request.node.name.removeprefix("test_")).strip("-")
        for number, tab in enumerate(tabs):
            await tab.shot(f"{name}-{number}" if number else name)
    for tab in tabs:
        assert tab.faults == []
