"""Responses of a session: how they begin, grow and end, whatever happens to them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.calls.policy import CallPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import ChatClientInvalidAuthException
from antiphon.models.llm.content import FunctionCall
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.tools.tool import FunctionTool
from antiphon.transports.realtime.session import SessionLimits
from tests.transports.realtime.talk import SAY, Client, talking, virtually

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend. "
ORDER = {
    "type": "function",
    "name": "order",
    "description": "Order.",
    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
}


async def ask(client: Client, text: str = "When?", **response: Any) -> dict[str, Any]:
    """Ask in writing; gives the response that is done."""
    client.write(text)
    client.ask(**response)
    done = await client.until("response.done", len(client.events("response.done")) + 1)
    return dict(done["response"])


# Words and sound.


@virtually
async def test_an_answer_is_spoken_with_its_words_in_front_of_their_sound(clock: VirtualClock) -> None:
    async with talking(clock, llm=["We open at nine. We close at five."]) as client:
        response = await ask(client)
        (item,) = response["output"]
        assert item["content"] == [{"type": "output_audio", "transcript": "We open at nine. We close at five."}]
        kinds = [
            told.event["type"].removeprefix("response.output_audio")
            for told in client.told
            if told.event["type"].startswith("response.output_audio")
        ]
        assert kinds[:2] == ["_transcript.delta", ".delta"]
        second = [number for number, kind in enumerate(kinds) if kind == "_transcript.delta"][1]
        assert kinds[second - 1] == kinds[second + 1] == ".delta"
        starts = [event["start_time"] for event in client.events("response.output_audio_transcript.delta")]
        assert starts == [0.0, pytest.approx(0.96, abs=0.1)]
        assert response["usage"]["output_token_details"]["audio_tokens"] == pytest.approx(2.04 * 20, abs=2)
        client.check()


@virtually
async def test_an_answer_may_be_written(clock: VirtualClock) -> None:
    async with talking(clock, llm=["We open at nine."]) as client:
        response = await ask(client, output_modalities=["text"])
        (item,) = response["output"]
        assert item["content"] == [{"type": "output_text", "text": "We open at nine."}]
        assert "".join(event["delta"] for event in client.events("response.output_text.delta")) == "We open at nine."
        assert client.sound() == b""
        assert response["usage"]["output_token_details"]["audio_tokens"] == 0
        client.check()


@virtually
async def test_a_session_that_is_written_hears_all_the_same(clock: VirtualClock) -> None:
    async with talking(clock, given={"output_modalities": ["text"]}, llm=["We open.", "Yes."]) as client:
        client.listen_by({"type": "server_vad"})
        await client.turn()
        await client.until("response.done")
        assert client.prompt() == [("user", SAY)]
        await client.turn()
        await client.until("response.done", 2)
        assert client.prompt() == [("user", SAY), ("assistant", "We open."), ("user", SAY)]
        assert client.sound() == b""
        client.check()


@virtually
async def test_metadata_come_back_as_they_were_sent(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        await ask(client, metadata={"topic": "hours", "number": 3})
        told = client.only("response.created")["response"]["metadata"]
        assert told == {"topic": "hours", "number": "3", "asked": told["asked"]}
        client.check()


@virtually
async def test_the_sound_of_deltas_is_at_most_as_long_as_told(clock: VirtualClock) -> None:
    async with talking(clock, llm=[LONG]) as client:
        await ask(client)
        at = client.times("response.output_audio.delta")
        assert all(later >= earlier for earlier, later in pairwise(at))
        assert len(client.sound()) >= len(LONG) * 60 * 48 - 60 * 48
        client.check()


# How responses end.


@virtually
async def test_a_limit_makes_a_response_incomplete(clock: VirtualClock) -> None:
    async with talking(clock, llm=[Reply("We open", finish_reason="length")]) as client:
        response = await ask(client, max_output_tokens=2)
        assert (response["status"], response["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
        assert client.events("error") == []
        client.check()


FAULTS: dict[str, Reply] = {
    "a wrong key": Reply(fault=ChatClientInvalidAuthException("The key is wrong.")),
    "an answer that cannot be read": Reply(LONG, fault="garbage", fault_after=4),
    "a connection that breaks in the middle": Reply(LONG * 2, fault="close", fault_after=18),
    "a model that hangs": Reply(fault="stall"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("modality", ["audio", "text"])
@virtually
async def test_a_fault_of_the_model_fails_the_response_and_the_session_goes_on(
    clock: VirtualClock, fault: str, modality: str
) -> None:
    replies = [FAULTS[fault], *["Fine again."] * 5]
    async with talking(clock, llm=replies) as client:
        response = await ask(client, output_modalities=[modality])
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["type"] == "server_error"
        fillers = CallPolicy().fillers
        answers = [item for item in response["output"] if item["content"][0].get("transcript") not in fillers]
        assert all(item["status"] == "incomplete" for item in answers)
        await client.wait(20.0)
        assert client.events("error") == []
        assert (await ask(client))["status"] == "completed"
        client.check()


@virtually
async def test_a_filler_is_said_to_its_end_in_the_response_that_it_fills(clock: VirtualClock) -> None:
    late = Reply("", first_token_s=4.0, fault="garbage")
    async with talking(clock, llm=[late, "Fine again."], is_played=True) as client:
        response = await ask(client)
        (filler,) = response["output"]
        assert (response["status"], filler["content"][0]["transcript"]) == ("failed", CallPolicy().fillers[0])
        await client.wait(20.0)
        assert [len(event["response"]["output"]) for event in client.events("response.done")] == [1, 1]
        client.check()


@pytest.mark.parametrize("fault", ["fail", "break", "stall"])
@virtually
async def test_a_fault_of_the_voice_ends_the_response(clock: VirtualClock, fault: Any) -> None:
    tts = ScriptedTTS(rate_hz=24_000, faults={0: fault}, clock=clock)
    async with talking(clock, llm=["One sentence.", "Fine again."], tts=tts) as client:
        response = await ask(client)
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["type"] == "server_error"
        await client.wait(20.0)
        assert (await ask(client))["status"] == "completed"
        assert client.events("error") == []
        client.check()


@virtually
async def test_a_cancelled_response_is_done_at_once(clock: VirtualClock) -> None:
    async with talking(clock, llm=[LONG]) as client:
        client.write("When?")
        client.ask()
        await client.until("response.output_audio.delta", 10)
        client.send("response.cancel")
        assert client.times("response.done") == [clock.now()]
        assert client.statuses() == [("cancelled", "client_cancelled")]
        (item,) = client.only("response.done")["response"]["output"]
        assert item["status"] == "incomplete"
        await client.wait(5.0)
        assert client.types[-1] == "response.done"
        client.check()


@virtually
async def test_a_response_that_is_silent_yet_can_be_cancelled(clock: VirtualClock) -> None:
    async with talking(clock, llm=[Reply("Later.", first_token_s=3.0)]) as client:
        client.write("When?")
        client.ask()
        await client.wait(1.0)
        client.send("response.cancel", response_id=client.only("response.created")["response"]["id"])
        assert client.statuses() == [("cancelled", "client_cancelled")]
        client.check()


@virtually
async def test_a_response_that_waits_for_words_can_be_cancelled(clock: VirtualClock) -> None:
    stt = ScriptedSTT([SAY], delay_s=1.0, clock=clock)
    async with talking(clock, stt=stt) as client:
        client.listen_by(None)
        await client.speak(0.4)
        client.send("input_audio_buffer.commit")
        client.ask()
        await client.wait(0.2)
        client.send("response.cancel")
        await client.wait(5.0)
        assert client.statuses() == [("cancelled", "client_cancelled")]
        assert len(client.events("response.created")) == 1
        client.check()


@virtually
async def test_requests_that_come_at_the_wrong_time_are_refused_by_name(clock: VirtualClock) -> None:
    async with talking(clock, llm=[LONG]) as client:
        nothing = client.send("response.cancel")
        client.write("When?")
        client.ask()
        second = client.ask()
        unknown = client.send("response.cancel", response_id="resp_none")
        assert client.errors == [
            ("response_cancel_not_active", None, nothing),
            ("conversation_already_has_active_response", None, second),
            ("response_cancel_not_active", None, unknown),
        ]
        assert client.events("error")[0]["error"]["message"].startswith("Cancellation failed")
        await client.until("response.done")
        client.check()


@virtually
async def test_a_voice_that_was_heard_stays(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.update(audio={"output": {"voice": "other"}})
        await ask(client)
        client.update(audio={"output": {"voice": "other"}})
        client.update(instructions="Be brief.", audio={"output": {"voice": "third"}})
        assert [code for code, _, _ in client.errors] == ["cannot_update_voice"]
        assert client.session.config.instructions == "Help."
        client.check()


# Functions.


@virtually
async def test_a_function_is_called_and_its_result_answered(clock: VirtualClock) -> None:
    async with talking(clock, llm=[Reply("One moment.", (call("order", what="tea"),)), "It is ordered."]) as client:
        client.update(tools=[ORDER])
        response = await ask(client, "Tea!")
        assert [item["type"] for item in response["output"]] == ["message", "function_call"]
        made = response["output"][1]
        assert (made["name"], made["arguments"], made["status"]) == ("order", '{"what":"tea"}', "completed")
        await client.wait(5.0)
        assert len(client.events("response.created")) == 1
        result = {"type": "function_call_output", "call_id": made["call_id"], "output": "done"}
        client.send("conversation.item.create", item=result)
        client.ask()
        await client.until("response.done", 2)
        assert client.prompt()[-1] == ("tool", "done")
        assert client.statuses() == [("completed", None)] * 2
        client.check()


@virtually
async def test_results_may_come_in_any_order(clock: VirtualClock) -> None:
    calls = (call("order", what="tea"), call("order", what="cake"))
    async with talking(clock, llm=[Reply("", calls), "It is ordered."]) as client:
        client.update(tools=[ORDER])
        tea, cake = (await ask(client))["output"]
        for item, output in ((cake, "the cake"), (tea, "the tea")):
            result = {"type": "function_call_output", "call_id": item["call_id"], "output": output}
            client.send("conversation.item.create", item=result)
        client.ask()
        await client.until("response.done", 2)
        assert {text for role, text in client.prompt() if role == "tool"} == {"the tea", "the cake"}
        client.check()


@virtually
async def test_arguments_that_are_no_object_fail_the_response(clock: VirtualClock) -> None:
    async with talking(clock, llm=[Reply("", (FunctionCall("", "order", '{"what":'),))]) as client:
        client.update(tools=[ORDER])
        response = await ask(client)
        assert (response["status"], response["output"]) == ("failed", [])
        assert client.events("response.function_call_arguments.done") == []
        client.check()


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": {"type": "banana"}},
        {"parameters": {"type": "object", "properties": 3}},
        {"parameters": {"type": "object", "properties": {"a": {"pattern": "("}}}},
        {"name": "bad name!"},
    ],
)
@virtually
async def test_a_function_that_no_model_could_call_is_refused(clock: VirtualClock, wrong: dict[str, Any]) -> None:
    async with talking(clock) as client:
        tools = [ORDER, {**ORDER, **wrong}]
        client.update(instructions="Be brief.", tools=tools)
        event_id = client.ask(tools=tools)
        assert client.errors == [
            ("invalid_value", "session.tools[1]", "client_1"),
            ("invalid_value", "response.tools[1]", event_id),
        ]
        assert (client.session.config.instructions, client.session.config.tools) == ("Help.", ())
        assert (await ask(client))["status"] == "completed"
        client.check()


@virtually
async def test_the_agents_own_tools_run_and_are_not_told(clock: VirtualClock) -> None:
    async def look() -> str:
        """Look."""
        return "nine"

    agent = Agent("desk", "Help.", tools=[FunctionTool(look)])
    async with talking(clock, agent=agent, llm=[Reply("", (call("look"),)), "At nine."]) as client:
        assert client.only("session.created")["session"]["tools"] == []
        response = await ask(client)
        assert [item["type"] for item in response["output"]] == ["message"]
        assert ("tool", "nine") in client.prompt()
        client.check()


@virtually
async def test_a_tool_of_each_kind_in_one_step(clock: VirtualClock) -> None:
    async def look() -> str:
        """Look."""
        return "nine"

    agent = Agent("desk", "Help.", tools=[FunctionTool(look)])
    replies = [Reply("", (call("look"), call("order", what="tea"))), "Done."]
    async with talking(clock, agent=agent, llm=replies) as client:
        client.update(tools=[ORDER])
        response = await ask(client)
        assert [item["name"] for item in response["output"]] == ["order"]
        result = {"type": "function_call_output", "call_id": response["output"][0]["call_id"], "output": "ordered"}
        client.send("conversation.item.create", item=result)
        client.ask()
        await client.until("response.done", 2)
        assert {text for role, text in client.prompt() if role == "tool"} == {"nine", "ordered"}
        client.check()


# The agent.


class NotingTTS(ScriptedTTS):
    """Notes who is to speak."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.voices: list[str | None] = []

    def synthesize(self, text: str, *, voice: str | None = None, **options: Any) -> Any:
        self.voices.append(voice)
        return super().synthesize(text, voice=voice, **options)


@virtually
async def test_another_agent_answers_in_its_own_voice(clock: VirtualClock) -> None:
    second = Agent("second", "Go on.", voice="eva")
    first = Agent("first", "Help.", handoffs=[Handoff(second)], voice="adam")
    replies = [Reply("I pass you on.", (call("handoff_to_second"),)), "Here is the second."]
    tts = NotingTTS(rate_hz=24_000, clock=clock)
    async with talking(clock, agent=first, team=[second], llm=replies, tts=tts) as client:
        response = await ask(client)
        said = [item["content"][0]["transcript"] for item in response["output"]]
        assert said == ["I pass you on.", "Here is the second."]
        assert (tts.voices[0], tts.voices[-1]) == ("adam", "eva")
        client.check()


@virtually
async def test_the_agent_speaks_first_where_it_is_asked_to(clock: VirtualClock) -> None:
    agent = Agent("desk", "Help.", greeting="Welcome.")
    async with talking(clock, agent=agent) as client:
        await client.wait(5.0)
        assert client.types == ["session.created", "conversation.created"]
    async with talking(clock, agent=agent, greets=True, checks=False, tells_log=True) as client:
        done = await client.until("response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Welcome."
        entries = [event["entry"] for event in client.events("antiphon.event")]
        assert "agent.speech_started" in {entry["type"] for entry in entries}
        assert "floor.decision" not in {entry["type"] for entry in entries}
        assert [entry["seq"] for entry in entries] == sorted(entry["seq"] for entry in entries)


@virtually
async def test_a_client_that_wants_to_know_is_told_a_minute_before_the_end(clock: VirtualClock) -> None:
    for tells_log in (True, False):
        limits = SessionLimits(max_s=180, idle_s=0)
        async with talking(clock, limits=limits, tells_log=tells_log, checks=False, hangs_up=False) as client:
            began = clock.now()
            await client.wait(181)
            assert client.only("error")["error"]["code"] == "session_expired"
            assert client.times("error") == [pytest.approx(began + 180, abs=0.1)]
            told = [at - began for at in client.times("antiphon.session_expiring")]
            assert told == ([pytest.approx(120, abs=0.1)] if tells_log else [])


# Beside the conversation.


@virtually
async def test_answers_beside_the_conversation_leave_nothing_in_it(clock: VirtualClock) -> None:
    def reply(messages: Sequence[Message], _options: ChatOptions) -> Reply:
        return Reply(f"Answer to {messages[-1].text}", first_token_s=0.5)

    async with talking(clock, llm=reply) as client:
        client.write("the first", item_id="first")
        client.ask(metadata={"topic": "main"})
        given = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "the given"}]}
        client.ask(conversation="none", metadata={"topic": "a"}, input=[given], output_modalities=["text"])
        refers = [{"type": "item_reference", "id": "first"}]
        client.ask(conversation="none", metadata={"topic": "b"}, input=refers)
        await client.until("response.done", 3)
        done = {event["response"]["metadata"]["topic"]: event["response"] for event in client.events("response.done")}
        assert set(done) == {"main", "a", "b"}
        assert done["a"]["output"][0]["content"][0]["text"] == "Answer to the given"
        assert done["b"]["output"][0]["content"][0]["transcript"] == "Answer to the first"
        assert (done["a"]["conversation_id"], done["b"]["conversation_id"]) == (None, None)
        assert len(client.order.items) == 2
        client.send("conversation.item.retrieve", item_id=done["a"]["output"][0]["id"])
        assert [code for code, _, _ in client.errors] == ["item_retrieve_invalid_item_id"]
        client.check()


@virtually
async def test_answers_beside_the_conversation_are_few_and_can_be_cancelled(clock: VirtualClock) -> None:
    async with talking(clock, llm=lambda _messages, _options: Reply("Later.", first_token_s=5.0)) as client:
        for _ in range(5):
            client.ask(conversation="none")
        assert [code for code, _, _ in client.errors] == ["too_many_responses"]
        first = client.events("response.created")[0]["response"]["id"]
        client.send("response.cancel", response_id=first)
        client.send("response.cancel")
        assert [code for code, _, _ in client.errors][1:] == ["response_cancel_not_active"]
        assert client.statuses() == [("cancelled", "client_cancelled")]
        await client.turn()  # speech cuts none of them
        await client.wait(12.0)
        statuses = [status for status, _ in client.statuses()]
        assert statuses.count("cancelled") == 1
        client.check()


@virtually
async def test_an_answer_beside_the_conversation_fails_by_itself(clock: VirtualClock) -> None:
    async with talking(clock, llm=[Reply(fault="stall"), "Fine."]) as client:
        client.ask(conversation="none", output_modalities=["text"])
        await client.until("response.done")
        assert client.statuses() == [("failed", None)]
        assert (await ask(client))["status"] == "completed"
        client.check()


@virtually
async def test_an_answer_refers_to_items_that_are_there(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        event_id = client.ask(conversation="none", input=[{"type": "item_reference", "id": "nobody"}])
        assert client.errors == [("invalid_value", "response.input[0].id", event_id)]
        client.check()


@virtually
async def test_a_response_may_have_terms_of_its_own(clock: VirtualClock) -> None:
    async with talking(clock, llm=lambda _messages, _options: "Yes.") as client:
        await ask(client, instructions="Be brief.", tools=[ORDER], tool_choice="required", max_output_tokens=7)
        await ask(client, input=[])
        llm: Any = client.models.llm
        first, second = llm.requests
        assert first.messages[0].text == "Be brief."
        assert [tool.name for tool in first.options.tools] == ["order"]
        assert (first.options.tool_choice, first.options.max_tokens) == ("required", 7)
        assert second.messages[0].text == "Help."
        assert client.prompt(1) == []
        client.check()


# Where the server plays the answers itself.


@virtually
async def test_what_the_server_plays_it_cuts_by_itself(clock: VirtualClock) -> None:
    tts = ScriptedTTS(ms_per_char=50, rate_hz=24_000, word_timings=True, clock=clock)
    async with talking(clock, stt=["When?", "Never mind."], llm=[LONG, "Fine."], tts=tts, is_played=True) as client:
        client.listen_by({"type": "server_vad"})
        await client.turn(0.6, then=0.6)
        await client.until("output_audio_buffer.started")
        await client.quiet(1.0)
        await client.turn()
        await client.until("output_audio_buffer.stopped")
        item = client.events("response.done")[0]["response"]["output"][0]
        truncated = client.only("conversation.item.truncated")
        assert truncated["item_id"] == item["id"]
        assert 1000 <= truncated["audio_end_ms"] <= 1300
        assert client.statuses() == [("cancelled", "turn_detected"), ("completed", None)]
        order = [kind for kind in client.types if kind.startswith("output_audio_buffer")]
        assert [kind.rpartition(".")[2] for kind in order] == ["started", "cleared", "started", "stopped"]
        heard = client.prompt()[1][1].rstrip("… ")
        assert LONG.startswith(heard)
        assert 18 <= len(heard) <= 26
        assert client.sound() == b""
        client.check()


@pytest.mark.parametrize("begun_s", [0.4, 0.6, 0.7])  # before all of it was sent, and behind
@virtually
async def test_what_a_pause_took_back_is_played_and_not_told_again(clock: VirtualClock, begun_s: float) -> None:
    tts = ScriptedTTS(ms_per_char=52, rate_hz=24_000, clock=clock)
    llm = ["The clinic opens at nine.", "Yes."]
    async with talking(clock, stt=["When?", ""], llm=llm, tts=tts, is_played=True) as client:
        client.listen_by({"type": "semantic_vad"})
        await client.turn(0.6, then=0.5)
        await client.until("output_audio_buffer.started")
        await client.quiet(begun_s)
        await client.turn(0.6)  # a noise: the answer is held, and goes on
        await client.until("output_audio_buffer.stopped")
        (item,) = client.only("response.done")["response"]["output"]
        client.send("conversation.item.retrieve", item_id=item["id"])
        assert client.only("response.done")["response"]["usage"]["output_token_details"]["audio_tokens"] == 26
        assert (await ask(client))["status"] == "completed"
        await client.until("output_audio_buffer.stopped", 2)
        client.check()


@virtually
async def test_what_the_server_plays_can_be_cleared(clock: VirtualClock) -> None:
    async with talking(clock, llm=[LONG], is_played=True) as client:
        client.write("When?")
        client.ask()
        await client.until("output_audio_buffer.started")
        await client.wait(1.0)
        client.send("output_audio_buffer.clear")
        assert client.times("output_audio_buffer.cleared") == [clock.now()]
        assert client.statuses() == [("cancelled", "client_cancelled")]
        await client.wait(5.0)
        client.check()


@virtually
async def test_what_the_client_plays_it_clears_itself(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        event_id = client.send("output_audio_buffer.clear")
        assert client.errors == [("invalid_value", "type", event_id)]
