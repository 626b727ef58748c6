from __future__ import annotations

import wave
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from antiphon.agents.session import AgentSession
from antiphon.demo.agent import DATABASE, agent
from antiphon.demo.booking import appointments
from antiphon.demo.clinic import FACTS, HOURS, SERVICES
from antiphon.demo.script import CALLERS, SCRIPT
from antiphon.models.catalog import LLM_WEIGHT
from antiphon.models.llm.llama import EmbeddedChatClient
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.models.weights.store import WeightStore
from antiphon.settings import load_settings
from benchmarks.embedded_cases import BOOKINGS, QUESTIONS
from benchmarks.embedded_llm import NOW, answer, booked, conversation


async def test_the_tool_writes_the_table_and_its_words_are_the_answer(tmp_path: Path) -> None:
    model = ScriptedChatClient([Reply(calls=(call("book_appointment", service="filling", day="Tuesday", time="ten"),))])
    reply = await agent.replace(model=model).run("Book it.", values={"data_dir": tmp_path, "now": NOW})
    assert reply.text == "Done: the filling is booked for Tuesday at 10 am."
    assert appointments(tmp_path / DATABASE) == [("filling", datetime(2026, 1, 6, 10, 0))]


async def test_a_refusal_is_said_as_it_is_and_nothing_is_written(tmp_path: Path) -> None:
    model = ScriptedChatClient([Reply(calls=(call("book_appointment", service="filling", day="Sunday", time="ten"),))])
    reply = await agent.replace(model=model).run("Book it.", values={"data_dir": tmp_path, "now": NOW})
    assert reply.text == "The clinic is closed on Sunday. Which other day would you like?"
    assert not (tmp_path / DATABASE).exists()


async def test_a_service_that_is_not_offered_reaches_no_table(tmp_path: Path) -> None:
    wrong = Reply(calls=(call("book_appointment", service="surgery", day="Tuesday", time="ten"),))
    reply = await agent.replace(model=ScriptedChatClient([wrong, "Sorry."])).run(
        "Book it.", values={"data_dir": tmp_path, "now": NOW}
    )
    assert reply.text == "Sorry."
    assert not (tmp_path / DATABASE).exists()


def test_the_instructions_tell_what_the_booking_checks() -> None:
    assert all(service in FACTS.lower() for service in SERVICES)
    assert HOURS["Sunday"] is None
    assert "On Sunday we are closed" in FACTS


def test_each_line_of_the_script_has_its_recording() -> None:
    manifest = msgspec.json.decode((CALLERS / "manifest.json").read_bytes())
    assert {line.wav for line in SCRIPT} == set(manifest) == {path.name for path in CALLERS.glob("*.wav")}
    for line in SCRIPT:
        assert manifest[line.wav]["text"] == line.text
        with wave.open(str(line.path)) as recording:
            assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (16_000, 1, 2)
    assert (CALLERS / "NOTICE").is_file()


@pytest.mark.models(LLM_WEIGHT)
async def test_the_embedded_model_keeps_to_the_facts_books_and_says_goodbye() -> None:
    client = EmbeddedChatClient(WeightStore(load_settings(env_file=None).data_dir).path(LLM_WEIGHT))
    desk = agent.replace(model=client)
    try:
        answers = [await answer(desk, question) for question in QUESTIONS[::8]]
        assert [(reply, invented) for reply, is_right, invented in answers if invented or not is_right] == []
        _, rows = await booked(desk, BOOKINGS[0])
        assert rows == [(BOOKINGS[0].service, datetime.fromisoformat(BOOKINGS[0].starts_at))]
        session: AgentSession = conversation()
        assert "oodbye" in (await desk.run("Thank you very much, goodbye.", session=session)).text
    finally:
        await client.aclose()
