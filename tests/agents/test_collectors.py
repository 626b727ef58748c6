"""An agent has somebody ask for an e-mail address, a card, a date: turn by turn, in writing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from antiphon import Agent, AgentSession, Message, ToolContext, tool
from antiphon.agents.interview import without_interviews
from antiphon.clock import VirtualClock
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import tool_message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.collect import (
    COLLECTORS,
    collect_credit_card,
    collect_digits,
    collect_dob,
    collect_email,
    collect_name,
    collect_phone,
)
from tests.agents.running import check_request, plain, results_of
from tests.agents.watching import watched

CARD = "4111111111111111"


def asks(name: str, /, words: str = "", **arguments: Any) -> Reply:
    return Reply(words, calls=(call(name, **arguments),))


def desk_with(client: ScriptedChatClient, *tools: Any, **options: Any) -> Agent:
    return Agent("desk", "You are the desk.", tools=tools, model=client, **options)


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


async def test_an_address_is_asked_for_checked_read_back_and_confirmed() -> None:
    client = ScriptedChatClient(
        [
            asks("collect_email", "Gladly."),
            "What is your e-mail address?",
            asks("record", email_address="john dot smith"),
            "And behind the at?",
            asks("record", email_address="john dot smith at example dot com"),
            "That is john dot smith at example dot com, right?",
            asks("confirm"),
            "I have sent it.",
        ]
    )
    desk, session = desk_with(client, collect_email()), AgentSession()
    first = await desk.run("Send me the form.", session=session)
    assert (first.text, first.agent) == ("Gladly. What is your e-mail address?", "collect_email")
    assert session.interview is not None
    await desk.run("John dot smith.", session=session)
    await desk.run("At example dot com.", session=session)
    last = await desk.run("Yes.", session=session)
    assert (last.text, last.agent) == ("I have sent it.", "desk")
    assert session.interview is None
    assert session.private == {"collect_email": {"email_address": "john.smith@example.com"}}

    for request in client.requests:
        check_request(request.messages)
    interviewer = client.requests[2].messages
    assert "You take down the caller's e-mail address" in interviewer[0].text
    assert plain(interviewer[1:]) == [
        ("user", "Send me the form."),
        ("assistant", "What is your e-mail address?"),
        ("user", "John dot smith."),
    ]
    assert [spec.name for spec in client.requests[2].options.tools] == ["record", "decline", "confirm"]
    refused = results_of(client.requests[3].messages)[-1]
    assert refused.status == "error"
    assert "no whole e-mail address" in refused.text
    read_back = results_of(client.requests[5].messages)[-1]
    assert read_back.text == "Recorded. Read it back: john dot smith at example dot com."
    desks = client.requests[-1].messages
    assert plain(desks) == [
        ("system", "You are the desk."),
        ("user", "Send me the form."),
        ("assistant", "Gladly."),
        ("tool", '{"email_address":"john.smith@example.com"}'),
    ]


async def test_what_is_told_of_it_names_the_call_that_waits() -> None:
    client = ScriptedChatClient([asks("collect_digits"), "Which?", asks("record", digits="47"), "Thanks."])
    desk = desk_with(client, collect_digits(num_digits=2, label="room", require_confirmation=False))
    session = AgentSession()
    updates = [update async for update in desk.run("My room.", stream=True, session=session)]
    updates += [update async for update in desk.run("Forty seven.", stream=True, session=session)]
    told = [update.contents[0] for update in updates]
    [started] = [each for each in told if each.type == "agent_tool_started"]
    [ended] = [each for each in told if each.type == "agent_tool_ended"]
    assert started.tool_type == ended.tool_type == "collect_digits"
    assert started.call == ended.call
    assert ended.result.text == '{"digits":"47"}'
    assert ended.result.call_id == started.call.call_id
    assert [update.agent for update in updates if update.text] == ["collect_digits", "desk"]


async def test_the_model_cannot_confirm_what_the_caller_has_not_heard() -> None:
    client = ScriptedChatClient(
        [
            asks("collect_name"),
            "Your name?",
            Reply(calls=(call("record", first_name="ann"), call("confirm"))),
            asks("confirm"),
            "Ann, is that right?",
            asks("confirm"),
            "Hello Ann.",
        ]
    )
    desk, session = desk_with(client, collect_name()), AgentSession()
    await desk.run("Hello.", session=session)
    response = await desk.run("Ann.", session=session)
    assert [result.status for result in results_of(response.messages)] == ["ok", "error", "error"]
    assert response.text == "Ann, is that right?"
    assert (await desk.run("Yes.", session=session)).text == "Hello Ann."
    assert session.private["collect_name"] == {"first_name": "Ann"}


async def test_who_does_not_want_to_gives_a_reason_and_the_agent_goes_on() -> None:
    client = ScriptedChatClient(
        [asks("collect_phone"), "Your number?", asks("decline", reason="no telephone"), "Then by post."]
    )
    desk, session = desk_with(client, collect_phone()), AgentSession()
    await desk.run("Call me.", session=session)
    response = await desk.run("I have no telephone.", session=session)
    assert response.text == "Then by post."
    result = results_of(response.messages)[-1]
    assert json.loads(result.text) == {"declined": True, "decline_reason": "no telephone"}
    assert result.status == "ok"
    assert session.private == {}


def test_after_its_time_the_agent_gets_what_the_caller_says() -> None:
    clock = VirtualClock()
    client = ScriptedChatClient([asks("collect_email"), "Your e-mail address?", "We are open until six."], clock=clock)
    desk, session = desk_with(client, collect_email(timeout_s=30)), AgentSession(clock=clock)

    async def scenario() -> None:
        await desk.run("Send it to me.", session=session)
        await clock.sleep(31)
        response = await desk.run("When do you close?", session=session)
        assert (response.text, response.agent) == ("We are open until six.", "desk")

    clock.run(scenario())
    assert plain(client.requests[-1].messages[1:]) == [
        ("user", "Send it to me."),
        ("assistant", ""),
        ("tool", '{"timed_out":true}'),
        ("user", "When do you close?"),
    ]


async def test_one_thing_is_asked_for_at_a_time() -> None:
    client = ScriptedChatClient([Reply(calls=(call("collect_email"), call("collect_name"))), "Your address?"])
    desk, session = desk_with(client, collect_email(), collect_name()), AgentSession()
    response = await desk.run("Sign me up.", session=session)
    [refused] = results_of(response.messages)
    assert (refused.name, refused.status) == ("collect_name", "error")
    assert "one thing at a time" in refused.text
    assert response.agent == "collect_email"


async def test_who_hands_over_does_not_ask_as_well_unless_the_handoff_is_refused() -> None:
    both = Reply(calls=(call("collect_email"), call("handoff_to_billing", reason="A bill.")))
    billing = Agent("billing", model=ScriptedChatClient(["Billing."]))
    client = ScriptedChatClient([both])
    desk = desk_with(client, collect_email(), handoffs=[billing])
    response = await desk.run("My bill.", session=AgentSession())
    assert (response.agent, response.text) == ("billing", "Billing.")
    assert [result.status for result in results_of(response.messages)] == ["error", "ok"]

    client = ScriptedChatClient([both, "Your address?"])
    desk = desk_with(client, collect_email(), handoffs=["billing"])  # who is not there
    response = await desk.run("My bill.", session=AgentSession())
    assert (response.agent, response.text) == ("collect_email", "Your address?")


async def test_a_tool_that_hands_over_in_the_same_step_goes_first() -> None:
    @tool
    async def escalate() -> dict[str, Any]:
        """Hand over."""
        return {"handoff": True, "target_agent": "billing"}

    client = ScriptedChatClient([Reply(calls=(call("collect_email"), call("escalate")))])
    billing_client = ScriptedChatClient(["Billing."])
    desk = desk_with(
        client, collect_email(), escalate, handoffs=[Agent("billing", tools=[collect_email()], model=billing_client)]
    )
    session = AgentSession()
    response = await desk.run("My bill.", session=session)
    assert (response.agent, response.text) == ("billing", "Billing.")
    assert session.interview is None
    check_request(billing_client.requests[0].messages)


async def test_other_tools_of_the_step_run_first() -> None:
    @tool
    async def look() -> str:
        """Look."""
        return "seen"

    client = ScriptedChatClient([Reply(calls=(call("collect_email"), call("look"))), "Your address?", "Go on."])
    desk, session = desk_with(client, collect_email(), look), AgentSession()
    response = await desk.run("Hello.", session=session)
    assert [result.text for result in results_of(response.messages)] == ["seen"]
    assert plain(client.requests[1].messages[1:]) == [("user", "Hello.")]


async def test_tools_that_are_given_for_a_turn_are_for_the_agent_and_not_for_who_asks() -> None:
    @tool
    def look_up(number: str) -> str:
        """Look up a booking."""
        return "It is for Monday."

    client = ScriptedChatClient(
        [
            asks("collect_digits"),
            "Which number?",
            asks("record", digits="4711"),
            asks("look_up", number="4711"),
            "It is for Monday.",
        ]
    )
    desk, session = desk_with(client, collect_digits(require_confirmation=False)), AgentSession()
    await desk.run("When is my appointment?", session=session, tools=[look_up])
    last = await desk.run("4711.", session=session, tools=[look_up])
    assert (last.text, last.agent) == ("It is for Monday.", "desk")
    offered = [[spec.name for spec in options.tools] for options in (request.options for request in client.requests)]
    assert ["look_up" in names for names in offered] == [True, False, False, True, True]


async def test_the_first_words_can_be_given_and_cost_no_request() -> None:
    client = ScriptedChatClient([asks("collect_email")])
    desk = desk_with(client, collect_email(on_enter_message="What is your e-mail address, please?"))
    response = await desk.run("Hello.", session=AgentSession())
    assert response.text == "What is your e-mail address, please?"
    assert response.messages[-1].author_name == "collect_email"
    assert len(client.requests) == 1


def test_a_card_is_taken_piece_by_piece_and_only_tools_can_read_it() -> None:
    seen: list[Any] = []

    @tool
    async def charge(context: ToolContext) -> str:
        """Charge the card."""
        seen.append(context.private["collect_credit_card"])
        return "charged"

    clock = VirtualClock()
    client = ScriptedChatClient(
        [
            asks("collect_credit_card"),
            "The number?",
            asks("record", card_number="4111 1111 1111 1112"),
            "That was not right.",
            asks("record", card_number=" ".join(CARD)),
            "Until when?",
            Reply(calls=(call("record", expiration_date="12/39", security_code="999"),)),
            "And the name?",
            asks("record", cardholder_name="ann o'neill"),
            "The card that ends in 1 1 1 1?",
            asks("confirm"),
            asks("charge"),
            "Done.",
        ],
        clock=clock,
    )
    desk = desk_with(client, collect_credit_card(), charge)
    session = AgentSession(clock=clock)

    async def scenario() -> None:
        for words in ("I want to pay.", "4111...", CARD, "December 39, code 999", "Ann O'Neill", "Yes."):
            response = await desk.run(words, session=session)
        assert response.text == "Done."

    clock.run(scenario())
    assert seen == [
        {
            "card_number": CARD,
            "expiration_date": "12/39",
            "security_code": "999",
            "cardholder_name": "Ann O'Neill",
            "issuer": "Visa",
        }
    ]
    refused, *recorded = [result.text for result in results_of(session.messages) if result.name == "record"]
    assert "check digit" in refused
    assert recorded[0] == "Recorded. Still missing: expiration_date, security_code, cardholder_name."
    assert CARD not in " ".join([refused, *recorded])
    [result] = [each for each in results_of(session.messages) if each.name == "collect_credit_card"]
    assert json.loads(result.text)["card_number"] == "••••••••••••1111"
    assert json.loads(result.text)["security_code"] == "•••"
    assert CARD not in " ".join(texts(client.requests[-1].messages))
    assert CARD not in json.dumps(session.to_dict())
    assert '"999"' not in json.dumps(session.to_dict())


async def test_no_trace_holds_what_is_said_in_confidence_and_others_hold_what_is_not() -> None:
    client = ScriptedChatClient(
        [
            asks("collect_credit_card"),
            "The number?",
            asks("record", card_number=CARD),
            "Say four one one one again.",
            asks("decline", reason="no time"),
            "Another day, then.",
            "Bye.",
        ]
    )
    desk, session = desk_with(client, collect_credit_card()), AgentSession()
    with watched(content=True) as told:
        for words in ("I want to pay.", f"It is {' '.join(CARD)}.", "Enough.", "See you."):
            await desk.run(words, session=session)
    traced = told.words()
    for secret in ("4 1 1 1", CARD, "four one", "Enough."):
        assert secret not in traced
    for harmless in ("I want to pay.", "Another day", "See you."):
        assert harmless in traced


async def test_a_conversation_goes_on_in_another_process_in_the_middle_of_it() -> None:
    client = ScriptedChatClient(
        [
            asks("collect_dob"),
            "When?",
            asks("record", date_of_birth="May 3rd 1984"),
            "May 3, 1984?",
            asks("confirm"),
            "OK.",
        ]
    )
    desk, session = desk_with(client, collect_dob()), AgentSession()
    await desk.run("Register me.", session=session)
    await desk.run("May third 84", session=session)
    session = AgentSession.from_dict(json.loads(json.dumps(session.to_dict())))
    assert (await desk.run("Yes.", session=session)).text == "OK."
    assert session.private["collect_dob"] == {"date_of_birth": "1984-05-03"}
    kept = AgentSession.from_dict(session.to_dict())
    assert kept.interviewed == session.interviewed


async def test_a_conversation_whose_agent_is_gone_is_refused() -> None:
    client = ScriptedChatClient([asks("collect_email"), "Which?"])
    session = AgentSession()
    await desk_with(client, collect_email()).run("Hello.", session=session)
    session = AgentSession.from_dict(session.to_dict())
    with pytest.raises(AgentInvalidRequestException) as caught:
        await Agent("desk", model=client).run("ann@example.com", session=session)
    assert caught.value.code == "agent_unknown"


async def test_after_three_refusals_the_caller_is_offered_to_leave_it_open() -> None:
    wrong = [reply for _ in range(3) for reply in (asks("record", email_address="eh"), "Again?")]
    client = ScriptedChatClient([asks("collect_email"), "Which?", *wrong])
    desk, session = desk_with(client, collect_email()), AgentSession()
    for words in ("Hello.", "Eh.", "Eh.", "Eh."):
        response = await desk.run(words, session=session)
    assert "offer to leave it open" in results_of(response.messages)[-1].text


async def test_a_second_one_follows_the_first_and_the_agent_sees_both_results() -> None:
    client = ScriptedChatClient(
        [
            asks("collect_name"),
            "Your name?",
            asks("record", first_name="Ann"),
            asks("collect_digits"),
            "Your number?",
            asks("record", digits="1 2"),
            "Thanks.",
        ]
    )
    desk = desk_with(client, collect_name(require_confirmation=False), collect_digits(require_confirmation=False))
    session = AgentSession()
    for words in ("Hello.", "Ann.", "One two."):
        response = await desk.run(words, session=session)
    assert response.text == "Thanks."
    assert [each.text for each in results_of(client.requests[-1].messages)] == [
        '{"first_name":"Ann"}',
        '{"digits":"12"}',
    ]
    assert plain(client.requests[4].messages[1:])[0] == ("user", "Ann.")


def test_what_lies_between_a_call_and_its_result_stays_unless_it_was_an_interview() -> None:
    asked = Message("assistant", (FunctionCall("c1", "collect_email", "{}"), FunctionCall("c2", "look", "{}")))
    messages = [
        Message("user", "Hello."),
        asked,
        tool_message(FunctionResult("c2", "look", text="seen")),
        Message("assistant", "Gladly.", author_name="desk"),
        Message("assistant", "Your address?", author_name="collect_email"),
        Message("user", "Ann at example dot com."),
        Message("assistant", (FunctionCall("c3", "record", "{}"),), author_name="collect_email"),
        tool_message(FunctionResult("c3", "record", text="Recorded.")),
        Message("user", "What time is it?"),
        tool_message(FunctionResult("c1", "collect_email", text="{}")),
    ]
    seen = list(without_interviews(messages, ["c1"]))
    assert [message.text for message in seen] == ["Hello.", "Gladly.", "", "seen", "{}", "What time is it?"]
    assert without_interviews(messages, []) is messages


def test_every_collector_is_there_by_its_name_and_says_when_to_use_it() -> None:
    assert list(COLLECTORS) == [
        "collect_name",
        "collect_email",
        "collect_phone",
        "collect_address",
        "collect_dob",
        "collect_digits",
        "collect_credit_card",
    ]
    for name, make in COLLECTORS.items():
        made = make(tool_name="ask", extra_instructions="Be brief.")
        assert made.name == "ask"
        assert made.form.type == name
        assert made.form.guide.endswith("Be brief.")
        assert "Ask the caller for" in made.description
        assert made.timeout_s == (120 if name == "collect_credit_card" else 60)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: collect_digits(num_digits=100), "num_digits"),
        (lambda: collect_phone(region="Atlantis"), "region"),
        (lambda: collect_name(first_name=False), "ask for"),
        (lambda: collect_email(timeout_s=0), "timeout_s"),
        (lambda: collect_email(colour="red"), "no option 'colour'"),  # type: ignore[call-arg]
        (lambda: collect_credit_card(instructions="Ask."), "no option 'instructions'"),
    ],
)
def test_options_out_of_their_bounds_are_refused(make: Any, why: str) -> None:
    with pytest.raises((ValueError, TypeError), match=why):
        make()


def test_an_agent_with_other_options_is_another_version() -> None:
    makers: list[Any] = [
        lambda: collect_digits(num_digits=4),
        lambda: collect_digits(num_digits=5),
        lambda: collect_digits(num_digits=4, require_confirmation=False),
        lambda: collect_phone(),
        lambda: collect_phone(region="DE"),
        lambda: collect_dob(),
        lambda: collect_dob(day_first=True),
    ]
    versions = [Agent("desk", tools=[make()]).version for make in makers]
    assert len(set(versions)) == len(makers)
    assert versions == [Agent("desk", tools=[make()]).version for make in makers]
