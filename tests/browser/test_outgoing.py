"""Calls that are made from the page, over the exchange of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import expect

from antiphon.agents.agent import Agent
from antiphon.server.agents import AgentBook
from antiphon.server.run import Running, running
from antiphon.settings import Settings
from antiphon.transports.carriers.loopback import Exchange, serving
from tests.browser.conftest import OpenTab
from tests.browser.harness import AXE, PHONE, Tab, address, sideways, violations
from tests.ports import free_port
from tests.server.harness import scripted_models
from tests.telephony.lines import BILLING, OURS
from tests.telephony.test_outgoing import hangs_up


@asynccontextmanager
async def site(data_dir: Path, exchange: Exchange) -> AsyncIterator[Running]:
    """A server with the page that can make calls."""
    port = free_port()
    account = {"twilio_account_sid": exchange.account, "twilio_auth_token": exchange.token, "caller_id": OURS}
    async with serving(exchange.app()) as url:
        carrier = {**account, "carrier_urls": {"twilio": url}, "public_url": f"http://127.0.0.1:{port}"}
        settings = Settings(_env_file=None, port=port, dev=True, data_dir=data_dir, max_loop_lag_ms=10_000, **carrier)
        book = AgentBook([Agent("desk", greeting="Good morning, this is the clinic.")])
        async with running(book, settings, models=scripted_models()) as up:
            try:
                yield up
            finally:
                exchange.close()


async def call(tab: Tab, number: str) -> None:
    """Have somebody called."""
    await tab.button("Call a phone").click()
    dialog = tab.page.get_by_role("dialog")
    await dialog.get_by_role("textbox", name="Number").fill(number)
    await dialog.get_by_role("checkbox").uncheck()
    await dialog.get_by_role("button", name="Call").click()


async def test_phone_is_called_from_the_page(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, Exchange(ring_s=1.5, answers=hangs_up)) as up:
        tab = await open_tab(address(up, "/calls"), script=AXE)
        await call(tab, "+49 30 2312 5012")
        made = tab.page.get_by_role("region", name="Call that is made")
        await expect(made).to_contain_text(BILLING)
        await expect(made.get_by_role("status")).to_contain_text("It rings")
        assert await violations(tab) == []
        await tab.shot("outgoing")
        await expect(tab.page.get_by_test_id("line-agent")).to_contain_text("this is the clinic")
        await expect(tab.page.locator(".call-title")).to_contain_text(f"called {BILLING}")
        await expect(tab.page.locator(".call-title")).to_contain_text("user hangup")


async def test_call_that_nobody_takes_says_why(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, Exchange(outcome="busy", ring_s=0.2)) as up:
        tab = await open_tab(address(up, "/calls"), size=PHONE)
        await call(tab, BILLING)
        await expect(tab.page.get_by_role("status")).to_contain_text("busy")
        assert await sideways(tab) <= 0


async def test_call_is_called_off_while_it_rings(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, Exchange(ring_s=30)) as up:
        tab = await open_tab(address(up, "/calls"))
        await call(tab, BILLING)
        await tab.button("Call it off").click()
        await expect(tab.page.get_by_role("status")).to_contain_text("canceled")


async def test_number_that_is_none_is_refused_in_the_dialog(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, Exchange()) as up:
        tab = await open_tab(address(up, "/calls"))
        await call(tab, "12")
        await expect(tab.page.get_by_role("alert")).to_contain_text("such as +493023125012")
        tab.faults = [fault for fault in tab.faults if "422" not in fault]
