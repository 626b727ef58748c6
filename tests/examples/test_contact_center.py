"""The contact center of the examples, phoned with recorded speech and keys over a carrier's socket.

The words that are recognised and the model's answers are scripted; all else is as it is in operation.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from antiphon.agents.scenarios.load import examine_catalog
from antiphon.calls.log import Entry
from antiphon.cli.call import read_line, talk
from antiphon.cli.exchange import PhoneExchange
from antiphon.models.catalog import Models
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from antiphon.server.agents import AgentBook
from antiphon.server.run import Running
from antiphon.transports.carriers.loopback import Exchange
from tests.ports import free_port
from tests.server.harness import KEY, server

pytestmark = pytest.mark.timeout(150)  # calls in real time

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/contact-center"
CALLERS = ROOT / "src/antiphon/demo/callers"
EMAILS = ROOT / "tests/data/callers"
A_LINE, A_YES = str(CALLERS / "michael_cleaning.wav"), str(CALLERS / "bella_uhhuh.wav")


def think(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
    """What a good model would do, by the tools that it has."""
    names = {spec.name for spec in options.tools}
    last = messages[-1]
    thinks = next(mind for tool, mind in MINDS.items() if tool in names)
    return thinks(last.result.name if last.result is not None else "", last.text)


def asks(name: str, **arguments: Any) -> Reply:
    return Reply(calls=(call(name, **arguments),))


def interviewer(tool: str, text: str) -> str | Reply:
    if tool == "record":
        return f"I have {text.partition(': ')[2].rstrip('.')}. Is that right?"
    if " at " in text:
        return asks("record", email_address=text)
    return asks("confirm") if text.startswith("Yes") else "Which address shall I send it to?"


def reception(tool: str, text: str) -> str | Reply:
    if tool == "check_pin":
        return asks("go_to_billing", reason="An open bill.") if "the right number" in text else "Please type your PIN."
    return asks("check_pin")


def billing(tool: str, text: str) -> str | Reply:
    if tool == "open_bill":
        return "You have to pay eighty-four pounds twenty."
    if tool == "ask_email":
        return asks("send_bill", **json.loads(text))
    if tool == "send_bill":
        return "It is on its way."
    if "mail" in text:
        return asks("ask_email")
    return asks("go_to_service", reason="Wants a person.") if "person" in text else asks("open_bill")


def service(tool: str, text: str) -> str | Reply:
    return asks("put_through", destination="a colleague", reason=text, context_summary="A bill is too high.")


MINDS = {"record": interviewer, "check_pin": reception, "open_bill": billing, "put_through": service}


class Told:
    """What the logs of a server's calls tell, as one."""

    def __init__(self, up: Running) -> None:
        self._entries: list[Entry] = []
        up.board.watchers.append(lambda log: log.subscribe(self._entries.append))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The entries of a kind."""
        return [entry.to_dict() for entry in self._entries if entry.event.type == kind]


@dataclass(slots=True)
class Center:
    """The example on a server, and the phone beside it, which is an exchange too."""

    up: Running
    told: Told
    exchange: PhoneExchange

    async def phoned(self, *script: str) -> list[dict[str, Any]]:
        """Phone it, and do what stands in the script: what ``antiphon call`` does."""
        url = f"ws://127.0.0.1:{self.up.port}/telephony/twilio"
        lines = [read_line(each) for each in script]
        quiet = Console(quiet=True)
        turns, _ = await talk(url, lines, key=KEY, timeout_s=12, out=None, console=quiet, exchange=self.exchange)
        return turns


@asynccontextmanager
async def center(tmp_path: Path, *heard: str) -> AsyncIterator[Center]:
    """The example on a real server, whose callers say these words."""
    models = Models(
        vad=EnergyVAD(),
        stt=ScriptedSTT(heard),
        llm=ScriptedChatClient(think),
        tts=ScriptedTTS(seconds=0.4),
        turn=None,
    )
    port = free_port()
    account = {"twilio_account_sid": Exchange.account, "twilio_auth_token": Exchange.token}
    settings = {**account, "carrier_urls": {"twilio": f"http://127.0.0.1:{port}"}}
    book = AgentBook.at(EXAMPLE)
    async with server(tmp_path, book=book, models=models, keep_files=True, **settings) as up:
        yield Center(up, Told(up), PhoneExchange(port))
        await up.board.all_over()


def said(told: Told) -> list[str]:
    """What the agents said, greetings and all, up to where each was cut."""
    return [event["transcript"] for event in told.of("agent.speech_completed")]


def written_in(folder: Path) -> str:
    """What a call has left in its log."""
    (log,) = folder.rglob("log.jsonl")
    return log.read_text(encoding="utf-8")


def test_the_example_is_sound() -> None:
    catalog, findings = examine_catalog(EXAMPLE, environment={})
    assert findings == ()
    assert [agent.name for agent in catalog.team()] == ["reception", "billing", "service"]


def test_the_voice_that_comes_along_can_say_all_of_it() -> None:
    agents = examine_catalog(EXAMPLE, environment={})[0].agents
    assert [agent.voice for agent in agents] == [None] * 3
    assert len({agent.speed for agent in agents}) == 3


async def test_a_caller_proves_who_it_is_gets_a_bill_by_mail_and_is_put_through(tmp_path: Path) -> None:
    heard = ("I have a question about my bill.", "Please mail it to me.", "john dot smith at example", "dot com")
    async with center(tmp_path, *heard, "Yes, that is right.", "I want to talk to a person.") as phone:
        email = str(EMAILS / "george_email.wav")
        turns = await phone.phoned(A_LINE, "keys:1234#", "keys:4711#", A_LINE, email, A_YES, A_LINE)
    assert [turn["said"] for turn in turns if turn["voice_to_voice_ms"] is None] == []
    assert said(phone.told) == [
        "Brightwater, good day. How can I help you?",
        "Please type your PIN.",
        "That was not right. Please type your PIN again.",
        "This is billing. I hear that it is about your bill.",
        "You have to pay eighty-four pounds twenty.",
        "Which address shall I send it to?",
        "I have john dot smith at example dot com. Is that right?",
        "It is on its way.",
        "Please hold the line, I am connecting you.",
    ]
    assert [(each["new_agent"], each["handoff_type"]) for each in phone.told.of("agent.handoff")] == [
        ("billing", "announced"),
        ("service", "discrete"),
    ]
    executed = {each["name"]: each["output"] for each in phone.told.of("tool.executed")}
    assert executed["send_bill"] == "The bill of October is on its way to john.smith@example.com."
    (transferred,) = phone.told.of("call.transferred")
    assert (transferred["name"], transferred["kind"]) == ("a colleague", "warm")
    (brought,) = phone.exchange.transfers
    assert (brought["to"], brought["type"]) == ("+441632960177", "warm")
    assert "A bill is too high." in brought["summary"]
    assert [each["reason"] for each in phone.told.of("session.ended")] == ["transferred"]
    # Neither PIN stands anywhere; a time such as 12.4711, or a part of an id, is none.
    assert not re.search(r"(?<![\w.])(?:4711|1234)(?!\w)", written_in(tmp_path))


async def test_who_does_not_know_the_pin_hears_nothing_of_an_account(tmp_path: Path) -> None:
    async with center(tmp_path, "I have a question about my bill.") as phone:
        await phone.phoned(A_LINE, "keys:0000#", "keys:1111#", "keys:2222#")
    assert [each["name"] for each in phone.told.of("tool.called")] == ["check_pin"]
    assert phone.told.of("agent.handoff") == []
    assert [each["reason"] for each in phone.told.of("session.ended")] == ["error"]


async def test_an_agent_is_told_of_its_edges_and_of_the_callers_way(tmp_path: Path) -> None:
    async with center(tmp_path, "I have a question about my bill.") as phone:
        await phone.phoned(A_LINE, "keys:4711#")
        assert phone.up.board.models is not None
        llm = phone.up.board.models.llm
        assert isinstance(llm, ScriptedChatClient)
        first, last = llm.requests[0].messages[0].text, llm.requests[-1].messages[0].text
    assert "You are the receptionist of Brightwater" in first
    assert "Hand the conversation over to billing by the call go_to_billing(reason, context). When: The caller" in first
    assert "The caller comes from reception: An open bill." in last
    assert "Bills are due within 14 days" in last
