"""How soon the console's page can be used, and how large it is.

    python -m benchmarks.console [--loads N]

Each load is a new browser with nothing in its cache, on loopback. Prints JSON. Needs Chromium and the built page
(``make console``).
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import logging
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from playwright.async_api import Browser, async_playwright, expect

from antiphon.agents.agent import Agent
from antiphon.console import DIST
from antiphon.server.agents import AgentBook
from antiphon.server.run import running
from antiphon.settings import load_settings

CHROMIUM: Final = "/usr/bin/chromium"
INTERACTIVE_LIMIT_MS: Final = 1_000
GZIP_LIMIT: Final = 250_000
WATCH: Final = """
new MutationObserver((_, observer) => {
  const button = [...document.querySelectorAll("button")].find((each) => each.textContent.includes("Start talking"));
  if (button && !button.disabled) {
    window.interactiveAt = performance.now();
    observer.disconnect();
  }
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
READ: Final = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const files = performance.getEntriesByType("resource").filter((each) => !each.name.includes("/v1/"));
  return {
    interactive_ms: window.interactiveAt,
    first_paint_ms: paint ? paint.startTime : null,
    dom_loaded_ms: page.domContentLoadedEventEnd,
    files: files.length + 1,
  };
}"""


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of the page's files, each compressed as a proxy would, by kind; ``raw`` is the sum without."""
    told: dict[str, int] = {"raw": 0, "gzip": 0}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            packed = len(gzip.compress(content, 9))
            told["raw"] += len(content)
            told["gzip"] += packed
            kind = f"gzip_{path.suffix.removeprefix('.') or 'other'}"
            told[kind] = told.get(kind, 0) + packed
    return told


async def load(browser: Browser, url: str) -> dict[str, Any]:
    """Times of one load with an empty cache, in ms from the navigation's start."""
    context = await browser.new_context()
    try:
        page = await context.new_page()
        await page.add_init_script(WATCH)
        await page.goto(url)
        await expect(page.get_by_role("button", name="Start talking")).to_be_enabled(timeout=20_000)
        told: dict[str, Any] = await page.evaluate(READ)
        return told
    finally:
        await context.close()


async def measure(loads: int) -> dict[str, Any]:
    """All figures, with what they must keep to."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(env_file=None, port=0, dev=True, models="bench", vad="energy", data_dir=Path(folder))
        async with running(AgentBook([Agent("desk")]), settings) as up, async_playwright() as playwright:
            url = f"http://127.0.0.1:{up.port}/"
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            await load(browser, url)  # The browser's own start is not the page's.
            runs = [await load(browser, url) for _ in range(loads)]
            await browser.close()
    interactive = [run["interactive_ms"] for run in runs]
    bundle = sizes(DIST)
    return {
        "loads": loads,
        "interactive_ms": {"p50": round(statistics.median(interactive), 1), "max": round(max(interactive), 1)},
        "first_paint_ms": {"p50": round(statistics.median(run["first_paint_ms"] for run in runs), 1)},
        "dom_loaded_ms": {"p50": round(statistics.median(run["dom_loaded_ms"] for run in runs), 1)},
        "files": runs[0]["files"],
        "bytes": bundle,
        "within_limits": statistics.median(interactive) <= INTERACTIVE_LIMIT_MS and bundle["gzip"] <= GZIP_LIMIT,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=10, help="loads to measure (10)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(msgspec.json.format(msgspec.json.encode(asyncio.run(measure(options.loads))), indent=2).decode())


if __name__ == "__main__":
    main()
