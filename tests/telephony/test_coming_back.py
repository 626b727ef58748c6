"""A blind transfer that nobody answered: the carrier asks how to go on, and the caller comes back."""

from __future__ import annotations

from xml.etree import ElementTree

import httpx
import pytest

from antiphon.agents.agent import Agent
from antiphon.transports.carriers.twilio import TwilioControl
from antiphon.wire import documents
from tests.server.harness import HEADERS, Serve, until
from tests.telephony.lines import BILLING, on_the_line

pytestmark = pytest.mark.timeout(60)

GREETING = "{% if unreached %}Nobody answers there ({{ unreached }}).{% else %}Welcome.{% endif %}"
STATUS = {"twilio": "DialCallStatus", "plivo": "DialStatus"}


@pytest.mark.parametrize("carrier", STATUS)
async def test_who_comes_back_is_connected_and_the_agent_knows_it(serve: Serve, carrier: str) -> None:
    async with serve(agents=[Agent("desk", greeting=GREETING)]) as up:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}", headers=HEADERS) as http:
            form = {STATUS[carrier]: "no-answer", "From": "+15550100", "To": "+15550199"}
            answer = await http.post(f"/telephony/{carrier}/voice?agent=desk", data=form)
        stream = ElementTree.fromstring(answer.text).find(".//Stream")
        assert stream is not None
        if carrier == "twilio":
            passed = {each.attrib["name"]: each.attrib["value"] for each in stream.findall("Parameter")}
        else:
            passed = dict(pair.split("=") for pair in stream.attrib["extraHeaders"].split(","))
        assert passed["unreached"] == "noanswer"
        async with on_the_line(up, carrier, unreached=passed["unreached"]) as caller:
            await until(lambda: bool(caller.events("agent.text")))
            assert caller.events("agent.text")[0]["text"] == "Nobody answers there (noanswer)."
            await caller.leave()


@pytest.mark.parametrize("carrier", STATUS)
async def test_a_call_behind_a_transfer_that_was_answered_is_over(serve: Serve, carrier: str) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}", headers=HEADERS) as http:
        answer = await http.post(f"/telephony/{carrier}/voice", data={STATUS[carrier]: "completed"})
        assert answer.status_code == 200
        [verb] = ElementTree.fromstring(answer.text)
        assert (verb.tag, verb.attrib) == ("Hangup", {})
        assert (await http.post(f"/telephony/{carrier}/voice", headers={"Authorization": ""})).status_code == 401


async def test_the_carrier_is_told_where_to_ask(serve: Serve) -> None:
    public = {"twilio_account_sid": "AC1", "twilio_auth_token": "t", "public_url": "https://voice.example.com"}
    async with serve(**public) as up:
        control = up.board.carriers.control("twilio", "CA1", {"agent": "desk", "scenario": ""}, leaves={})
        assert isinstance(control, TwilioControl)
        assert control.action_url == "https://voice.example.com/telephony/twilio/voice?agent=desk"
    dial = ElementTree.fromstring(documents.twiml_dial(BILLING, ring_s=30, action_url=control.action_url)).find("Dial")
    assert dial is not None
    assert dial.attrib["action"] == control.action_url
    assert dial.findtext("Number") == BILLING


@pytest.mark.parametrize(
    ("language", "told"), [("", None), ("de", "de-DE"), ("de-AT", "de-AT"), ("en", "en-US"), ("tlh", None)]
)
async def test_the_summary_is_read_in_the_agents_language_where_the_carrier_can(language: str, told: str) -> None:
    for make, verb in ((documents.twiml_room, "Say"), (documents.plivo_room, "Speak")):
        said = ElementTree.fromstring(make("room", say="Frau Doe\x00 fragt.", language=language)).find(verb)
        assert said is not None
        assert said.text == "Frau Doe  fragt."
        assert said.get("language") == told


async def test_a_sip_address_is_dialled_as_such() -> None:
    for make, tag in ((documents.twiml_dial, "Sip"), (documents.plivo_dial, "User")):
        document = make("sip:boss@example.com", ring_s=30)
        assert ElementTree.fromstring(document).findtext(f"Dial/{tag}") == "sip:boss@example.com"
