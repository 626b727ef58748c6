"""The conversation of a session as clients change it: items are added, read, cut and deleted."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest

from antiphon.clock import VirtualClock
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.transports.realtime.session import SessionLimits
from tests.transports.realtime.talk import SPEECH, Client, talking, virtually

ANSWER = "The clinic opens at nine and closes at five."
CALL = {"type": "function_call", "call_id": "call_a", "name": "order", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_a", "output": "done"}


async def answered(client: Client, text: str = "When?") -> str:
    """The client asks in writing and gets a spoken answer; gives the answer's item."""
    client.write(text, item_id="question")
    client.ask()
    done = await client.until("response.done")
    return str(done["response"]["output"][0]["id"])


def add(client: Client, item: dict[str, Any], item_id: str, after: str | None = None) -> str:
    return client.send("conversation.item.create", item={"id": item_id, **item}, previous_item_id=after)


# Places and ids.


@virtually
async def test_items_stand_where_the_client_puts_them(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.write("two", item_id="b")
        client.write("one", item_id="a", previous_item_id="root")
        client.write("four", item_id="d", previous_item_id=None)
        client.write("three", item_id="c", previous_item_id="b")
        told = [(event["item"]["id"], event["previous_item_id"]) for event in client.events("conversation.item.added")]
        assert told == [("b", None), ("a", None), ("d", "b"), ("c", "b")]
        client.ask()
        await client.until("response.done")
        assert client.prompt() == [("user", "one\ntwo\nthree\nfour")]
        client.check()


@virtually
async def test_refusals_of_items_name_the_event_and_what_is_wrong(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.write("one", item_id="a")
        wrong = [
            (add(client, CALL, "a"), "item_create_duplicate_item_id", "item.id"),
            (add(client, CALL, "b", after="nobody"), "item_create_invalid_previous_item_id", "previous_item_id"),
            (client.send("conversation.item.retrieve", item_id="x"), "item_retrieve_invalid_item_id", "item_id"),
            (client.send("conversation.item.delete", item_id="x"), "item_delete_invalid_item_id", "item_id"),
            (truncate(client, "x", 0), "item_truncate_invalid_item_id", "item_id"),
            (truncate(client, "a", 0), "unsupported_content_type", "item_id"),
        ]
        assert client.errors == [(code, param, event_id) for event_id, code, param in wrong]
        assert client.order.items == ["a"]
        client.check()


@virtually
async def test_an_item_is_edited_under_its_own_id(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.write("first", item_id="a")
        client.write("second", item_id="b")
        client.send("conversation.item.delete", item_id="a")
        client.write("changed", item_id="a", previous_item_id="root")
        client.ask()
        await client.until("response.done")
        assert client.prompt() == [("user", "changed\nsecond")]
        client.check()


@virtually
async def test_a_conversation_has_a_limit(clock: VirtualClock) -> None:
    async with talking(clock, limits=SessionLimits(max_items=2)) as client:
        client.write("one")
        client.write("two")
        client.write("three")
        assert [code for code, _, _ in client.errors] == ["too_many_items"]
        client.check()


@virtually
async def test_a_history_is_replayed_with_the_clients_own_ids(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.write("When?", item_id="u1", previous_item_id="root")
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "At nine."}]}
        add(client, said, "a1", after="u1")
        add(client, CALL, "c1", after="a1")
        add(client, RESULT, "r1", after="c1")
        client.ask()
        await client.until("response.done")
        assert client.prompt() == [
            ("user", "When?"),
            ("assistant", "At nine. order({})"),
            ("tool", "done"),
        ]
        client.check()


# Calls and their results.


@pytest.mark.parametrize("gone", ["c1", "r1"])
@virtually
async def test_the_model_never_sees_half_a_pair(clock: VirtualClock, gone: str) -> None:
    async with talking(clock) as client:
        client.write("When?")
        add(client, CALL, "c1")
        add(client, RESULT, "r1")
        client.send("conversation.item.delete", item_id=gone)
        client.ask()
        await client.until("response.done")
        assert client.prompt() == [("user", "When?")]
        client.check()


@virtually
async def test_a_call_without_a_result_is_told_to_have_none(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.write("When?")
        add(client, CALL, "c1")
        client.ask()
        await client.until("response.done")
        assert [role for role, _ in client.prompt()] == ["user", "assistant", "tool"]
        assert client.prompt()[-1][1] not in ("", "done")


@virtually
async def test_a_result_that_belongs_to_no_call_is_taken(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.write("When?")
        add(client, RESULT, "r1")
        client.ask()
        await client.until("response.done")
        assert client.errors == []
        assert client.prompt() == [("user", "When?")]


@virtually
async def test_a_strict_session_wants_a_call_for_each_result(clock: VirtualClock) -> None:
    async with talking(clock, limits=SessionLimits(strict=True)) as client:
        refused = add(client, RESULT, "r1")
        add(client, CALL, "c1")
        add(client, RESULT, "r1")
        assert client.errors == [("invalid_value", "item.call_id", refused)]
        assert client.order.items == ["c1", "r1"]


# Reading.


@virtually
async def test_a_spoken_answer_is_read_with_its_sound(clock: VirtualClock) -> None:
    async with talking(clock, llm=[ANSWER]) as client:
        item_id = await answered(client)
        client.send("conversation.item.retrieve", item_id=item_id)
        (part,) = client.only("conversation.item.retrieved")["item"]["content"]
        assert (part["type"], part["transcript"]) == ("output_audio", ANSWER)
        assert b64decode(part["audio"]) == client.sound(item_id)[: len(b64decode(part["audio"]))]
        assert len(b64decode(part["audio"])) == len(ANSWER) * 60 * 48


@virtually
async def test_sound_that_is_too_long_is_left_out(clock: VirtualClock) -> None:
    async with talking(clock, llm=[ANSWER], limits=SessionLimits(retrieve_bytes=10_000)) as client:
        item_id = await answered(client)
        client.send("conversation.item.retrieve", item_id=item_id)
        (part,) = client.only("conversation.item.retrieved")["item"]["content"]
        assert part == {"type": "output_audio", "transcript": ANSWER}


@pytest.mark.parametrize(("wire", "bytes_per_ms"), [("audio/pcm", 48), ("audio/pcmu", 8), ("audio/pcma", 8)])
@virtually
async def test_sound_that_a_client_adds_is_recognised(clock: VirtualClock, wire: str, bytes_per_ms: int) -> None:
    stt = ScriptedSTT(["Hello."], delay_s=0.5, clock=clock)
    async with talking(clock, stt=stt) as client:
        client.listen_by(None, format={"type": wire})
        sound = b64encode(bytes(bytes_per_ms * 400)).decode()
        text = {"type": "input_text", "text": "I say:"}
        content = [text, {"type": "input_audio", "audio": sound}]
        add(client, {"type": "message", "role": "user", "content": content}, "u1")
        client.ask()
        await client.until("response.done")
        completed = client.only("conversation.item.input_audio_transcription.completed")
        assert (completed["item_id"], completed["content_index"], completed["transcript"]) == ("u1", 1, "Hello.")
        assert completed["usage"]["seconds"] == pytest.approx(0.4, abs=0.001)
        assert client.prompt() == [("user", "I say:Hello.")]
        client.send("conversation.item.retrieve", item_id="u1")
        first, second = client.only("conversation.item.retrieved")["item"]["content"]
        assert (first["text"], second["transcript"]) == ("I say:", "Hello.")
        assert len(b64decode(second["audio"])) == bytes_per_ms * 400


@virtually
async def test_the_words_of_added_sound_may_be_lost(clock: VirtualClock) -> None:
    stt = ScriptedSTT(["Hello."], faults={0: "fail"}, clock=clock)
    async with talking(clock, stt=stt) as client:
        client.listen_by(None)
        content = [{"type": "input_audio", "audio": b64encode(SPEECH).decode()}]
        add(client, {"type": "message", "role": "user", "content": content}, "u1")
        client.ask()
        await client.until("response.done")
        assert client.only("conversation.item.input_audio_transcription.failed")["item_id"] == "u1"
        assert client.prompt() == []


# Cutting.


def truncate(client: Client, item_id: str, end_ms: Any, index: Any = 0) -> str:
    return client.send("conversation.item.truncate", item_id=item_id, content_index=index, audio_end_ms=end_ms)


def voice(clock: VirtualClock) -> ScriptedTTS:
    """50 ms a character, to the word."""
    return ScriptedTTS(ms_per_char=50, rate_hz=24_000, word_timings=True, clock=clock)


WHOLE_MS = len(ANSWER) * 50


@pytest.mark.parametrize(
    ("end_ms", "kept_ms", "heard"),
    [
        (0, 0, ""),
        (550, 550, "The clinic"),
        (WHOLE_MS, WHOLE_MS, ANSWER),
        (WHOLE_MS + 200, WHOLE_MS, ANSWER),
    ],
)
@virtually
async def test_an_answer_is_cut_to_what_was_heard(clock: VirtualClock, end_ms: int, kept_ms: int, heard: str) -> None:
    async with talking(clock, llm=[ANSWER, "Yes."], tts=voice(clock)) as client:
        item_id = await answered(client)
        sent_ms = len(client.sound(item_id)) / 48
        assert WHOLE_MS <= sent_ms < WHOLE_MS + 40
        truncate(client, item_id, end_ms)
        assert client.only("conversation.item.truncated")["audio_end_ms"] == pytest.approx(kept_ms, abs=40)
        client.send("conversation.item.retrieve", item_id=item_id)
        (part,) = client.only("conversation.item.retrieved")["item"]["content"]
        assert part["transcript"].rstrip("… ") == heard.rstrip(". ") or part["transcript"] == heard
        client.write("And?")
        client.ask()
        await client.until("response.done", 2)
        said = [text for role, text in client.prompt() if role == "assistant"]
        assert [text.rstrip("…. ") for text in said] == ([heard.rstrip(". ")] if heard else [])
        client.check()


@virtually
async def test_an_answer_is_not_cut_behind_its_end(clock: VirtualClock) -> None:
    async with talking(clock, llm=[ANSWER], tts=voice(clock)) as client:
        item_id = await answered(client)
        event_id = truncate(client, item_id, WHOLE_MS + 1000)
        assert client.errors == [("invalid_value", "audio_end_ms", event_id)]
        message = client.only("error")["error"]["message"]
        assert message.startswith("Audio content of ")
        assert message.endswith(f"ms is already shorter than {WHOLE_MS + 1000}ms")
        client.check()


@virtually
async def test_a_second_cut_may_only_shorten(clock: VirtualClock) -> None:
    async with talking(clock, llm=[ANSWER], tts=voice(clock)) as client:
        item_id = await answered(client)
        for end_ms in (600, 900, 300):
            truncate(client, item_id, end_ms)
        told = [event["audio_end_ms"] for event in client.events("conversation.item.truncated")]
        assert told == [600, 600, 300]
        client.check()


@pytest.mark.parametrize(("end_ms", "index"), [(-1, 0), (1.5, 0), ("1", 0), (100, 1)])
@virtually
async def test_a_cut_that_makes_no_sense_is_refused(clock: VirtualClock, end_ms: Any, index: int) -> None:
    async with talking(clock, llm=[ANSWER]) as client:
        event_id = truncate(client, await answered(client), end_ms, index)
        assert [(code, event) for code, _, event in client.errors] == [("invalid_value", event_id)]
        client.check()


@virtually
async def test_an_answer_may_be_cut_while_it_is_made(clock: VirtualClock) -> None:
    async with talking(clock, llm=[ANSWER, "Yes."], tts=voice(clock)) as client:
        client.write("When?")
        client.ask()
        first = await client.until("response.output_audio.delta")
        await client.wait(0.5)
        truncate(client, first["item_id"], 300)
        assert client.only("conversation.item.truncated")["audio_end_ms"] == 300
        await client.until("response.done")
        client.write("And?")
        client.ask()
        await client.until("response.done", 2)
        assert client.prompt()[1][1].rstrip("… ") == "The"
        client.check()


@virtually
async def test_what_was_cut_by_nobody_is_counted_by_the_clock(clock: VirtualClock) -> None:
    async with talking(clock, llm=[ANSWER, "Yes."], tts=voice(clock)) as client:
        client.write("When?")
        client.ask()
        await client.until("response.output_audio.delta")
        await client.wait(0.56)
        client.send("response.cancel")
        client.write("And?")
        client.ask()
        await client.until("response.done", 2)
        assert client.prompt()[1][1].rstrip("… ") == "The clinic"
        client.check()


# Deleting.


@virtually
async def test_a_deleted_item_leaves_the_models_context(clock: VirtualClock) -> None:
    async with talking(clock, llm=[ANSWER, "Yes."]) as client:
        item_id = await answered(client)
        client.send("conversation.item.delete", item_id=item_id)
        client.write("And?")
        client.ask()
        await client.until("response.done", 2)
        assert client.prompt() == [("user", "When?\nAnd?")]
        client.check()


@virtually
async def test_an_answer_that_is_deleted_while_it_is_made_does_not_come_back(clock: VirtualClock) -> None:
    async with talking(clock, llm=[ANSWER, "Yes."]) as client:
        client.write("When?")
        client.ask()
        first = await client.until("response.output_audio.delta")
        client.send("conversation.item.delete", item_id=first["item_id"])
        done = await client.until("response.done")
        assert [item["id"] for item in done["response"]["output"]] == [first["item_id"]]
        await client.wait(2.0)
        client.write("And?")
        client.ask()
        await client.until("response.done", 2)
        assert client.prompt() == [("user", "When?\nAnd?")]
        assert first["item_id"] not in client.order.items
        client.check()


@virtually
async def test_a_turn_that_is_deleted_before_its_words_are_known_stays_away(clock: VirtualClock) -> None:
    stt = ScriptedSTT(["Secret."], delay_s=0.5, clock=clock)
    async with talking(clock, stt=stt) as client:
        client.listen_by(None)
        await client.speak(0.5)
        client.send("input_audio_buffer.commit")
        client.send("conversation.item.delete", item_id=client.only("input_audio_buffer.committed")["item_id"])
        client.write("And?")
        client.ask()
        await client.until("response.done")
        assert client.prompt() == [("user", "And?")]
        assert client.events("conversation.item.input_audio_transcription.completed") == []
        client.check()
