from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from antiphon.errors import ChatClientInvalidRequestException, ChatClientUnavailableException
from antiphon.models.catalog import LLM_WEIGHT
from antiphon.models.llm.content import FunctionResult
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions, ToolSpec
from antiphon.models.llm.grammar import answer_grammar, arguments_grammar, numbers_in
from antiphon.models.llm.llama import UNKNOWN, EmbeddedChatClient
from antiphon.models.llm.llama_engine import Generation, LlamaEngine
from antiphon.models.llm.messages import Message, tool_message
from antiphon.models.weights.store import WeightStore
from antiphon.settings import load_settings

SHOP = Message(
    "system",
    "You answer the phone of a flower shop.\nOn Monday we open at 10 am.\nA rose costs 3 dollars.\n"
    "A tulip costs 2 dollars.",
)
ORDER = ToolSpec(
    "order_flowers",
    "Order flowers.",
    {
        "type": "object",
        "properties": {"flower": {"enum": ["rose", "tulip"]}, "how_many": {"type": "integer"}},
        "required": ["flower", "how_many"],
    },
)
WITH_TOOL = ChatOptions(tools=(ORDER,))

models = pytest.mark.models(LLM_WEIGHT)
one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[EmbeddedChatClient]:
    store = WeightStore(load_settings(env_file=None).data_dir)
    client = EmbeddedChatClient(store.path(LLM_WEIGHT), context_tokens=1024)
    await client.warm([SHOP], WITH_TOOL)
    yield client
    await client.aclose()


async def read(client: ChatClient, *messages: Message, options: ChatOptions = WITH_TOOL) -> list[ChatDelta]:
    async with aclosing(client.stream([SHOP, *messages], options)) as deltas:
        return [delta async for delta in deltas]


def text_of(deltas: Sequence[ChatDelta]) -> str:
    return "".join(delta.text for delta in deltas)


def user(text: str) -> Message:
    return Message("user", text)


@models
@one_loop
async def test_an_answer_streams_and_tells_the_fact(client: EmbeddedChatClient) -> None:
    deltas = await read(client, user("How much is a rose?"))
    assert "3" in text_of(deltas)
    assert len(deltas) > 3
    assert deltas[-1].finish_reason == "stop"
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.cache_read_tokens > 0 < deltas[-1].usage.output_tokens


@models
@one_loop
async def test_a_call_has_the_arguments_that_were_said(client: EmbeddedChatClient) -> None:
    deltas = await read(client, user("I would like to order flowers, twelve tulips please."))
    [call] = deltas[-1].calls
    assert (call.name, call.arguments) == ("order_flowers", '{"flower":"tulip","how_many":12}')
    assert deltas[-1].finish_reason == "tool_calls"
    assert text_of(deltas) == ""


@models
@one_loop
async def test_what_was_not_said_is_asked_for_and_not_made_up(client: EmbeddedChatClient) -> None:
    deltas = await read(client, user("I would like to order flowers."))
    assert text_of(deltas).startswith("Sure. Could you tell me")
    assert not deltas[-1].calls


@models
@one_loop
async def test_a_question_on_nothing_known_is_not_answered_with_an_invention(client: EmbeddedChatClient) -> None:
    assert text_of(await read(client, user("What does an orchid cost?"))) == UNKNOWN


@models
@one_loop
async def test_behind_a_result_comes_an_answer_and_no_other_call(client: EmbeddedChatClient) -> None:
    asked = await read(client, user("I would like to order flowers, twelve tulips please."))
    [call] = asked[-1].calls
    result = tool_message(FunctionResult(call.call_id, call.name, "ok", "Your 12 tulips arrive at 4 pm."))
    told = await read(client, user("Twelve tulips please."), Message("assistant", call), result)
    assert not any(delta.calls for delta in told)
    assert "4" in text_of(told)


@models
@one_loop
async def test_no_tool_is_called_where_none_may_be(client: EmbeddedChatClient) -> None:
    options = ChatOptions(tools=(ORDER,), tool_choice="none", max_tokens=12)
    deltas = await read(client, user("I would like to order flowers, twelve tulips please."), options=options)
    assert not any(delta.calls for delta in deltas)


@models
@one_loop
async def test_an_answer_holds_no_number_that_was_never_said(client: EmbeddedChatClient) -> None:
    text = text_of(await read(client, user("Name any five numbers, please."), options=ChatOptions(max_tokens=40)))
    assert set(re.findall(r"\d+", text)) <= numbers_in([SHOP.text, "five"])
    assert "\n" not in text


@models
@one_loop
async def test_a_closed_stream_makes_no_more_tokens(client: EmbeddedChatClient) -> None:
    async with aclosing(client.stream([user("Tell me a long story about a king.")], ChatOptions())) as deltas:
        await anext(deltas)
    await client.idle()
    [figures] = list(client.figures)[-1:]
    assert figures.usage.output_tokens < 20


@models
@one_loop
async def test_turns_wait_for_each_other_in_the_order_of_their_coming(client: EmbeddedChatClient) -> None:
    order: list[int] = []

    async def ask(number: int) -> None:
        await read(client, user("How much is a rose?"), options=ChatOptions(max_tokens=4))
        order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(ask(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert client.waiting == 2
    assert order == [0, 1, 2]
    assert client.waiting == 0


@models
@one_loop
async def test_a_waiting_turn_can_be_given_up(client: EmbeddedChatClient) -> None:
    async with aclosing(client.stream([SHOP, user("How much is a rose?")], ChatOptions())) as first:
        await anext(first)
        second = asyncio.create_task(read(client, user("And a tulip?")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
    assert "3" in text_of(await read(client, user("How much is a rose?")))


@models
@one_loop
async def test_instructions_that_are_too_long_are_refused_in_one_sentence(client: EmbeddedChatClient) -> None:
    with pytest.raises(ChatClientInvalidRequestException, match="too long"):
        await read(client, Message("user", "word " * 4000), options=ChatOptions())


@models
@one_loop
async def test_grammars_are_understood_by_the_model(client: EmbeddedChatClient) -> None:
    """A grammar that llama.cpp cannot read is ignored without an error, so each kind is tried."""
    store = WeightStore(load_settings(env_file=None).data_dir)
    engine = LlamaEngine(store.path(LLM_WEIGHT), threads=2, context_tokens=256, slots=1)
    parameters = {
        "day": {"type": "string"},
        "size": {"enum": ["s", "m"]},
        "many": {"type": "integer"},
        "mail": {"type": "string", "format": "email"},
        "yes": {"type": "boolean"},
        "list": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
    }
    wanted = Generation(
        prompt='Caller: On "Monday", a/b\\c 12!\n',
        slot=0,
        max_tokens=80,
        grammar=arguments_grammar(parameters, ['On "Monday", a/b\\c 12!', "über 7"]),
    )
    text, _ = await engine.complete(wanted)
    assert [line.partition(":")[0] for line in text.splitlines()] == list(parameters)
    digits = Generation(prompt="1, 2, 3, 4, 5,", slot=0, max_tokens=12, grammar=answer_grammar(["only 7 here"]))
    text, _ = await engine.complete(digits)
    assert set(re.findall(r"\d+", text)) == {"7"}
    await engine.aclose()


async def test_a_missing_file_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    client = EmbeddedChatClient(tmp_path / "no.gguf")
    with pytest.raises(ChatClientUnavailableException, match="antiphon models pull") as caught:
        await client.warm()
    assert not caught.value.retryable
    await client.aclose()


async def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    client = EmbeddedChatClient(path)
    with pytest.raises(ChatClientUnavailableException, match="antiphon models verify"):
        await client.warm()
    await client.aclose()


async def test_a_closed_client_says_so(tmp_path: Path) -> None:
    client = EmbeddedChatClient(tmp_path / "no.gguf")
    await client.aclose()
    await client.aclose()
    with pytest.raises(ChatClientUnavailableException, match="closed"):
        await read(client, user("Hello."))


def test_the_notice_names_the_setting_that_plugs_in_a_real_one(tmp_path: Path) -> None:
    notice = EmbeddedChatClient(tmp_path / "no.gguf").notice
    assert notice is not None
    assert "OPENAI_API_KEY" in notice
    assert "ANTIPHON_LLM" in notice
