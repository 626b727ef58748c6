"""People talk to an agent on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from antiphon.audio.wav import read_wav
from antiphon.models.llm.scripted import ScriptedChatClient
from tests.browser.conftest import OpenTab
from tests.browser.harness import CALLERS, WEIGHTS, Tab, address, site

pytestmark = pytest.mark.models(*WEIGHTS)

QUESTION = CALLERS / "michael_saturday.wav"
"""What time do you open on Saturday?"""
INTERRUPTION = CALLERS / "bella_sunday.wav"
SHORT = "We open at nine on Saturday."
LONG = (
    "On Saturday we open at nine in the morning, and we close at one in the afternoon. On all other days of the week "
    "we open at eight, and we close at six, but on Wednesday we close at noon. On holidays we do not open at all."
)
CONNECTING_S = 2.0


async def start_talking(tab: Tab) -> None:
    await tab.button("Start talking").click()
    await expect(tab.button("Hang up")).to_be_visible()


def last_call(data_dir: Path) -> tuple[list[dict[str, object]], Path]:
    """The entries of the newest call, and its folder."""
    log = max(data_dir.glob("calls/*/*/log.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in log.read_text().splitlines()], log.parent


async def test_spoken_question_gets_a_spoken_answer(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient([SHORT])) as up:
        tab = await open_tab(address(up), CONNECTING_S, QUESTION, 1.0)
        await start_talking(tab)
        page = tab.page
        await expect(page.get_by_test_id("line-caller")).to_contain_text(re.compile("open on saturday", re.I))
        await expect(page.get_by_test_id("line-agent")).to_contain_text(SHORT)
        await expect(page.get_by_role("log")).to_contain_text(SHORT)
        await expect(page.get_by_role("status")).to_contain_text("Listening")
        await tab.shot("talk")
        assert "response.output_audio.delta" in tab.received_types()
        await tab.button("Hang up").click()
        await expect(page.get_by_role("status")).to_contain_text("Call ended")
    _, folder = last_call(tmp_path)
    sound, _ = read_wav(folder / "recording.wav", channels="all")
    assert abs(sound[:, 1]).max() > 1_000


async def test_reply_that_is_cut_shows_what_was_heard_and_what_was_not(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient([LONG, SHORT])) as up:
        tab = await open_tab(address(up), CONNECTING_S, QUESTION, 4.5, INTERRUPTION, 1.0)
        await start_talking(tab)
        page = tab.page
        await expect(page.get_by_test_id("not-heard")).to_contain_text("holidays")
        await expect(page.get_by_test_id("heard")).to_contain_text("On Saturday we open")
        await expect(page.get_by_test_id("line-agent").last).to_contain_text(SHORT)
        await tab.shot("barge-in")
        truncated = [json.loads(text) for text in tab.sent if "conversation.item.truncate" in text]
        assert len(truncated) == 1
        assert 500 < truncated[0]["audio_end_ms"] < 8_000
