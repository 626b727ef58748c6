from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from antiphon.models.llm import router
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.contract import ToolSpec
from antiphon.models.llm.messages import Message, tool_message

BOOK = ToolSpec(
    "book_table",
    "Book a table at the restaurant. Use it with care.",
    {
        "type": "object",
        "properties": {"day": {"type": "string"}, "people": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["day", "people"],
    },
)
BLOCK = ToolSpec("block_card", "Block a card.", {"type": "object", "properties": {}})
BYE = ToolSpec("end_call", "End the call, after a goodbye.", {"type": "object", "properties": {}})
NONE = router.Thresholds({"book_table": 0.0, "block_card": 0.0, "end_call": 0.0})


class Model:
    """Gives the chances of the last words of a prompt, and remembers what it was asked."""

    def __init__(self, chances: Mapping[str, Mapping[str, float]], default: Mapping[str, float]) -> None:
        self.chances = chances
        self.default = default
        self.prompts: list[str] = []

    async def __call__(self, prompt: str) -> Mapping[str, float]:
        self.prompts.append(prompt)
        for end, chances in self.chances.items():
            if prompt.endswith(end):
                return chances
        return self.default


async def chosen(
    model: Model, messages: Sequence[Message], *tools: ToolSpec, thresholds: router.Thresholds = NONE
) -> str | None:
    tool = await router.choose(tools, messages, thresholds=thresholds, alternatives=model)
    return tool and tool.name


def said(*texts: str) -> list[Message]:
    """A conversation that ends with the caller."""
    first = len(texts) % 2
    return [Message("user" if place % 2 != first else "assistant", text) for place, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("description", "label"),
    [
        ("Book a table at the restaurant. Use it with care.", "book a table at the restaurant"),
        ("End the call, after a goodbye.", "end the call"),
        ("", "do_it".replace("_", " ")),
    ],
)
def test_a_label_is_the_first_clause_of_the_description(description: str, label: str) -> None:
    assert router.label(ToolSpec("do_it", description, {})) == label


def test_the_preamble_is_the_same_for_all_turns_and_holds_each_label() -> None:
    text = router.preamble([BOOK, BYE])
    assert "- book a table at the restaurant\n- end the call\n- ask a question\n" in text
    assert "Caller: Thank you, goodbye.\nThe caller wants to end the call." in text


async def test_the_likeliest_label_wins() -> None:
    assert await chosen(Model({}, {" book": -0.2, " ask": -2.0}), said("A table, please."), BOOK, BYE) == "book_table"
    assert await chosen(Model({}, {" book": -2.0, " ask": -0.2}), said("When?"), BOOK, BYE) is None


async def test_answers_of_all_kinds_count_together() -> None:
    model = Model({}, {" book": -1.0, " ask": -1.1, " talk": -1.1, " greet": -1.1})
    assert await chosen(model, said("Well."), BOOK) is None


async def test_labels_that_begin_alike_are_told_apart_by_the_next_token() -> None:
    model = Model({" bl": {"ock": -0.1, "ind": -3.0}, " b": {"ook": -3.0, "lock": -0.1}}, {" b": -0.1, " ask": -3.0})
    assert await chosen(model, said("Stop my card."), BOOK, BLOCK) == "block_card"


async def test_a_threshold_holds_a_tool_back() -> None:
    model = Model({}, {" book": -0.5, " ask": -1.0})
    strict = router.Thresholds({"book_table": 2.0})
    assert await chosen(model, said("Perhaps."), BOOK, thresholds=strict) is None


async def test_thresholds_lie_between_what_is_no_call_and_what_is_one() -> None:
    surely = {f"Caller: {each}\nThe caller wants to": {" book": -0.1, " ask": -4.0} for each in _requests()}
    thresholds = await router.measure([BOOK], Model(surely, {" book": -3.0, " ask": -0.1}))
    assert -2.9 < thresholds.margins["book_table"] < 3.9


async def test_a_tool_that_has_asked_for_something_is_likelier() -> None:
    model = Model({}, {" book": -2.0, " ask": -0.2})
    question = router.question_for(["day"])
    assert await chosen(model, said("A table.", question, "On Friday."), BOOK) == "book_table"
    assert await chosen(model, said("A table.", question, "Are you open on Friday?"), BOOK) is None
    assert await chosen(model, said("A table.", "Hm.", "On Friday."), BOOK) is None


async def test_required_always_gives_a_tool() -> None:
    tool = await router.choose(
        [BOOK], said("Hello."), thresholds=NONE, alternatives=Model({}, {" ask": -0.1}), required=True
    )
    assert tool is BOOK


async def test_the_choice_looks_at_the_last_lines_and_at_the_agents_last_sentence() -> None:
    model = Model({}, {" ask": -0.1})
    await chosen(model, said("one", "Long ago. And then?", "three", "Four. Five!", "six"), BOOK)
    assert model.prompts[0].endswith("\n\nCaller: three\nAgent: Five!\nCaller: six\nThe caller wants to")


def test_what_is_missing_is_asked_for() -> None:
    filled = router.fill(BOOK, "day: Friday\npeople: none\nname: none\n", said("On Friday."))
    assert msgspec.json.decode(filled.arguments) == {"day": "Friday"}
    assert filled.missing == ["people"]
    assert not filled.says_nothing
    assert router.question_for(["day", "phone_number"]) == (
        "Sure. Could you tell me the day and the phone number, please?"
    )


def test_nothing_that_was_said_is_nothing() -> None:
    assert router.fill(BOOK, "day: none\npeople: none\nname: none\n", said("A table.")).says_nothing


REFUSED = [
    Message("user", "A table for two on Sunday."),
    Message("assistant", FunctionCall("1", "book_table", '{"day":"Sunday","people":2}')),
    tool_message(FunctionResult("1", "book_table", "ok", "We are closed on Sunday. Which other day would you like?")),
    Message("assistant", "We are closed on Sunday. Which other day would you like?"),
    Message("user", "Then on Monday."),
]


def test_what_was_said_for_a_refused_call_still_counts() -> None:
    filled = router.fill(BOOK, "day: Monday\npeople: none\nname: none\n", REFUSED)
    assert msgspec.json.decode(filled.arguments) == {"day": "Monday", "people": 2}


def test_what_was_said_for_a_call_that_is_done_counts_no_more() -> None:
    done = [*REFUSED[:2], tool_message(FunctionResult("1", "book_table", "ok", "Done.")), *REFUSED[3:]]
    assert router.fill(BOOK, "day: Monday\npeople: none\nname: none\n", done).missing == ["people"]
    prompt, _ = router.filling_prompt(BOOK, done)
    assert prompt.endswith("Caller: Then on Monday.\n")
    assert "A table for two on Sunday." not in prompt


async def test_a_refused_call_waits_for_the_callers_words() -> None:
    assert await chosen(Model({}, {" book": -2.0, " ask": -0.2}), REFUSED, BOOK) == "book_table"


def _requests() -> list[str]:
    wanted = router.label(BOOK)
    return [f"Could you {wanted} for me?", f"I want to {wanted}.", f"I need to {wanted}."]
