"""Summaries and facts: written in the background, used when they are there, for what they cover."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.agents.compaction import (
    FactSheet,
    SlidingWindow,
    Summarization,
    TokenBudget,
    ToolResultCompaction,
    Truncation,
)
from antiphon.clock import VirtualClock
from antiphon.errors import ChatClientUnavailableException
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import Message, tool_message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from tests.agents.talks import check_last_turns, check_whole_and_in_order, conversations, tokens, turns


@given(conversations(max_turns=12), st.integers(1, 4), st.booleans())
def test_summary_covers_older_turns_only(messages: list[Message], keep_turns: int, grown: bool) -> None:
    strategy = Summarization(ScriptedChatClient(lambda *_: "They spoke."), keep_turns=keep_turns)
    state: dict[str, Any] = {"max_tokens": 100}
    asyncio.run(strategy.learn(messages, state=state))
    state = json.loads(json.dumps(state))
    if grown:
        turn = messages[-1].additional_properties["turn"] + 1 if messages else 1
        text = Message("user", f"{len(messages)} And?", additional_properties={"turn": turn, "group": None})
        messages = [*messages, text]
    view = strategy.view(messages, max_tokens=100, state=state)
    rest = view
    if "summary" in state:
        assert (view[0].role, view[0].text.splitlines()[-1]) == ("system", "They spoke.")
        rest = view[1:]
        dropped = len(messages) - len(rest)
        assert dropped <= state["summary"]["covers"] + sum(message.role == "system" for message in messages)
    check_whole_and_in_order(messages, rest)
    check_last_turns(messages, rest, keep_turns if grown else keep_turns - 1)


async def test_summary_is_used_when_it_is_there_and_rolls_on() -> None:
    client = ScriptedChatClient(["First summary.", "Second summary."])
    strategy = Summarization(client)
    state: dict[str, Any] = {}
    messages = turns(10)
    assert strategy.view(messages, max_tokens=640, state=state) == messages
    await strategy.learn(messages, state=state)
    view = strategy.view(messages, max_tokens=640, state=state)
    assert [message.text[:7] for message in view[:2]] == ["Summary", "5 user "]
    assert view[0].text.endswith("First summary.")
    assert "0 user" in client.requests[0].messages[1].text
    assert "5 user" not in client.requests[0].messages[1].text

    await strategy.learn(messages, state=state)
    assert client.opened == 1, "what fits by now is not summed up again"

    messages += turns(17)[20:]
    await strategy.learn(messages, state=state)
    asked = client.requests[1].messages[1].text
    assert "First summary." in asked
    assert "User: 4 user" not in asked
    assert "User: 5 user" in asked
    assert strategy.view(messages, max_tokens=640, state=state)[0].text.endswith("Second summary.")


@pytest.mark.parametrize(("limit", "kept"), [(640, 5), (610, 4), (570, 3), (500, 2)])
async def test_the_closer_the_limit_the_fewer_turns_stay(limit: int, kept: int) -> None:
    messages = turns(10)  # 540 tokens
    state: dict[str, Any] = {"max_tokens": limit}
    await Summarization(ScriptedChatClient(["Short."])).learn(messages, state=state)
    assert state["summary"]["covers"] == 20 - 2 * kept


async def test_no_summary_while_there_is_room() -> None:
    client = ScriptedChatClient([])
    state: dict[str, Any] = {"max_tokens": 1_000}
    await Summarization(client).learn(turns(10), state=state)
    assert (client.opened, state) == (0, {"max_tokens": 1_000})


async def test_summary_of_another_conversation_is_not_used() -> None:
    strategy = Summarization(ScriptedChatClient(["Secret."]))
    state: dict[str, Any] = {"max_tokens": 500}
    await strategy.learn(turns(10), state=state)
    other = [message.replace(message_id=f"other_{number}") for number, message in enumerate(turns(10))]
    assert strategy.view(other, max_tokens=500, state=state) == other


async def test_summary_is_found_when_the_oldest_messages_were_not_loaded() -> None:
    strategy = Summarization(ScriptedChatClient(["Short."]))
    state: dict[str, Any] = {"max_tokens": 500}
    messages = turns(10)
    await strategy.learn(messages, state=state)
    assert strategy.view(messages[6:], max_tokens=500, state=state) == strategy.view(
        messages, max_tokens=500, state=state
    )


async def test_result_that_comes_after_the_summary_keeps_its_call() -> None:
    messages = turns(10)
    messages.insert(5, Message("assistant", FunctionCall("call_1", "look", "{}"), message_id="msg_call"))
    strategy = Summarization(ScriptedChatClient(["Short."]))
    state: dict[str, Any] = {"max_tokens": 500}
    await strategy.learn(messages, state=state)
    covered = state["summary"]["covers"]
    assert covered > 5
    late = [*messages, tool_message(FunctionResult("call_1", "look", text="There."))]
    view = strategy.view(late, max_tokens=500, state=state)
    assert view[1:] == [messages[5], *late[covered:]]


async def test_model_that_fails_or_stalls_costs_nothing() -> None:
    faults = (Reply("Half a", fault=ChatClientUnavailableException("Down."), fault_after=1), Reply(fault="stall"))
    for reply in faults:
        client = ScriptedChatClient([reply])
        state: dict[str, Any] = {"max_tokens": 500}
        await Summarization(client, timeout_s=0.01).learn(turns(10), state=state)
        assert state == {"max_tokens": 500}
        assert client.closed == 1


async def test_of_two_agents_summaries_at_once_the_first_stays() -> None:
    slow = Summarization(ScriptedChatClient([Reply("Slow.", first_token_s=0.01)]))
    quick = Summarization(ScriptedChatClient(["Quick."]))
    state: dict[str, Any] = {"max_tokens": 500}
    await asyncio.gather(slow.learn(turns(10), state=state), quick.learn(turns(12), state=state))
    assert state["summary"]["text"] == "Quick."


async def test_model_is_asked_about_a_conversation_once_at_a_time() -> None:
    client = ScriptedChatClient(["One.", "Other."], yields=True)
    strategy = Summarization(client)
    one: dict[str, Any] = {"max_tokens": 500}
    other: dict[str, Any] = {"max_tokens": 500}
    await asyncio.gather(*(strategy.learn(turns(10), state=state) for state in (one, one, other, other)))
    assert client.opened == 2
    assert [state["summary"]["text"] for state in (one, other)] == ["One.", "Other."]


async def test_facts_are_gathered_changed_removed_and_survive_every_cut() -> None:
    client = ScriptedChatClient(
        [
            "- name: Ada Lovelace\n* phone: 555 0100\nIs there more?\ncity: Turin",
            "City: Rome\nphone: -\nday: Monday: early",
        ]
    )
    facts = FactSheet(client)
    state: dict[str, Any] = {}
    messages = turns(3)
    await facts.learn(messages, state=state)
    assert state["facts"]["items"] == {"name": "Ada Lovelace", "phone": "555 0100", "city": "Turin"}
    messages = turns(6)
    await facts.learn(messages, state=state)
    assert "2 user" not in client.requests[1].messages[1].text
    assert "- city: Turin" in client.requests[1].messages[1].text
    assert json.loads(json.dumps(state))["facts"]["items"] == {
        "name": "Ada Lovelace",
        "city": "Rome",
        "day": "Monday: early",
    }
    for cut in (
        SlidingWindow(0),
        Truncation(1),
        ToolResultCompaction(0, 0),
        TokenBudget(1, chain=[facts, Truncation()]),
    ):
        view = cut.view(facts.view(messages, max_tokens=1, state=state), max_tokens=1, state=state)
        assert "- city: Rome" in view[0].text
        assert view[-2:] == messages[-2:]


async def test_facts_wait_for_some_turns_and_have_a_most() -> None:
    client = ScriptedChatClient(["\n".join(f"fact {number}: {number}" for number in range(80))])
    facts = FactSheet(client, max_facts=50, every_turns=4)
    state: dict[str, Any] = {}
    await facts.learn(turns(3), state=state)
    assert client.opened == 0
    await facts.learn(turns(4), state=state)
    assert list(state["facts"]["items"].values()) == [str(number) for number in range(30, 80)]


async def test_no_facts_are_no_message() -> None:
    facts = FactSheet(ScriptedChatClient(["none"]))
    state: dict[str, Any] = {}
    messages = turns(3)
    await facts.learn(messages, state=state)
    assert facts.view(messages, max_tokens=None, state=state) == messages


def test_view_never_asks_a_model_and_is_cut_at_once() -> None:
    async def talk() -> list[float]:
        begun = virtual.now()
        client = ScriptedChatClient([Reply("Short.", first_token_s=5.0)], clock=virtual)
        budget = TokenBudget(640, client=client)
        state: dict[str, Any] = {"max_tokens": 640}
        messages = turns(10)
        learning = asyncio.create_task(budget.learn(messages, state=state))
        await virtual.sleep(1.0)
        messages = turns(14)
        view = budget.view(messages, max_tokens=None, state=state)
        assert tokens(view) <= 640
        assert view[-1] is messages[-1]
        assert all(message.role != "system" for message in view)
        cut_at = virtual.now() - begun
        await learning
        assert budget.view(messages, max_tokens=None, state=state)[0].text.endswith("Short.")
        return [cut_at, virtual.now() - begun]

    virtual = VirtualClock()
    assert virtual.run(talk()) == [1.0, 5.0]


async def test_chain_uses_the_summary_before_it_drops_anything() -> None:
    budget = TokenBudget(640, client=ScriptedChatClient(["Short."]))
    state: dict[str, Any] = {}
    messages = turns(10)
    assert budget.view(messages, max_tokens=None, state=state) == messages
    await budget.learn(messages, state=state)
    assert budget.view(messages, max_tokens=None, state=state) == messages, "it still fits"
    grown = turns(13)
    view = budget.view(grown, max_tokens=None, state=state)
    assert view[0].text.endswith("Short.")
    assert view[1:] == grown[10:]
