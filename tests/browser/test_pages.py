"""The pages beside the conversation: calls, agents, the key, and that everyone can use them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.server.agents import AgentBook
from antiphon.server.run import Running, running
from antiphon.settings import Settings
from antiphon.tools.tool import tool
from tests.browser.conftest import OpenTab
from tests.browser.harness import AXE, PHONE, Tab, address, sideways, violations
from tests.server.harness import close_code, next_event, phone, scripted_models, start_stream, until

GREETING = "Harbor Dental, good morning. How can I help you?"
PAGES = ["/", "/calls", "/scenarios", "/agents", "/server"]


@tool
def opening_hours(day: str) -> str:
    """When the clinic is open on a day of the week."""
    return day


billing = Agent("billing", "You answer questions about bills.", description="Knows about bills.")
desk = Agent(
    "front-desk",
    "You answer the phone of a dental clinic. " * 12,
    greeting=GREETING,
    tools=[opening_hours],
    handoffs=[Handoff(billing)],
    language="en",
)


@asynccontextmanager
async def site(data_dir: Path, **settings: Any) -> AsyncIterator[Running]:
    """A server whose models are all stand-ins."""
    options = {
        "dev": "api_keys" not in settings,
        "data_dir": data_dir,
        "record": True,
        "max_loop_lag_ms": 10_000,
        **settings,
    }
    async with running(AgentBook([desk]), Settings(_env_file=None, port=0, **options), models=scripted_models()) as up:
        yield up


async def one_call(up: Running, call_id: str) -> None:
    """A phone call that hears the greeting and hangs up."""
    async with phone(up) as socket:
        caller = await start_stream(socket, call_id)
        while (await next_event(socket))["event"] != "mark":
            pass
        await socket.send(caller.closing())
        await close_code(socket)
    await until(lambda: up.board.admission.live == 0)


async def test_finished_call_is_listed_and_its_recording_plays(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path) as up:
        await one_call(up, "CA1")
        tab = await open_tab(address(up, "/calls"))
        page = tab.page
        row = page.get_by_role("row").filter(has_text="front-desk")
        await expect(row).to_contain_text("twilio")
        await tab.shot("calls")
        await row.get_by_role("link").first.click()
        await expect(page).to_have_url(re.compile(r"/calls/\d{4}-\d\d-\d\d\.CA1$"))
        await expect(page.get_by_test_id("line-agent")).to_contain_text("Harbor Dental, good morning.")
        await tab.button("Play").click()
        await expect(tab.button("Pause")).to_be_visible()
        await expect(page.get_by_role("slider", name="Position")).not_to_have_value("0")
        await tab.shot("call")


async def test_list_follows_calls_as_they_come_and_go(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path) as up:
        tab = await open_tab(address(up, "/calls"))
        page = tab.page
        await expect(page.get_by_role("heading", name="No calls yet")).to_be_visible()
        async with phone(up) as socket:
            caller = await start_stream(socket, "CA1")
            row = page.get_by_role("row").filter(has_text="front-desk")
            await expect(row).to_contain_text("going on")
            await socket.send(caller.closing())
            await close_code(socket)
        await expect(row).to_contain_text("user hangup")


async def test_live_call_can_be_watched(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path) as up, phone(up) as socket:
        caller = await start_stream(socket, "CA1")
        await next_event(socket)
        (call,) = up.board.live.all()
        tab = await open_tab(address(up, f"/calls/{call.id}"))
        await expect(tab.page.get_by_test_id("line-agent")).to_contain_text("Harbor Dental")
        await expect(tab.page.locator(".call-title")).to_contain_text("live")
        await socket.send(caller.closing())
        await close_code(socket)
        await expect(tab.page.locator(".call-title")).to_contain_text("user hangup")


async def test_live_call_is_held_and_ended_from_the_page(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path) as up, phone(up) as socket:
        await start_stream(socket, "CA1")
        await next_event(socket)
        (call,) = up.board.live.all()
        tab = await open_tab(address(up, f"/calls/{call.id}"), script=AXE)
        controls = tab.page.get_by_role("region", name="Controls of the call")
        await controls.get_by_role("button", name="Hold").click()
        await expect(tab.page.get_by_test_id("captions")).to_contain_text("The caller is on hold")
        await controls.get_by_role("button", name="Back from hold").click()
        await expect(tab.page.get_by_test_id("captions")).to_contain_text("back from hold")
        await controls.get_by_role("button", name="Pause recording").click()
        await expect(controls.get_by_role("button", name="Record again")).to_be_visible()
        assert await violations(tab) == []
        await tab.shot("live-call")
        await controls.get_by_role("button", name="Transfer").click()
        dialog = tab.page.get_by_role("dialog")
        await dialog.get_by_role("textbox", name="To").fill("+14155550123")
        await dialog.get_by_role("button", name="Transfer").click()
        await expect(tab.page.get_by_role("alert")).to_contain_text("This call cannot be transferred")
        tab.faults = [fault for fault in tab.faults if "409" not in fault]
        await controls.get_by_role("button", name="End call").click()
        assert await close_code(socket) == 1000
        await expect(tab.page.locator(".call-title")).to_contain_text("agent hangup")
        await expect(tab.page.get_by_test_id("captions")).to_contain_text("The agent ended the call")


async def test_calls_can_be_searched(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path) as up:
        await one_call(up, "CA1")
        tab = await open_tab(address(up, "/calls"))
        page = tab.page
        await expect(page.get_by_role("row").filter(has_text="front-desk")).to_be_visible()
        await page.get_by_role("searchbox", name="Search calls").fill("root canal")
        await expect(page.get_by_role("heading", name="No call matches")).to_be_visible()
        await page.get_by_role("searchbox", name="Search calls").fill("harbor")
        await expect(page.get_by_role("row").filter(has_text="front-desk")).to_be_visible()


async def test_agents_show_their_tools_and_lead_to_a_talk(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path) as up:
        tab = await open_tab(address(up, "/agents"))
        page = tab.page
        card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="front-desk"))
        await expect(card).to_contain_text(GREETING)
        await expect(card.get_by_role("region", name="Tools of front-desk")).to_contain_text("opening_hours")
        await expect(card.get_by_role("region", name="Handoffs of front-desk")).to_contain_text("billing")
        await tab.shot("agents")
        await (
            page.get_by_role("listitem")
            .filter(has=page.get_by_role("heading", name="billing"))
            .get_by_role("link", name="Talk to it")
            .click()
        )
        await expect(page.get_by_role("heading", name="Talk to billing")).to_be_visible()


async def test_server_with_a_key_asks_for_it_once(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, api_keys="the-key") as up:
        tab = await open_tab(address(up, "/agents"))
        page = tab.page
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_be_visible()
        await dialog.get_by_role("textbox").fill("the-key")
        await dialog.get_by_role("button").last.click()
        await expect(page.get_by_role("heading", name="front-desk")).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("heading", name="front-desk")).to_be_visible()
        await expect(dialog).to_have_count(0)
        tab.faults = [fault for fault in tab.faults if "401" not in fault]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_pages_are_accessible(open_tab: OpenTab, tmp_path: Path, path: str, dark: bool) -> None:
    async with site(tmp_path) as up:
        await one_call(up, "CA1")
        tab = await open_tab(address(up, path), script=AXE, dark=dark)
        await _settled(tab, path)
        assert await violations(tab) == []
        if path == "/calls":
            await tab.page.get_by_role("row").filter(has_text="front-desk").get_by_role("link").first.click()
            await expect(tab.page.get_by_test_id("line-agent")).to_be_visible()
            assert await violations(tab) == []


@pytest.mark.parametrize("path", PAGES)
async def test_phone_needs_no_scrolling_sideways(open_tab: OpenTab, tmp_path: Path, path: str) -> None:
    async with site(tmp_path) as up:
        await one_call(up, "CA1")
        tab = await open_tab(address(up, path), size=PHONE)
        await _settled(tab, path)
        assert await sideways(tab) <= 0
        if path == "/calls":
            await tab.page.locator("tbody tr").get_by_role("link").first.click()
            await expect(tab.page.get_by_test_id("line-agent")).to_be_visible()
            assert await sideways(tab) <= 0


async def test_keyboard_alone_leads_through_the_pages(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path) as up:
        tab = await open_tab(address(up))
        page = tab.page
        await _settled(tab)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
        await _tab_to(tab, "Calls")
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
        await _tab_to(tab, "Agents")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="front-desk")).to_be_visible()
        await _tab_to(tab, "Talk to it")
        await page.keyboard.press("Enter")
        await _tab_to(tab, "Start talking")
        await expect(tab.button("Start talking")).to_be_focused()


async def _tab_to(tab: Tab, name: str) -> None:
    """Press Tab until what has this text has the focus."""
    for _ in range(40):
        await tab.page.keyboard.press("Tab")
        if name == (await tab.page.evaluate("document.activeElement.textContent")).strip():
            return
    raise AssertionError(f"Tab does not lead to {name}.")


async def _settled(tab: Tab, path: str = "/") -> None:
    """Wait until the page shows what it has to show."""
    page = tab.page
    shown = {
        "/": tab.button("Start talking"),
        "/calls": page.locator("tbody tr").first,
        "/scenarios": page.get_by_role("heading", name="No scenarios yet"),
        "/agents": page.get_by_role("heading", name="front-desk"),
        "/server": page.get_by_role("region", name="Carriers"),
    }
    await expect(shown[path]).to_be_visible()
    await expect(shown[path]).to_be_enabled()
