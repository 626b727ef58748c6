"""Whatever the models say and the caller does: every request is sound, and every collector that begins ends once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import Agent, AgentSession, Message, tool
from antiphon.errors import ChatClientException
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.collect import collect_credit_card, collect_digits, collect_email
from tests.agents.running import check_request


@tool
async def look() -> str:
    """Look."""
    return "seen"


DEEDS = {
    "words": "Well.",
    "nothing": "",
    "fault": Reply(fault="garbage"),
    "collect_email": Reply("Gladly.", calls=(call("collect_email"),)),
    "collect_digits": Reply(calls=(call("collect_digits"), call("look"))),
    "collect_credit_card": Reply(calls=(call("look"), call("collect_credit_card"), call("collect_email"))),
    "wrong": Reply(calls=(call("record", email_address="eh", digits="x"),)),
    "right": Reply(calls=(call("record", email_address="ann@example.com", digits="12"),)),
    "card": Reply(
        calls=(
            call(
                "record",
                card_number="4111111111111111",
                expiration_date="12/44",
                security_code="737",
                cardholder_name="Ann",
            ),
        )
    ),
    "confirm": Reply("Fine.", calls=(call("confirm"),)),
    "decline": Reply(calls=(call("decline", reason="no"),)),
    "look": Reply(calls=(call("look"),)),
    "unheard of": Reply(calls=(call("fly"),)),
}
TURNS = st.lists(st.tuples(st.lists(st.sampled_from(sorted(DEEDS)), max_size=6), st.booleans()), max_size=7)


@settings(max_examples=60, deadline=None)
@given(TURNS)
async def test_every_request_is_sound_and_every_collector_ends_once(turns: list[tuple[list[str], bool]]) -> None:
    deeds: list[str] = []

    def reply(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
        check_request(messages)
        names = {spec.name for spec in options.tools}
        assert ("record" in names) != ("look" in names), "one of the two has the conversation, with tools of its own"
        if options.tool_choice == "none" or not deeds:
            return "Go on."
        return DEEDS[deeds.pop(0)]

    client = ScriptedChatClient(reply)
    desk = Agent(
        "desk",
        tools=[collect_email(), collect_digits(require_confirmation=False), collect_credit_card(), look],
        model=client,
    )
    session = AgentSession()
    told: list[str] = []
    for wanted, moves in turns:
        deeds[:] = wanted
        with suppress(ChatClientException):
            async for update in desk.run("Hm.", stream=True, session=session):
                told += [each.call.call_id for each in update.contents if each.type == "agent_tool_started"]
                for each in update.contents:
                    if each.type == "agent_tool_ended":
                        told.remove(each.call.call_id)
                        assert each.result.call_id == each.call.call_id
        assert told == ([] if session.interview is None else [session.interview.call.call_id])
        if session.interview is None:
            asked = [message for message in session.messages if message.author_name == "collect_credit_card"]
            assert "737" not in str(asked)
        if moves:
            session = AgentSession.from_dict(json.loads(json.dumps(session.to_dict())))
