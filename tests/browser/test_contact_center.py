"""The contact center of the examples, on the page: a PIN by the keypad, a collector, handoffs."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from antiphon.agents.scenarios.load import load_catalog
from antiphon.models.llm.scripted import ScriptedChatClient
from tests.browser.conftest import OpenTab
from tests.browser.harness import WEIGHTS, address, site
from tests.examples.test_contact_center import EXAMPLE, think

pytestmark = pytest.mark.models(*WEIGHTS)


async def test_bill_is_asked_for_and_mailed(open_tab: OpenTab, tmp_path: Path) -> None:
    catalog = load_catalog(EXAMPLE)
    llm = ScriptedChatClient(think)
    agents = [agent.replace(voice=None) for agent in catalog.agents]  # Their voices may not be on this machine.
    async with site(tmp_path, llm, *agents, scenarios=catalog.scenarios) as up:
        tab = await open_tab(address(up, "/?scenario=phone-line"))
        page = tab.page
        lines = page.get_by_test_id("captions")

        async def say(text: str) -> None:
            await expect(page.get_by_role("status").first).to_contain_text("Listening")
            await page.get_by_role("textbox", name="Type a message").fill(text)
            await expect(tab.button("Send")).to_be_enabled()
            await page.keyboard.press("Enter")

        await tab.button("Type instead").click()
        await expect(page.get_by_test_id("answers-now")).to_contain_text("reception")
        await say("It is about my bill.")
        await expect(lines).to_contain_text("Please type your PIN.")
        await tab.button("Keypad").click()
        await page.keyboard.type("4711")
        await expect(page.get_by_test_id("line-handoff")).to_contain_text("billing")
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("answers-now")).to_contain_text("billing")
        await expect(lines).to_contain_text("You have to pay eighty-four pounds twenty.")
        await say("Please mail it to me.")
        await expect(lines).to_contain_text("Which address shall I send it to?")
        collector = page.get_by_test_id("tool-card").filter(has_text="asking…")
        await expect(collector).to_contain_text("ask_email")
        await tab.shot("contact-center-collector")
        await say("ada at example dot com")
        await expect(lines).to_contain_text("I have ada at example dot com. Is that right?")
        await say("Yes, please.")
        await expect(lines).to_contain_text("It is on its way.")
        await expect(collector).to_be_hidden()
        await tab.shot("contact-center")
        assert "4711" not in await page.locator("body").inner_text()
