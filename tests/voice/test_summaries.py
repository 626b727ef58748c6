from __future__ import annotations

from datetime import UTC, datetime

import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import (
    ChatClientInvalidAuthException,
    ChatClientUnavailableException,
    IntegrationInvalidResponseException,
    IntegrationUnavailableException,
)
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.realtime.conversation import FunctionCall, Role, Turn
from antiphon.voice.llm_summarizer import LLMSummarizer
from antiphon.voice.summaries import SummaryPolicy, SummaryRequest, SummaryResult, line_of, read_summary

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
REQUEST = SummaryRequest("They met.", "name: Ada", "en", ["user: hello", "assistant: hi"])
JSON = '{"synopsis": "They met again.", "set": {"city": "Bern"}, "remove": ["pet"], "language": "en"}'


def turns(roles: str) -> list[Turn]:
    names: dict[str, Role] = {"u": "user", "a": "assistant"}
    return [Turn(names[role], f"item_{n}", NOW, text=f"words {n}") for n, role in enumerate(roles)]


@pytest.mark.parametrize(
    ("roles", "keep", "pruned"),
    [
        ("uauaua", 2, 4),
        ("uauaua", 3, 2),
        ("uauaua", 0, 6),
        ("uauaua", 6, 0),
        ("uaa", 1, 0),
        ("uauaau", 2, 2),
        ("", 2, 0),
    ],
)
def test_the_cut_moves_back_to_a_users_turn(roles: str, keep: int, pruned: int) -> None:
    assert len(SummaryPolicy(keep_last_turns=keep).pruned(turns(roles))) == pruned


@pytest.mark.parametrize(
    ("numbers", "due"),
    [
        ({"turns": 5, "tokens": 2000, "waited_s": 20.0}, True),
        ({"turns": 5, "tokens": 1999, "waited_s": 20.0}, False),
        ({"turns": 2, "tokens": 5000, "waited_s": 20.0}, False),
        ({"turns": 5, "tokens": 5000, "waited_s": 19.0}, False),
        ({"turns": 5, "tokens": 5000, "waited_s": 39.0, "failures": 1}, False),
        ({"turns": 5, "tokens": 5000, "waited_s": 40.0, "failures": 1}, True),
        ({"turns": 5, "tokens": 5000, "waited_s": 600.0, "failures": 20}, True),
    ],
)
def test_a_summary_is_due_by_size_and_interval(numbers: dict[str, float], due: bool) -> None:
    assert SummaryPolicy().is_due(**numbers) is due  # type: ignore[arg-type]


def test_a_number_of_turns_makes_one_due_too() -> None:
    policy = SummaryPolicy(trigger_turns=4)
    assert policy.is_due(turns=4, tokens=0, waited_s=100)
    assert not policy.is_due(turns=3, tokens=0, waited_s=100)


def test_a_line_holds_calls_and_interruptions_and_missing_words() -> None:
    call = FunctionCall("call_1", "item_c", "clock", "{}", output="nine", status="done")
    cut = Turn("assistant", "item_1", NOW, text="It is", interrupted=True, calls=[call])
    assert line_of(cut) == "assistant (interrupted): It is [called clock({}): nine]"
    assert line_of(Turn("user", "item_2", NOW)) == "user: [inaudible]"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (JSON, SummaryResult("They met again.", {"city": "Bern"}, ["pet"], "en")),
        (f"```json\n{JSON}\n```", SummaryResult("They met again.", {"city": "Bern"}, ["pet"], "en")),
        (
            "Synopsis: They met.\nFacts: name: Ada; likes tea",
            SummaryResult("They met.", {"name": "Ada", "likes tea": "likes tea"}),
        ),
        ("**Synopsis:** They met.", SummaryResult("They met.")),
    ],
)
def test_json_and_two_lines_are_read(text: str, result: SummaryResult) -> None:
    assert read_summary(text) == result


@pytest.mark.parametrize(
    "text", ["", "I cannot do that.", "{}", '{"synopsis": ""}', '{"synopsis": "x", "set": [1]}', "{broken"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(IntegrationInvalidResponseException):
        read_summary(text)


async def test_the_model_reads_synopsis_facts_turns_and_language() -> None:
    client = ScriptedChatClient([JSON])
    result = await LLMSummarizer(client).summarize(REQUEST)
    assert result.synopsis == "They met again."
    question = client.requests[0].messages[-1].text
    for part in ("Language: en", "Synopsis so far: They met.", "Known facts: name: Ada", "user: hello\nassistant: hi"):
        assert part in question


async def test_a_bad_answer_is_asked_for_once_more() -> None:
    assert (await LLMSummarizer(ScriptedChatClient(["What?", JSON])).summarize(REQUEST)).synopsis == "They met again."
    with pytest.raises(IntegrationInvalidResponseException):
        await LLMSummarizer(ScriptedChatClient(["What?", "No.", JSON])).summarize(REQUEST)


def test_a_model_that_is_away_is_tried_three_times() -> None:
    clock = VirtualClock()
    away = Reply(fault=ChatClientUnavailableException("away"))

    async def main() -> None:
        client = ScriptedChatClient([away, away, JSON], clock=clock)
        assert (await LLMSummarizer(client, clock=clock).summarize(REQUEST)).synopsis == "They met again."
        with pytest.raises(IntegrationUnavailableException):
            await LLMSummarizer(ScriptedChatClient([away] * 4), clock=clock).summarize(REQUEST)

    clock.run(main())


async def test_a_refused_key_is_not_tried_again() -> None:
    client = ScriptedChatClient([Reply(fault=ChatClientInvalidAuthException("no")), JSON])
    with pytest.raises(IntegrationUnavailableException):
        await LLMSummarizer(client).summarize(REQUEST)
    assert client.opened == 1


def test_a_model_that_stalls_is_given_up_after_half_a_minute() -> None:
    clock = VirtualClock()

    async def main() -> None:
        with pytest.raises(IntegrationUnavailableException, match="30 s"):
            await LLMSummarizer(ScriptedChatClient([Reply(fault="stall")]), clock=clock).summarize(REQUEST)
        assert clock.now() == pytest.approx(30.0)

    clock.run(main())


async def test_another_language_is_asked_for_once_more_and_then_taken() -> None:
    client = ScriptedChatClient([JSON, JSON])
    result = await LLMSummarizer(client, is_in=lambda text, language: False).summarize(REQUEST)
    assert result.synopsis == "They met again."
    assert "in the language en" in client.requests[1].messages[-1].text
