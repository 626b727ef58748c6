"""People talk to an agent on the page."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.async_api import expect

from antiphon.agents.agent import Agent
from antiphon.audio.wav import read_wav
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.keypad import pin_gate
from antiphon.tools.tool import tool
from tests.browser.conftest import OpenTab
from tests.browser.harness import AXE, CALLERS, HUMAN, PHONE, WEIGHTS, Tab, address, sideways, site, violations

pytestmark = pytest.mark.models(*WEIGHTS)
needs_webrtc = pytest.mark.skipif(
    find_spec("aiortc") is None, reason='aiortc is missing: pip install "antiphon[webrtc]"'
)

QUESTION = CALLERS / "michael_saturday.wav"
"""What time do you open on Saturday?"""
INTERRUPTION = CALLERS / "bella_sunday.wav"
SHORT = "We open at nine on Saturday."
LONG = (
    "On Saturday we open at nine in the morning, and we close at one in the afternoon. On all other days of the week "
    "we open at eight, and we close at six, but on Wednesday we close at noon. On holidays we do not open at all."
)
CONNECTING_S = 2.0
"""Silence at the microphone until the call is up."""


async def start_talking(tab: Tab, *, webrtc: bool = False) -> None:
    """Press the button, and wait until the call is up."""
    if webrtc:
        choice = tab.page.get_by_role("radio", name="WebRTC")
        await expect(choice).to_be_enabled()  # The server has told that it has it; force does not wait for that.
        await choice.check(force=True)
    await tab.button("Start talking").click()
    await expect(tab.button("Hang up")).to_be_visible()


async def type_text(tab: Tab, text: str) -> None:
    """Say something by the keyboard."""
    await tab.page.get_by_role("textbox", name="Type a message").fill(text)
    await expect(tab.button("Send")).to_be_enabled()  # Not before the call is up.
    await tab.page.keyboard.press("Enter")


def agent_sound(data_dir: Path) -> int:
    """The loudest sample of the agent in the newest recording."""
    path = max(data_dir.glob("calls/*/*/recording.wav"), key=lambda path: path.stat().st_mtime_ns)
    return int(abs(read_wav(path)[0][:, 1]).max())


@pytest.mark.parametrize("webrtc", [False, pytest.param(True, marks=needs_webrtc)], ids=["websocket", "webrtc"])
async def test_spoken_question_gets_a_spoken_answer(open_tab: OpenTab, tmp_path: Path, webrtc: bool) -> None:
    async with site(tmp_path, ScriptedChatClient([SHORT])) as up:
        tab = await open_tab(address(up), CONNECTING_S, QUESTION, 1.0)
        page = tab.page
        await start_talking(tab, webrtc=webrtc)
        await expect(page.get_by_test_id("line-caller")).to_contain_text(re.compile("open on saturday", re.IGNORECASE))
        await expect(page.get_by_test_id("line-agent")).to_contain_text(SHORT)
        await expect(page.get_by_role("log")).to_contain_text(SHORT)
        await expect(page.get_by_role("status")).to_contain_text("Listening")
        await tab.shot("talk-webrtc" if webrtc else "talk")
        await tab.button("Hang up").click()
        await expect(page.get_by_role("status")).to_contain_text("Call ended")
    assert agent_sound(tmp_path) > 1_000
    assert ("response.output_audio.delta" in tab.received_types()) is not webrtc


@pytest.mark.parametrize("webrtc", [False, pytest.param(True, marks=needs_webrtc)], ids=["websocket", "webrtc"])
async def test_reply_that_is_cut_shows_what_was_heard_and_what_was_not(
    open_tab: OpenTab, tmp_path: Path, webrtc: bool
) -> None:
    llm = ScriptedChatClient([LONG, SHORT])
    async with site(tmp_path, llm) as up:
        tab = await open_tab(address(up), CONNECTING_S, QUESTION, 4.5, INTERRUPTION, 1.0)
        page = tab.page
        await start_talking(tab, webrtc=webrtc)
        await expect(page.get_by_test_id("not-heard")).to_contain_text("holidays")
        await expect(page.get_by_test_id("heard")).to_contain_text("On Saturday we open")
        await expect(page.get_by_test_id("line-agent").last).to_contain_text(SHORT)
        await tab.shot("barge-in-webrtc" if webrtc else "barge-in")
        remembered = [message.text for message in llm.requests[-1].messages if message.role == "assistant"]
        assert remembered[-1].startswith("On Saturday we open")
        assert "holidays" not in remembered[-1]
        truncated = [json.loads(text) for text in tab.sent if "conversation.item.truncate" in text]
        corrections = [text for text in tab.sent if "audio_buffer.append" not in text]
        assert len(truncated) == (0 if webrtc else 1), corrections
        assert all(500 < each["audio_end_ms"] < 8_000 for each in truncated)


async def test_call_goes_on_beside_the_other_pages(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient([SHORT, "Yes."])) as up:
        tab = await open_tab(address(up))
        page = tab.page
        await start_talking(tab)
        await type_text(tab, "When do you open on Saturday?")
        await page.get_by_role("navigation").get_by_role("link", name="Calls").click()
        await expect(page.get_by_role("row").filter(has_text="desk")).to_contain_text("going on")
        await page.get_by_role("navigation").get_by_role("link", name="Talk").click()
        await expect(page.get_by_test_id("line-agent")).to_contain_text(SHORT)
        await type_text(tab, "Are you still there?")
        await expect(page.get_by_test_id("line-agent").last).to_contain_text("Yes.")


async def test_person_is_understood(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient(["I go."])) as up:
        tab = await open_tab(address(up), CONNECTING_S, HUMAN / "goforward.wav", 1.0)
        await start_talking(tab)
        await expect(tab.page.get_by_test_id("line-caller")).to_contain_text(re.compile("go forward", re.IGNORECASE))


async def test_tool_call_is_a_card(open_tab: OpenTab, tmp_path: Path) -> None:
    @tool
    def opening_hours(day: str) -> str:
        """When the clinic is open on a day of the week."""
        return f"{day}: 9 to 1"

    llm = ScriptedChatClient([Reply(calls=(call("opening_hours", day="Saturday"),)), SHORT])
    async with site(tmp_path, llm, Agent("desk", tools=[opening_hours])) as up:
        tab = await open_tab(address(up))
        await start_talking(tab)
        await type_text(tab, "When do you open on Saturday?")
        card = tab.page.get_by_test_id("tool-card")
        await expect(card).to_contain_text("opening_hours")
        await expect(card).to_contain_text("Saturday: 9 to 1")
        await expect(tab.page.get_by_test_id("line-agent")).to_contain_text(SHORT)


async def test_keypad_opens_a_pin_gate_and_nobody_sees_the_number(open_tab: OpenTab, tmp_path: Path) -> None:
    agent = Agent("desk", greeting="", tools=[pin_gate("4711", length=4)])
    llm = ScriptedChatClient([Reply(calls=(call("pin_gate"),)), "Type your PIN, please.", "Thank you, Ms. Okafor."])
    async with site(tmp_path, llm, agent) as up:
        tab = await open_tab(address(up), script=AXE)
        page = tab.page
        await start_talking(tab)
        await type_text(tab, "What is my balance?")
        await expect(page.get_by_test_id("line-agent")).to_contain_text("Type your PIN")
        await expect(page.get_by_role("status")).to_contain_text("Speaking")
        await tab.button("Keypad").click()
        for key in "47":
            await page.get_by_role("group", name="Keypad").get_by_role("button", name=key).click()
        await page.keyboard.type("11")
        await expect(page.get_by_role("status", name="4 pressed")).to_be_visible()
        assert await violations(tab) == []
        await tab.shot("keypad")
        await expect(page.get_by_test_id("line-keys")).to_contain_text("4 keys pressed")
        await expect(page.get_by_test_id("tool-card")).to_contain_text("The caller has typed the right number.")
        await expect(page.get_by_test_id("line-agent").last).to_contain_text("Thank you, Ms. Okafor.")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("group", name="Keypad")).to_be_hidden()
        assert "4711" not in await page.locator("body").inner_text()


async def test_values_for_templates_reach_the_greeting(open_tab: OpenTab, tmp_path: Path) -> None:
    agent = Agent("desk", greeting="Good morning, {{ caller_name | default('and welcome') }}.")
    async with site(tmp_path, ScriptedChatClient([]), agent) as up:
        tab = await open_tab(address(up))
        await tab.page.get_by_text("Values for templates").click()
        await tab.page.get_by_role("textbox").fill("caller_name=Ms. Okafor")
        await tab.button("Type instead").click()
        await expect(tab.page.get_by_test_id("line-agent")).to_contain_text("Good morning, Ms. Okafor.")


async def test_call_goes_on_after_a_reload(open_tab: OpenTab, tmp_path: Path) -> None:
    llm = ScriptedChatClient([SHORT, "Yes, I remember."])
    async with site(tmp_path, llm) as up:
        tab = await open_tab(address(up))
        page = tab.page
        await start_talking(tab)
        await type_text(tab, "My name is Ada.")
        await expect(page.get_by_test_id("line-agent")).to_contain_text(SHORT)
        await expect(page.get_by_role("status")).to_contain_text("Listening")
        await page.reload()
        await tab.shot("reload")
        await tab.button("Go on").click()
        await expect(tab.button("Hang up")).to_be_visible()
        past = page.get_by_role("list", name="Before the connection was made again")
        await expect(past).to_contain_text("My name is Ada.")
        await expect(past).to_contain_text(SHORT)
        await type_text(tab, "Do you know my name?")
        await expect(page.get_by_test_id("line-agent").last).to_contain_text("Yes, I remember.")
    said = [message.text for message in llm.requests[-1].messages if message.role != "system"]
    assert said[:3] == ["My name is Ada.", SHORT, "Do you know my name?"]


async def test_no_microphone_is_told_and_typing_works(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient([SHORT])) as up:
        tab = await open_tab(address(up), allowed=False)
        page = tab.page
        await start_talking(tab)
        await expect(page.get_by_role("alert")).to_contain_text(re.compile("microphone", re.IGNORECASE))
        await expect(tab.button("No microphone")).to_be_disabled()
        await type_text(tab, "When do you open on Saturday?")
        await expect(page.get_by_test_id("line-agent")).to_contain_text(SHORT)
        await tab.shot("no-microphone")


@pytest.mark.parametrize("webrtc", [False, pytest.param(True, marks=needs_webrtc)], ids=["websocket", "webrtc"])
async def test_key_opens_the_conversation_too(open_tab: OpenTab, tmp_path: Path, webrtc: bool) -> None:
    async with site(tmp_path, ScriptedChatClient([SHORT]), api_keys="the-key") as up:
        tab = await open_tab(address(up))
        dialog = tab.page.get_by_role("dialog")
        await dialog.get_by_role("textbox").fill("the-key")
        await tab.page.keyboard.press("Enter")
        await start_talking(tab, webrtc=webrtc)
        await type_text(tab, "When do you open on Saturday?")
        await expect(tab.page.get_by_test_id("line-agent")).to_contain_text(SHORT)
        tab.faults = [fault for fault in tab.faults if "401" not in fault]


async def test_call_can_be_held_with_the_keyboard_alone(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient([SHORT])) as up:
        tab = await open_tab(address(up))
        page = tab.page
        await tab.button("Start talking").focus()
        await page.keyboard.press("Enter")
        await expect(tab.button("Hang up")).to_be_visible()
        await page.get_by_role("textbox", name="Type a message").focus()
        await page.keyboard.type("Hello?")
        await expect(tab.button("Send")).to_be_enabled()
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("line-agent")).to_contain_text(SHORT)
        await page.keyboard.press("Tab")
        if not await tab.button("Hang up").evaluate("each => each === document.activeElement"):
            await page.keyboard.press("Tab")
        await expect(tab.button("Hang up")).to_be_focused()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("status")).to_contain_text("Call ended")


async def test_call_of_the_page_is_listed_with_its_recording(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient([SHORT])) as up:
        tab = await open_tab(address(up), CONNECTING_S, QUESTION, 1.0)
        page = tab.page
        await start_talking(tab)
        await expect(page.get_by_test_id("line-agent")).to_contain_text(SHORT)
        await expect(page.get_by_role("status")).to_contain_text("Listening")
        await tab.button("Hang up").click()
        await page.get_by_role("link", name="Open this call").click()
        await expect(page.get_by_test_id("line-caller")).to_be_visible()
        await page.get_by_role("navigation").get_by_role("link", name="Calls").click()
        row = page.get_by_role("row").filter(has_text="desk")
        await expect(row).to_contain_text("user hangup")
        await row.get_by_role("link").first.click()
        await expect(page.get_by_test_id("line-caller")).to_contain_text(re.compile("saturday", re.IGNORECASE))
        await page.get_by_test_id("line-agent").get_by_role("button", name=re.compile("Play from")).click()
        await expect(tab.button("Pause")).to_be_visible()
        await expect(page.get_by_test_id("line-agent")).to_have_attribute("data-current", "true")
        await tab.shot("call-of-the-page")
        await page.get_by_role("tab", name="Report").click()
        row = page.get_by_role("row").filter(has_text="Voice to voice")
        await expect(row.get_by_role("cell").last).to_have_text("1")
        await expect(page.get_by_role("list", name="Insights")).to_contain_text("Answered by")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_conversation_is_accessible(open_tab: OpenTab, tmp_path: Path, dark: bool) -> None:
    async with site(tmp_path, ScriptedChatClient([SHORT])) as up:
        tab = await open_tab(address(up), script=AXE, dark=dark)
        await start_talking(tab)
        await type_text(tab, "When do you open on Saturday?")
        await expect(tab.page.get_by_test_id("line-agent")).to_contain_text(SHORT)
        await expect(tab.page.get_by_role("status")).to_contain_text("Listening")
        assert await violations(tab) == []
        await tab.button("Hang up").click()
        await expect(tab.page.get_by_role("status")).to_contain_text("Call ended")
        assert await violations(tab) == []


async def test_conversation_fits_a_phone(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient([LONG])) as up:
        tab = await open_tab(address(up), size=PHONE)
        await start_talking(tab)
        await type_text(tab, "When do you open on Saturday?")
        await expect(tab.page.get_by_test_id("line-agent")).to_contain_text("holidays")
        await expect(tab.button("Hang up")).to_be_in_viewport()
        assert await sideways(tab) <= 0
        await tab.shot("talk-phone")
        await tab.page.get_by_role("tab", name="Timeline and latency").click()
        await expect(tab.page.get_by_role("heading", name="Timeline")).to_be_visible()
        assert await sideways(tab) <= 0
        await expect(tab.button("Hang up")).to_be_in_viewport()
        await tab.button("Hang up").click()
        await expect(tab.page.get_by_role("status")).to_contain_text("Call ended")
