"""A thousand conversations at random, and the order of all their events."""

from __future__ import annotations

from base64 import b64encode
from random import Random
from typing import Any

import pytest

from antiphon.agents.agent import Agent
from antiphon.clock import VirtualClock
from antiphon.errors import ChatClientUnavailableException
from antiphon.models.llm.content import FunctionCall
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.tools.tool import FunctionTool
from tests.transports.realtime.talk import PIECE_S, SPEECH, Client, talking

CONVERSATIONS = 1000
SHARES = 4
TEXTS = (
    "",
    "Yes.",
    "We open at nine. We close at five.",
    "The clinic opens every morning at nine and closes every afternoon at five except on the weekend. " * 2,
)
WORDS = ("", "Hello there.", "What time do you open?", "uh-huh", "I would like to", "Stop.")
ORDER = {
    "type": "function",
    "name": "order",
    "description": "Order.",
    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
}
DETECTIONS: tuple[dict[str, Any] | None, ...] = (
    {"type": "server_vad"},
    {"type": "server_vad", "silence_duration_ms": 200},
    {"type": "server_vad", "create_response": False},
    {"type": "server_vad", "interrupt_response": False},
    {"type": "server_vad", "create_response": False, "interrupt_response": False},
    {"type": "server_vad", "idle_timeout_ms": 1000},
    {"type": "semantic_vad"},
    {"type": "semantic_vad", "eagerness": "high", "interrupt_response": False},
    None,
)

ASKED: tuple[dict[str, Any], ...] = ({}, {}, {"output_modalities": ["text"]}, {"instructions": "Be brief."})
ASKED_ASIDE: tuple[dict[str, Any], ...] = ({}, {"output_modalities": ["text"]}, {"input": []})
CHANGES: tuple[dict[str, Any], ...] = (
    *({"instructions": "Be kind."}, {"tools": []}, {"tools": [ORDER]}, {"tools": 3}),
    *({"output_modalities": ["text"]}, {"output_modalities": ["audio"]}),
)


def model(random: Random, clock: VirtualClock) -> ScriptedChatClient:
    """Answers, calls and faults in a random order that the seed fixes."""

    def reply(_messages: Any, options: Any) -> Reply:
        fault: Any = random.choice(
            [None] * 12 + ["stall", "garbage", "close", ChatClientUnavailableException("It is down.")]
        )
        kind = random.choice(["text"] * 6 + ["order", "order", "look", "broken"])
        calls: tuple[FunctionCall, ...] = ()
        if kind == "order":
            calls = tuple(call("order", what=f"tea {number}") for number in range(random.randint(1, 2)))
        elif kind == "look":
            calls = (call("look"),)
        elif kind == "broken":
            calls = (FunctionCall("", "order", '{"what":'),)
        return Reply(
            random.choice(TEXTS),
            calls,
            first_token_s=random.choice([0.0, 0.0, 0.3, 1.5]),
            token_s=random.choice([0.0, 0.0, 0.02, 0.2]),
            fault=fault,
            fault_after=random.randint(0, 5),
            finish_reason="length" if random.random() < 0.1 and not calls else None,
        )

    return ScriptedChatClient(reply, clock=clock)


def some(random: Random, faults: list[str]) -> dict[int, Any]:
    """Faults of some of the first utterances or clauses."""
    return {random.randint(0, 6): random.choice(faults) for _ in range(random.choice([0, 0, 1, 2]))}


async def look() -> str:
    """Look."""
    return "nothing"


class Talk:
    """One conversation: a client that does anything that clients can do."""

    def __init__(self, client: Client, random: Random) -> None:
        self.client = client
        self.random = random
        self.answered: set[str] = set()

    async def run(self, steps: int) -> None:
        """Do so many things."""
        client, random = self.client, self.random
        client.listen_by(random.choice(DETECTIONS))
        client.update(tools=[ORDER])
        for _ in range(steps):
            deed = random.choice(DEEDS)
            await deed(self)
        await self.settle()

    async def settle(self) -> None:
        """Let everything that was begun come to its end: the caller is silent, and says so where nobody listens."""
        self.client.listen_by({"type": "server_vad", "create_response": False})
        await self.client.quiet(3.0)
        await self.client.wait(40.0)
        for _ in range(12):
            if self.client.order.is_busy:
                await self.client.wait(10.0)

    def any_item(self) -> str:
        """An item's id, or one that does not exist."""
        return self.random.choice([*self.client.order.items, "item_none"])

    async def speak(self) -> None:
        await self.client.speak(self.random.choice([0.1, 0.3, 0.6, 1.2]))

    async def pause(self) -> None:
        await self.client.quiet(self.random.choice([0.1, 0.3, 0.8, 1.5]))

    async def turn(self) -> None:
        await self.client.turn()

    async def nothing(self) -> None:
        await self.client.wait(self.random.choice([0.0, 0.05, 0.5, 2.0]))

    async def burst(self) -> None:
        self.client.order.is_prompt = False
        self.client.append(bytes(self.random.choice([1, 4_801, 48_000])))
        await self.client.wait(PIECE_S)

    async def speak_at_once(self) -> None:
        self.client.order.is_prompt = False
        self.client.append(SPEECH * self.random.choice([2, 6, 12]) + bytes(4_800 * self.random.choice([0, 5, 12])))
        await self.client.wait(self.random.choice([0.0, 0.3]))

    async def add_sound(self) -> None:
        content = [{"type": "input_audio", "audio": b64encode(SPEECH).decode()}]
        item = {"type": "message", "role": "user", "content": content}
        self.client.send("conversation.item.create", item=item, previous_item_id=self.random.choice([None, "root"]))

    async def write(self) -> None:
        after = self.random.choice([None, None, "root", self.any_item()])
        self.client.write("And on Sundays?", previous_item_id=after)

    async def ask(self) -> None:
        self.client.ask(**self.random.choice(ASKED))

    async def ask_aside(self) -> None:
        self.client.ask(conversation="none", **self.random.choice(ASKED_ASIDE))

    async def cancel(self) -> None:
        self.client.send("response.cancel")

    async def commit(self) -> None:
        self.client.send("input_audio_buffer.commit")

    async def clear(self) -> None:
        self.client.send("input_audio_buffer.clear")

    async def delete(self) -> None:
        self.client.send("conversation.item.delete", item_id=self.any_item())

    async def retrieve(self) -> None:
        self.client.send("conversation.item.retrieve", item_id=self.any_item())

    async def truncate(self) -> None:
        end_ms = self.random.choice([0, 300, 1000, 60_000])
        self.client.send("conversation.item.truncate", item_id=self.any_item(), content_index=0, audio_end_ms=end_ms)

    async def update(self) -> None:
        self.client.update(**self.random.choice(CHANGES))

    async def listen(self) -> None:
        self.client.listen_by(self.random.choice(DETECTIONS))

    async def answer_call(self) -> None:
        calls = [event["item"] for event in self.client.events("response.output_item.done")]
        for item in calls:
            if item["type"] == "function_call" and item["call_id"] not in self.answered:
                self.answered.add(item["call_id"])
                result = {"type": "function_call_output", "call_id": item["call_id"], "output": "done"}
                self.client.send("conversation.item.create", item=result)
        self.client.ask()


def check_memory(client: Client) -> None:
    """The model knows of the caller what the client was told, and was never shown half of a call."""
    conversation = client.session.conversation
    assert [entry.id for entry in conversation if entry.item is not None] == client.order.items
    assert not any(entry.waits for entry in conversation)
    told = client.events("conversation.item.input_audio_transcription.completed")
    words = {event["item_id"]: event["transcript"] for event in told}
    for entry in conversation:
        if entry.id in words:
            assert (entry.message.text if entry.message is not None else "") == words[entry.id]
    llm = client.models.llm
    assert isinstance(llm, ScriptedChatClient)
    for request in llm.requests:
        asked = [made.call_id for message in request.messages for made in message.calls]
        answered = [message.result.call_id for message in request.messages if message.result is not None]
        assert asked == answered
        assert all(message.text or message.calls or message.result is not None for message in request.messages)


DEEDS = (
    *(Talk.speak, Talk.turn, Talk.turn, Talk.pause, Talk.pause, Talk.nothing, Talk.nothing),
    *(Talk.speak_at_once, Talk.add_sound),
    *(Talk.burst, Talk.write, Talk.ask, Talk.ask, Talk.ask_aside, Talk.cancel, Talk.commit, Talk.clear),
    *(Talk.delete, Talk.retrieve, Talk.truncate, Talk.update, Talk.listen, Talk.answer_call),
)


def talk(seed: int) -> None:
    """One conversation from its beginning to its end."""
    random = Random(seed)
    clock = VirtualClock()

    async def conversation() -> None:
        stt = ScriptedSTT(
            random.sample(WORDS, 4),
            delay_s=random.choice([0.0, 0.1, 0.6]),
            words_per_partial=random.choice([0, 0, 1]),
            faults=some(random, ["fail", "stall", "empty", "close"]),
            clock=clock,
        )
        tts = ScriptedTTS(
            rate_hz=24_000,
            ms_per_char=random.choice([10.0, 60.0]),
            first_chunk_delay_s=random.choice([0.0, 0.0, 0.3]),
            faults=some(random, ["fail", "break", "stall", "empty"]),
            clock=clock,
        )
        agent = Agent("desk", "Help.", tools=[FunctionTool(look)], greeting="Welcome to the desk.")
        async with talking(
            clock,
            agent=agent,
            stt=stt,
            llm=model(random, clock),
            tts=tts,
            is_played=seed % 4 == 3,
            greets=random.random() < 0.2,
        ) as client:
            await Talk(client, random).run(random.randint(4, 14))
            client.check()
            check_memory(client)

    clock.run(conversation())


@pytest.mark.parametrize("share", range(SHARES))
def test_no_conversation_breaks_the_order_of_events(share: int) -> None:
    for seed in range(share, CONVERSATIONS, SHARES):
        try:
            talk(seed)
        except BaseException as error:
            error.add_note(f"conversation {seed}")
            raise
