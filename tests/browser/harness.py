"""A real server, and Debian's Chromium with a microphone that speaks a file."""

from __future__ import annotations

import os
import re
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Playwright

from antiphon.agents.agent import Agent
from antiphon.agents.scenarios.scenario import Scenario
from antiphon.audio.wav import read_wav
from antiphon.clock import WallClock
from antiphon.models import catalog
from antiphon.models.catalog import Models
from antiphon.models.llm.contract import ChatClient
from antiphon.server.agents import AgentBook
from antiphon.server.run import Running, running
from antiphon.settings import Settings, load_settings

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).resolve().parents[2]
CALLERS = ROOT / "src" / "antiphon" / "demo" / "callers"
HUMAN = ROOT / "tests" / "data" / "human"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
ARTIFACTS = Path(os.environ.get("ANTIPHON_ARTIFACTS") or Path(__file__).parent / ".artifacts")
WEIGHTS = ("silero-vad", "moonshine-tiny-encoder", "moonshine-tiny-decoder", "moonshine-tokenizer")
"""What the server of these tests hears with."""

MICROPHONE_HZ = 48_000
DESKTOP = (1280, 800)
PHONE = (375, 812)
WAIT_MS = 15_000
"""How long a page may take to show something."""


def microphone_file(path: Path, *parts: float | Path) -> Path:
    """Write what the microphone will speak: recordings, and seconds of silence between them.

    Chromium takes PCM of 16 bit, one channel, 48 kHz.
    """
    sound = [_silence(part) if isinstance(part, float) else _recording(part) for part in parts]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MICROPHONE_HZ)
        file.writeframes(np.concatenate(sound).astype("<i2").tobytes())
    return path


def _silence(seconds: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.zeros(int(seconds * MICROPHONE_HZ), np.int16)


def _recording(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    pcm, rate_hz = read_wav(path)
    return soxr.resample(pcm, rate_hz, MICROPHONE_HZ)


async def hearing_models(data_dir: Path, llm: ChatClient) -> Models:
    """The embedded ears and voice, and a language model of the test's."""
    settings = Settings(_env_file=None, llm="scripted", data_dir=data_dir)
    return replace(await catalog.load(settings, clock=WallClock()), llm=llm)


@asynccontextmanager
async def site(
    data_dir: Path, llm: ChatClient, *agents: Agent, scenarios: Sequence[Scenario] = (), **settings: Any
) -> AsyncIterator[Running]:
    """A server with the page, on a free port of this machine; open to all unless it has keys."""
    weights = load_settings(env_file=None).data_dir
    options = {"port": 0, "dev": "api_keys" not in settings, "data_dir": data_dir, "record": True, **settings}
    async with running(
        AgentBook(agents or [Agent("desk", greeting="")], scenarios=scenarios),
        Settings(_env_file=None, max_loop_lag_ms=10_000, **options),
        models=await hearing_models(weights, llm),
    ) as up:
        yield up


def address(up: Running, path: str = "/") -> str:
    """Where a page of the server is."""
    return f"http://127.0.0.1:{up.port}{path}"


@dataclass
class Tab:
    """A page in a browser of its own.

    Attributes:
        page: Playwright's.
        faults: What the page complained about: errors, blocked content, failed requests for its own files.
        sent: Texts that it sent over WebSockets.
        received: Texts that it got over them.
    """

    page: Page
    faults: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note what happens from now on."""
        page = self.page
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"{error}\n{error.stack}"))
        page.on("websocket", self._socket)

    def sent_types(self) -> list[str]:
        """The types of the Realtime events that the page sent."""
        return _types(self.sent)

    def received_types(self) -> list[str]:
        """The types of the Realtime events that the page got."""
        return _types(self.received)

    def button(self, name: str) -> Locator:
        """A button by its name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def shot(self, name: str) -> None:
        """Save what the page looks like now."""
        await self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=False)

    def _console(self, message: ConsoleMessage) -> None:
        # A test's server ends before its browser does.
        if message.type == "error" and "ERR_CONNECTION_REFUSED" not in message.text:
            self.faults.append(message.text)

    def _socket(self, socket: Any) -> None:
        socket.on("framesent", lambda data: self.sent.append(str(data)))
        socket.on("framereceived", lambda data: self.received.append(str(data)))


_TYPE = re.compile(r'"type":\s*"([a-z_.]+)"')


def _types(messages: Sequence[str]) -> list[str]:
    return [match[1] for message in messages if (match := _TYPE.search(message)) is not None]


async def launch(playwright: Playwright, speaks: Path | None, *, allowed: bool) -> Browser:
    """A browser. Without a file its microphone is there and silent; ``allowed`` answers the question for it."""
    # A fake device plays beeps unless it is told what to play.
    sound = [f"--use-file-for-fake-audio-capture={speaks}%noloop"] if speaks is not None else []
    answer = "--use-fake-ui-for-media-stream" if allowed else "--deny-permission-prompts"
    return await playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[
            "--no-sandbox",
            answer,
            "--use-fake-device-for-media-stream",
            "--autoplay-policy=no-user-gesture-required",
            *sound,
        ],
    )


async def new_tab(browser: Browser, *, size: tuple[int, int], dark: bool) -> Tab:
    """A page of a size in pixels."""
    context: BrowserContext = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
    )
    context.set_default_timeout(WAIT_MS)
    tab = Tab(await context.new_page())
    tab.watch()
    return tab


async def violations(tab: Tab) -> list[str]:
    """What axe-core finds on the page as it is now; the tab was opened with ``script=AXE``."""
    return [str(each) for each in await tab.page.evaluate(_RUN_AXE)]


_RUN_AXE = """async () => {
    const ending = document.getAnimations().filter((each) => each.effect.getComputedTiming().endTime !== Infinity);
    await Promise.all(ending.map((each) => each.finished.catch(() => null)));
    const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
    const { violations } = await axe.run(document, { runOnly });
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}"""


async def sideways(tab: Tab) -> int:
    """Pixels that the page is too wide, and what makes it so is in the picture."""
    return int(await tab.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))
