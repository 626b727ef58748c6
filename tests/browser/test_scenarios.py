"""Scenarios on the page: the graph, and calls that go through it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from antiphon.agents.agent import Agent
from antiphon.agents.scenarios.load import load_catalog
from antiphon.agents.scenarios.scenario import GenericHandoff, Scenario, ScenarioEdge
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.tool import tool
from tests.browser.conftest import OpenTab
from tests.browser.harness import AXE, PHONE, WEIGHTS, Tab, address, sideways, site, violations

pytestmark = pytest.mark.models(*WEIGHTS)


@tool
def read_bill(month: str) -> str:
    """What a bill says."""
    return month


AGENTS = [
    Agent(
        "reception", "You answer the phone.", greeting="Lakeside Energy, good morning.", description="Answers first."
    ),
    Agent(
        "billing", "You explain bills.", greeting="This is billing.", tools=[read_bill], description="Explains bills."
    ),
    Agent("meters", "You read meters.", description="Knows about meters."),
]
ENERGY = Scenario(
    "energy",
    description="A power company's phone.",
    start_agent="reception",
    handoffs=[
        ScenarioEdge("reception", "billing", condition="The caller asks about a bill."),
        ScenarioEdge("billing", "reception", type="discrete", condition="Anything else."),
    ],
    generic_handoff=GenericHandoff(allowed_targets=["meters"]),
)


async def test_scenario_is_shown_as_a_graph_and_in_words(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient([]), *AGENTS, scenarios=[ENERGY]) as up:
        tab = await open_tab(address(up, "/scenarios"), script=AXE)
        page = tab.page
        await page.get_by_role("link", name="energy", exact=True).click()
        graph = page.get_by_role("region", name="Graph")
        nodes = graph.get_by_role("button")
        await expect(nodes).to_have_count(3)
        await expect(nodes.first).to_contain_text("reception")
        await expect(nodes.first.get_by_role("img", name="answers first")).to_be_visible()
        handoffs = page.get_by_role("region", name="Handoffs", exact=True).get_by_role("listitem")
        await expect(handoffs).to_have_count(3)
        await expect(handoffs.nth(0)).to_contain_text("The caller asks about a bill.")
        await expect(handoffs.nth(1)).to_contain_text("silent")
        await expect(handoffs.nth(2)).to_contain_text("every agent")
        await expect(page.get_by_role("region", name="Agent reception")).to_contain_text("good morning")
        await graph.get_by_role("button", name="billing").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("region", name="Agent billing")).to_contain_text("read_bill")
        assert await violations(tab) == []
        await tab.shot("scenario")


async def test_call_goes_through_a_scenario_and_the_graph_follows(open_tab: OpenTab, tmp_path: Path) -> None:
    llm = ScriptedChatClient(
        [
            Reply(calls=(call("handoff_to_billing", reason="The caller asks about a bill."),)),
            "In March it was 90 euros.",
        ]
    )
    async with site(tmp_path, llm, *AGENTS, scenarios=[ENERGY]) as up:
        tab = await open_tab(address(up, "/scenarios/energy"))
        page = tab.page
        await page.get_by_role("link", name="Talk to this scenario").click()
        await expect(page.get_by_role("heading", name="Talk to energy")).to_be_visible()
        await expect(page.get_by_role("radio", name="energy")).to_be_checked()
        await tab.button("Type instead").click()
        await expect(page.get_by_test_id("answers-now")).to_contain_text("reception")
        await expect(page.get_by_test_id("line-agent")).to_contain_text("Lakeside Energy, good morning.")
        await _type(tab, "Why is my bill so high?")
        await expect(page.get_by_test_id("line-handoff")).to_contain_text("billing")
        await expect(page.get_by_test_id("answers-now")).to_contain_text("billing")
        last = page.get_by_test_id("line-agent").last
        await expect(last).to_contain_text("In March it was 90 euros.")
        await expect(last).to_have_attribute("data-who", "1")
        await expect(page.get_by_role("img", name="Answers: 2 bars")).to_be_visible()
        await tab.shot("scenario-call")
        await tab.button("Hang up").click()
        await page.get_by_role("link", name="Open this call").click()
        await page.get_by_role("tab", name="Scenario").click()
        await expect(page.get_by_role("region", name="Scenario")).to_contain_text("The caller asks about a bill.")
        await expect(page.get_by_test_id("line-handoff")).to_contain_text("billing")


async def test_agent_alone_is_called_without_the_scenario(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient(["Hello."]), *AGENTS, scenarios=[ENERGY, PLAIN]) as up:
        tab = await open_tab(address(up, "/"))
        page = tab.page
        await page.get_by_role("radio", name="meters").check(force=True)
        await expect(page.get_by_role("heading", name="Talk to meters")).to_be_visible()
        await tab.button("Type instead").click()
        await expect(tab.button("Hang up")).to_be_visible()
        await expect(page.get_by_role("region", name="Scenario", exact=True)).to_be_hidden()


async def test_scenario_is_written_on_the_page_and_its_file_is_one(open_tab: OpenTab, tmp_path: Path) -> None:
    async with site(tmp_path, ScriptedChatClient([]), *AGENTS, scenarios=[ENERGY]) as up:
        tab = await open_tab(address(up, "/scenarios"), script=AXE)
        page = tab.page
        await page.get_by_role("link", name="New scenario").click()
        await page.get_by_role("textbox", name="Name").fill("clinic")
        agents = page.get_by_role("group", name="Agents", exact=True)
        for name in ("billing", "reception"):
            await agents.get_by_role("checkbox", name=name).check()
        await page.get_by_role("combobox", name="Answers first").select_option("reception")
        graph = page.get_by_role("region", name="Graph")
        await graph.get_by_role("button", name="reception").click()
        await expect(graph.get_by_role("heading")).to_contain_text("reception hands over to")
        await graph.get_by_role("button", name="billing").click()
        row = page.get_by_role("region", name="Handoffs").get_by_role("listitem")
        await row.get_by_role("combobox", name="How").select_option("silent")
        await row.get_by_role("textbox", name="When").fill('A "bill": any.')
        await expect(graph).to_contain_text('A "bill": any.')
        assert await violations(tab) == []
        await tab.shot("builder")
        async with page.expect_download() as download:
            await tab.button("Download").click()
        await (await download.value).save_as(tmp_path / "line" / "scenarios" / "clinic" / "scenario.yaml")
    for name in ("billing", "reception"):
        path = tmp_path / "line" / "agents" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"name: {name}\nprompt: Be brief.\n")
    (clinic,) = load_catalog(tmp_path / "line", environment={}).scenarios
    assert (clinic.name, clinic.start_agent) == ("clinic", "reception")
    assert list(clinic.agents) == ["reception", "billing"]
    assert list(clinic.handoffs) == [ScenarioEdge("reception", "billing", type="discrete", condition='A "bill": any.')]


PLAIN = Scenario("plain", agents=["reception"])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_scenarios_are_accessible_and_fit_a_phone(open_tab: OpenTab, tmp_path: Path, dark: bool) -> None:
    async with site(tmp_path, ScriptedChatClient([]), *AGENTS, scenarios=[ENERGY, PLAIN]) as up:
        tab = await open_tab(address(up, "/scenarios"), script=AXE, size=PHONE, dark=dark)
        await expect(tab.page.get_by_role("link", name="plain", exact=True)).to_be_visible()
        assert await violations(tab) == []
        assert await sideways(tab) <= 0
        await tab.page.get_by_role("link", name="energy", exact=True).click()
        await expect(tab.page.get_by_role("region", name="Graph").get_by_role("button")).to_have_count(3)
        assert await violations(tab) == []
        assert await sideways(tab) <= 0
        await tab.page.get_by_role("link", name="Change a copy").click()
        await expect(tab.page.get_by_role("textbox", name="Name")).to_have_value("energy-copy")
        assert await violations(tab) == []
        assert await sideways(tab) <= 0


async def _type(tab: Tab, text: str) -> None:
    await tab.page.get_by_role("textbox", name="Type a message").fill(text)
    await expect(tab.button("Send")).to_be_enabled()
    await tab.page.keyboard.press("Enter")
