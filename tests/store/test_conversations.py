"""One suite for all that keeps conversations: in memory, in files, on SQLite, on Postgres, on Redis."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from antiphon.agents.agent import Agent
from antiphon.agents.session import AgentSession
from antiphon.agents.stores import HistoryProvider
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import Audio, Unknown
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import ScriptedChatClient
from tests.store.conversations import Stores, call_group, said

# Histories


async def test_messages_come_back_in_order_and_whole(stores: Stores, session_id: str) -> None:
    strange = Unknown({"type": "hologram", "depth": [1, 2.5, None]})
    heard = Audio(transcript="Good morning", alignment=((0, 0.0), (5, 310.5)), heard_ms=300.0, heard_text="Good")
    cut = Message("assistant", (heard, strange), interrupted=True, generated_text="Good morning", pinned=True)
    written = [said(1), *call_group("a"), cut, said(2).replace(additional_properties={"rate": 0.5})]
    history = stores.history()
    await history.append(session_id, written[:1])
    await history.append(session_id, written[1:4])
    await history.append(session_id, written[4:])
    assert list(await stores.history().load(session_id)) == written


async def test_limit_gives_the_last_messages(stores: Stores, session_id: str) -> None:
    history = stores.history()
    for first in range(0, 100, 2):
        await history.append(session_id, [said(first), said(first + 1)])
    assert list(await history.load(session_id, 3)) == [said(97), said(98), said(99)]
    assert list(await history.load(session_id, 0)) == []
    assert list(await history.load(session_id, 1_000)) == [said(number) for number in range(100)]


async def test_replaced_message_keeps_its_place(stores: Stores, session_id: str) -> None:
    history = stores.history()
    await history.append(session_id, [said(1), said(2), said(3)])
    heard = said(2).with_text("Mess").replace(interrupted=True)
    await history.replace(session_id, "msg_2", heard)
    await history.replace(session_id, "msg_9", said(9))
    assert list(await stores.history().load(session_id)) == [said(1), heard, said(3)]


async def test_limit_sees_through_many_replacements(stores: Stores, session_id: str) -> None:
    history = stores.history()
    await history.append(session_id, [said(1), said(2)])
    for number in range(60):
        await history.replace(session_id, "msg_2", said(2).with_text(f"Heard {number}"))
    assert list(await history.load(session_id, 2)) == [said(1), said(2).with_text("Heard 59")]


async def test_cleared_conversation_is_gone_and_others_stay(stores: Stores, session_id: str) -> None:
    history = stores.history()
    await history.append(session_id, [said(1)])
    await history.append(f"{session_id}_other", [said(2)])
    await history.clear(session_id)
    await history.clear(session_id)
    assert list(await history.load(session_id)) == []
    assert list(await history.load(f"{session_id}_other")) == [said(2)]


async def test_nothing_appended_and_nothing_known_is_empty(stores: Stores, session_id: str) -> None:
    history = stores.history()
    await history.append(session_id, [])
    assert list(await history.load(session_id)) == []
    assert list(await history.load(session_id, 5)) == []


async def test_two_writers_never_tear_each_others_groups(stores: Stores, session_id: str) -> None:
    async def write(history: HistoryProvider, name: str) -> list[list[Message]]:
        groups = [call_group(f"{name}{number}") for number in range(12)]
        for group in groups:
            await history.append(session_id, group)
        return groups

    first, second = await asyncio.gather(write(stores.history(), "a"), write(stores.history(), "b"))
    messages = list(await stores.history().load(session_id))
    groups = [messages[place : place + 3] for place in range(0, len(messages), 3)]
    assert [group for group in groups if group in first] == first
    assert [group for group in groups if group in second] == second
    assert len(groups) == len(first) + len(second)


async def test_ids_that_are_no_file_names_are_kept_apart(stores: Stores) -> None:
    unique = uuid4().hex
    ids = [
        f"../../{unique}",
        f"{unique}/..",
        f"A{unique}",
        f"a{unique}",
        f"+49 30 {unique}",
        f"Zoë:{unique}",
        f"%00{unique}",
    ]
    history = stores.history()
    for number, each in enumerate(ids):
        await history.append(each, [said(number)])
    assert [list(await history.load(each)) for each in ids] == [[said(number)] for number in range(len(ids))]


@pytest.mark.parametrize("bad", ["", "a\nb", "nul\0", "x" * 257, "\ud800"])
async def test_impossible_ids_are_refused(stores: Stores, bad: str) -> None:
    with pytest.raises(AgentInvalidRequestException) as refused:
        await stores.history().append(bad, [said(1)])
    assert refused.value.code == "input_invalid"
    with pytest.raises(AgentInvalidRequestException):
        await stores.sessions().load(bad)


async def test_agent_goes_on_from_what_another_process_wrote(stores: Stores, session_id: str) -> None:
    client = ScriptedChatClient(["Hello Ada.", "You are Ada."])
    agent = Agent("desk", model=client)
    await agent.run("I am Ada.", session=AgentSession(session_id, history=stores.history()))
    await agent.run("Who am I?", session=AgentSession(session_id, history=stores.history()))
    assert [message.text for message in client.requests[1].messages] == ["I am Ada.", "Hello Ada.", "Who am I?"]
    assert len(await stores.history().load(session_id)) == 4


# Sessions


async def test_session_goes_on_where_it_was(stores: Stores, session_id: str) -> None:
    session = AgentSession(session_id, [said(1), *call_group("a")], {"name": "Zoë", "tries": [1, 2]})
    session.active_agent = "billing"
    await stores.sessions().save(session, 0)
    assert session.version == 1
    loaded = await stores.sessions().load(session_id)
    assert loaded is not None
    assert loaded.to_dict() == session.to_dict()
    loaded.messages.append(said(2))
    await stores.sessions().save(loaded, loaded.version)
    again = await stores.sessions().load(session_id)
    assert again is not None
    assert (again.version, again.messages) == (2, [said(1), *call_group("a"), said(2)])


async def test_wrong_version_is_a_conflict_and_writes_nothing(stores: Stores, session_id: str) -> None:
    sessions = stores.sessions()
    session = AgentSession(session_id, [said(1)])
    await sessions.save(session, 0)
    stale = AgentSession(session_id, [said(666)], version=1)
    for expected in (0, 2, 7):
        with pytest.raises(AgentInvalidRequestException) as refused:
            await sessions.save(stale, expected)
        assert refused.value.code == "session_conflict"
    assert stale.version == 1
    kept = await sessions.load(session_id)
    assert kept is not None
    assert kept.to_dict() == session.to_dict()


async def test_never_saved_session_has_no_later_version(stores: Stores, session_id: str) -> None:
    sessions = stores.sessions()
    with pytest.raises(AgentInvalidRequestException) as refused:
        await sessions.save(AgentSession(session_id), 3)
    assert refused.value.code == "session_conflict"
    assert await sessions.load(session_id) is None


@pytest.mark.parametrize("version", [0, 1])
async def test_of_writers_at_once_exactly_one_wins(stores: Stores, session_id: str, version: int) -> None:
    if version:
        await stores.sessions().save(AgentSession(session_id), 0)

    saving = [
        stores.sessions().save(AgentSession(session_id, [said(number)], version=version), version)
        for number in range(6)
    ]
    outcomes = await asyncio.gather(*saving, return_exceptions=True)
    kept = await stores.sessions().load(session_id)
    assert kept is not None
    assert [said(number) for number, outcome in enumerate(outcomes) if outcome is None] == kept.messages
    assert kept.version == version + 1
    lost = [outcome for outcome in outcomes if outcome is not None]
    assert [getattr(outcome, "code", outcome) for outcome in lost] == ["session_conflict"] * 5


async def test_deleted_session_is_gone(stores: Stores, session_id: str) -> None:
    sessions = stores.sessions()
    await sessions.save(AgentSession(session_id), 0)
    await sessions.delete(session_id)
    await sessions.delete(session_id)
    assert await sessions.load(session_id) is None
    await sessions.save(AgentSession(session_id), 0)


async def test_session_that_is_too_large_is_refused(stores: Stores, session_id: str) -> None:
    session = AgentSession(session_id, [Message("user", "x" * 1024 * 1024)] * 17)
    with pytest.raises(AgentInvalidRequestException) as refused:
        await stores.sessions().save(session, 0)
    assert refused.value.code == "input_invalid"
    assert session.version == 0
    assert await stores.sessions().load(session_id) is None


async def test_session_just_small_enough_is_kept(stores: Stores, session_id: str) -> None:
    session = AgentSession(session_id, [Message("user", "x" * 1024 * 1023)] * 16)
    await stores.sessions().save(session, 0)
    kept = await stores.sessions().load(session_id)
    assert kept is not None
    assert len(kept.messages) == 16


async def test_state_that_json_cannot_hold_is_refused(stores: Stores, session_id: str) -> None:
    with pytest.raises(TypeError):
        await stores.sessions().save(AgentSession(session_id, state={"lock": object()}), 0)
    assert await stores.sessions().load(session_id) is None
