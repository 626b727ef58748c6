"""Scenarios on a server: which one a call gets, what REST tells of them, and files that change."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from antiphon.agents.agent import Agent
from antiphon.agents.scenarios.scenario import AgentDefaults, GenericHandoff, Scenario, ScenarioEdge
from antiphon.clock import VirtualClock
from antiphon.errors import ConfigurationError
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.server.agents import WATCH_EVERY_S, AgentBook
from antiphon.server.greeting import print_start
from tests.agents.files.writing import write
from tests.agents.scenarios.making import folder_of
from tests.server.harness import HEADERS, Running, Serve, close_code, phone, scripted_models, start_stream, until
from tests.server.test_keypad import press

DESK = Agent("desk", "You welcome callers.", description="Welcomes callers.")
BILLS = Agent("bills", "You explain bills.", description="Explains bills.", handoff_tool="ask_bills")
DAY = Scenario(
    "day",
    description="Office hours.",
    aliases=["open"],
    handoffs=[ScenarioEdge("desk", "bills", condition='A "bill".'), ScenarioEdge("bills", "desk", type="discrete")],
    variables={"hours": "nine to five"},
)
NIGHT = Scenario("night", agents=["bills"], generic_handoff=GenericHandoff(), agent_defaults=AgentDefaults(voice="low"))


def book(scenario: str | None = None) -> AgentBook:
    return AgentBook([DESK, BILLS], scenarios=[DAY, NIGHT], scenario=scenario)


async def get(up: Running, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}", headers=HEADERS) as http:
        return await http.get(f"/v1{path}")


async def asked(up: Running, llm: ScriptedChatClient, path: str, **parameters: str) -> str:
    """The system message of the agent that answers a call."""
    before = len(llm.requests)
    async with phone(up, path, max_queue=None) as socket:
        caller = await start_stream(socket, f"CA{before}", **parameters)
        await until(lambda: any(session.call is not None for session in up.board._sessions))
        await press(socket, caller, "12#")
        await until(lambda: len(llm.requests) > before)
        await socket.send(caller.closing())
        await close_code(socket)
    await up.board.all_over()
    return llm.requests[-1].messages[0].text


async def test_a_call_chooses_its_scenario_and_else_gets_the_servers(serve: Serve) -> None:
    llm = ScriptedChatClient(lambda _messages, _options: "Thank you.")
    models = replace(scripted_models(), llm=llm)
    to_bills = "Hand the conversation over to bills by the call ask_bills(reason, context)."
    async with serve(book=book(), models=models) as up:
        assert await asked(up, llm, "/telephony/twilio") == "You welcome callers."
        assert to_bills in await asked(up, llm, "/telephony/twilio?scenario=Day")
        assert to_bills in await asked(up, llm, "/telephony/twilio", scenario="open")
        assert "to desk" in await asked(up, llm, "/telephony/twilio?scenario=day&agent=bills")
        assert await asked(up, llm, "/telephony/twilio?scenario=day", scenario="night") == "You explain bills."
    llm = ScriptedChatClient(lambda _messages, _options: "Thank you.")
    async with serve(book=book("day"), models=replace(models, llm=llm)) as up:
        assert to_bills in await asked(up, llm, "/telephony/twilio")


@pytest.mark.parametrize(
    ("of_server", "query", "name"), [(None, "", ""), ("day", "", "day"), ("day", "?scenario=NIGHT", "night")]
)
async def test_a_calls_log_names_its_scenario(serve: Serve, of_server: str | None, query: str, name: str) -> None:
    told: list[dict[str, Any]] = []
    async with serve(book=book(of_server)) as up:
        up.board.watchers.append(lambda log: log.subscribe(lambda entry: told.append(entry.to_dict())))
        async with phone(up, f"/telephony/twilio{query}", max_queue=None) as socket:
            caller = await start_stream(socket)
            await until(lambda: bool(told))
            await socket.send(caller.closing() or "")
            await close_code(socket)
    assert (told[0]["type"], told[0]["scenario"]) == ("session.started", name)


async def test_a_scenario_or_an_agent_outside_of_it_that_is_not_there_is_refused(serve: Serve) -> None:
    async with serve(book=book()) as up, httpx.AsyncClient() as http:
        for query, reason in (("scenario=dawn", "scenario"), ("scenario=night&agent=desk", "agent")):
            answer = await http.get(
                f"http://127.0.0.1:{up.port}/telephony/twilio?{query}",
                headers={
                    **HEADERS,
                    "connection": "upgrade",
                    "upgrade": "websocket",
                    "sec-websocket-version": "13",
                    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
                },
            )
            assert (answer.status_code, answer.text) == (404, f"There is no {reason} of this name.\n")
        async with phone(up) as socket:
            await start_stream(socket, scenario="dawn")
            assert await close_code(socket) == 1008


async def test_the_carriers_document_passes_the_choice_on(serve: Serve) -> None:
    async with serve(book=book()) as up, httpx.AsyncClient(headers=HEADERS) as http:
        answer = await http.post(f"http://127.0.0.1:{up.port}/telephony/twilio/voice?scenario=night&agent=bills")
        assert '<Parameter name="scenario" value="night"/>' in answer.text.replace(" />", "/>")


async def test_the_realtime_door_chooses_too(serve: Serve) -> None:
    async with serve(book=book()) as up:
        async with phone(up, "/v1/realtime?scenario=night") as socket:
            created = json.loads(await socket.recv())
        assert (created["session"]["model"], created["session"]["audio"]["output"]["voice"]) == ("bills", "low")
        with pytest.raises(Exception, match="404"):
            async with phone(up, "/v1/realtime?scenario=dawn"):
                pass


async def test_rest_lists_scenarios_and_shows_a_graph(serve: Serve) -> None:
    async with serve(book=book("day")) as up:
        listed = (await get(up, "/scenarios")).json()["scenarios"]
        assert listed[0] == {
            "name": "day",
            "aliases": ["open"],
            "description": "Office hours.",
            "icon": "",
            "is_default": True,
            "start_agent": "desk",
            "agents": ["desk", "bills"],
        }
        assert [each["is_default"] for each in listed] == [True, False]
        day = (await get(up, "/scenarios/OPEN")).json()
        assert day["handoffs"][0] == {
            "from": "desk",
            "to": "bills",
            "tool": "ask_bills",
            "type": "announced",
            "share_context": True,
            "condition": 'A "bill".',
            "context_vars": {},
        }
        assert [agent["name"] for agent in day["agents"] if agent["is_default"]] == ["desk"]
        assert day["agents"][0]["handoffs"][0]["target"] == "bills"
        assert day["mermaid"].splitlines() == [
            "flowchart LR",
            '  caller(("caller")) --> a0',
            '  a0["desk"]',
            '  a1["bills"]',
            '  a0 -->|"A #quot;bill#quot;."| a1',
            '  a1 -.->|"handoff_to_desk"| a0',
        ]
        night = (await get(up, "/scenarios/night")).json()
        assert night["generic_handoff"] == {
            "targets": ["bills"],
            "type": "announced",
            "share_context": True,
            "require_client_id": False,
        }
        assert "any --> a0" in night["mermaid"]
        assert (await get(up, "/scenarios/dawn")).status_code == 404
        agents = (await get(up, "/agents")).json()["agents"]
        assert [agent["name"] for agent in agents] == ["desk", "bills"]
        assert agents[0]["handoffs"] != []


@pytest.mark.parametrize(
    ("name", "line"), [("day", "day; calls may choose night"), (None, "calls may choose day, night")]
)
async def test_who_starts_a_server_is_told_the_scenarios(serve: Serve, name: str | None, line: str) -> None:
    async with serve(book=book(name)) as up:
        printed = io.StringIO()
        print_start(Console(file=printed, width=200), up.board, up.port)
    assert f"scenario      {line}\n" in printed.getvalue()


def test_a_server_with_a_scenario_that_is_not_there_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="There is no scenario 'nigth' here; did you mean 'night'"):
        book("nigth")


def changed_book(folder: Path, name: str, text: str, refuse: Any = None) -> AgentBook:
    """The book of a folder some time after one of its files has changed."""
    kept = AgentBook.at(folder, scenario="bank")
    clock = VirtualClock()

    async def check(agents: Sequence[Agent]) -> None:
        if refuse is not None:
            raise refuse

    async def main() -> None:
        watching = asyncio.create_task(kept.watch(clock, check))
        await clock.sleep(1.5 * WATCH_EVERY_S)
        write(folder, name, text)
        await clock.sleep(3 * WATCH_EVERY_S)
        watching.cancel()

    clock.run(main())
    return kept


def test_a_scenario_that_changes_holds_for_the_next_call(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "start_agent: desk\ntemplate_vars: {bank: Harbour}\n")
    kept = changed_book(folder, "scenarios/bank/scenario.yaml", "start_agent: fraud\ntemplate_vars: {bank: Ayr}\n")
    assert (kept.agents[0].name, kept.agents[0].variables) == ("fraud", {"bank": "Ayr"})


@pytest.mark.parametrize(
    ("text", "refuse"),
    [
        ("start_agent: nobody\n", None),
        ("start_agent: fraud\n", ConfigurationError("It has no model.")),
    ],
)
def test_a_scenario_that_is_wrong_leaves_the_old_one(tmp_path: Path, text: str, refuse: Any) -> None:
    folder = folder_of(tmp_path, "start_agent: desk\ntemplate_vars: {bank: Harbour}\n")
    assert changed_book(folder, "scenarios/bank/scenario.yaml", text, refuse).agents[0].name == "desk"


def test_another_name_of_the_scenario_leads_to_it_by_its_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "start_agent: desk\n")
    text = "name: Retail\nstart_agent: fraud\n"
    assert changed_book(folder, "scenarios/bank/scenario.yaml", text).agents[0].name == "fraud"
