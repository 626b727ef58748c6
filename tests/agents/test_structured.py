"""Answers that are data: typed, repaired once, and readable while they are written."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import pydantic
import pytest

from antiphon import Agent, Message
from antiphon.agents.session import AgentSession
from antiphon.agents.structured import partial_value
from antiphon.errors import AgentInvalidResponseException
from antiphon.models.llm.contract import ChatDelta, ChatOptions, Feature
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.running import add, plain, roles


class Booking(pydantic.BaseModel):
    day: str
    seats: int = pydantic.Field(ge=1)


@dataclass
class Plain:
    day: str
    seats: int = 1


class Typed(TypedDict):
    day: str
    seats: int


SCHEMA = {
    "type": "object",
    "properties": {"day": {"type": "string"}, "seats": {"type": "integer"}},
    "required": ["day", "seats"],
}
GOOD = '{"day": "Monday", "seats": 2}'
BAD = '{"day": "Monday", "seats": "many"}'


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Booking, Booking(day="Monday", seats=2)),
        (Plain, Plain("Monday", 2)),
        (Typed, {"day": "Monday", "seats": 2}),
        (SCHEMA, {"day": "Monday", "seats": 2}),
    ],
    ids=["pydantic", "dataclass", "typeddict", "schema"],
)
@pytest.mark.parametrize("text", [GOOD, f"```json\n{GOOD}\n```", f"  {GOOD}\n"])
async def test_the_answer_is_a_value_of_the_type(kind: Any, value: Any, text: str) -> None:
    client = ScriptedChatClient([text])
    response = await Agent("desk", model=client, output_type=kind).run("Book.")
    assert response.value == value
    assert type(response.value) is type(value)
    output = client.requests[0].options.output
    assert output is not None
    assert set(output.schema["properties"]) == {"day", "seats"}


async def test_a_model_that_cannot_be_held_to_a_schema_is_told_it() -> None:
    class Holding(ScriptedChatClient):
        supports: frozenset[Feature] = frozenset({"tools", "json_schema"})

    told, held = ScriptedChatClient([GOOD]), Holding([GOOD])
    for client in (told, held):
        await Agent("desk", "Be kind.", model=client, output_type=Booking).run("Book.")
    assert "JSON Schema" in told.requests[0].messages[0].text
    assert held.requests[0].messages[0].text == "Be kind."


@pytest.mark.parametrize("bad", [BAD, "On Monday.", '{"day": "Monday"', "", "[1]", '{"day": "M", "seats": 0}'])
async def test_a_wrong_answer_is_repaired_once(bad: str) -> None:
    client = ScriptedChatClient([bad, GOOD])
    session = AgentSession()
    response = await Agent("desk", model=client, output_type=Booking).run("Book.", session=session)
    assert response.value == Booking(day="Monday", seats=2)
    assert (response.text, response.steps) == (GOOD, 2)
    repair = client.requests[1].messages[-1]
    assert (repair.role, "JSON Schema" in repair.text) == ("user", True)
    assert plain(session.messages) == [("user", "Book."), ("assistant", GOOD)], "the detour is nobody's history"
    assert response.usage.output_tokens == len(bad.split()) + len(GOOD.split())


async def test_a_second_wrong_answer_is_a_typed_error() -> None:
    client = ScriptedChatClient([BAD, "Still no JSON.", "Fine."])
    session = AgentSession()
    agent = Agent("desk", model=client, output_type=Booking)
    with pytest.raises(AgentInvalidResponseException) as caught:
        await agent.run("Book.", session=session)
    assert caught.value.code == "invalid_output"
    assert "Still no JSON." in str(caught.value)
    assert len(client.requests) == 2
    assert roles(session.messages) == ["user"]
    assert not session.busy


async def test_tools_come_before_the_answer() -> None:
    client = ScriptedChatClient([Reply("Let me see.", (call("add", a=1, b=1),)), GOOD])
    response = await Agent("desk", model=client, tools=[add], output_type=Booking).run("Book for 1+1.")
    assert response.value == Booking(day="Monday", seats=2)


async def test_without_a_type_or_an_answer_there_is_no_value() -> None:
    response = await Agent("desk", model=ScriptedChatClient(["Hello."])).run("?")
    with pytest.raises(AgentInvalidResponseException, match="output_type"):
        _ = response.value


class Spelling(ScriptedChatClient):
    """Writes each of its texts sign by sign."""

    def __init__(self, *texts: str) -> None:
        super().__init__([])
        self.texts = list(texts)

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        for sign in self.texts.pop(0):
            yield ChatDelta(sign)
        yield ChatDelta(finish_reason="stop")


@pytest.mark.parametrize("texts", [(GOOD,), (BAD, GOOD)])
async def test_a_value_grows_while_it_is_written_and_is_not_to_be_spoken(texts: tuple[str, ...]) -> None:
    stream = Agent("desk", model=Spelling(*texts), output_type=Booking).run("Book.", stream=True)
    values: list[Any] = []
    async for update in stream:
        assert update.structured
        values.append(stream.partial_value())
    assert {} in values
    assert {"day": "Mon"} in values
    assert values[-1] == {"day": "Monday", "seats": 2}
    assert (await stream.get_final_response()).value == Booking(day="Monday", seats=2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("Let me", None),
        ("{", {}),
        ('{"a": [1, {"b": "c', {"a": [1, {"b": "c"}]}),
        ('```json\n{"a": 1', {}),
        ('{"a": }', None),
    ],
)
def test_the_sound_beginning_of_json(text: str, value: Any) -> None:
    assert partial_value(text) == value or (value == {} and partial_value(text) == {"a": 1})


@pytest.mark.parametrize("kind", [int, list[int], "text", object()])
def test_what_is_no_type_with_fields_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError):
        Agent("desk", output_type=kind)
