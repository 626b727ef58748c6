"""Turns of the caller: the detection that a session asks for, and what clients are told of each turn."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.audio.formats import AudioFormat
from antiphon.calls.policy import TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.contract import ScoreSink
from antiphon.models.vad.energy import EnergyStream, EnergyVAD
from antiphon.transports.realtime import manners
from antiphon.transports.realtime.session import SessionLimits
from antiphon.wire.realtime.session import SemanticVad, ServerVad, SessionConfig
from tests.transports.realtime.talk import SAY, SPEECH, Client, talking, virtually

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend. "
TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.completed",
]
ANSWER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]


def config(detection: Any, **more: Any) -> SessionConfig:
    return SessionConfig(
        kind="realtime",
        model="desk",
        instructions="",
        default_instructions="",
        voice="any",
        default_voice="any",
        turn_detection=detection,
        **more,
    )


# The manners that a configuration asks for.


def test_a_silence_ends_turns_whatever_the_words() -> None:
    turn = manners.turn_policy(TurnPolicy(), config(ServerVad(silence_duration_ms=700)))
    assert (turn.complete_delay_s, turn.uncertain_delay_s, turn.incomplete_delay_s) == (0.7, 0.7, 0.7)
    assert (turn.yields_at_once, turn.backchannels, turn.answers, turn.interruption) == (True, frozenset(), True, "vad")


@pytest.mark.parametrize(("silence_ms", "stop_s"), [(0, 0.05), (120, 0.12), (500, 0.2), (2000, 0.2)])
def test_the_recogniser_is_asked_within_the_silence(silence_ms: int, stop_s: float) -> None:
    assert manners.turn_policy(TurnPolicy(), config(ServerVad(silence_duration_ms=silence_ms))).stop_s == stop_s


@pytest.mark.parametrize(("eagerness", "longest_s"), [("low", 8.0), ("medium", 4.0), ("auto", 4.0), ("high", 2.0)])
def test_an_eager_session_waits_less(eagerness: Any, longest_s: float) -> None:
    turn = manners.turn_policy(TurnPolicy(), config(SemanticVad(eagerness)))
    assert turn.complete_delay_s < turn.uncertain_delay_s < turn.incomplete_delay_s == longest_s
    assert not turn.yields_at_once
    assert turn.backchannels


@pytest.mark.parametrize("detection", [ServerVad, SemanticVad])
def test_flags_of_the_detection_decide_who_answers_and_who_interrupts(detection: type) -> None:
    turn = manners.turn_policy(TurnPolicy(), config(detection(create_response=False, interrupt_response=False)))
    assert (turn.answers, turn.interruption, turn.yields_at_once, turn.keeps_turns) == (False, "off", False, True)


def test_without_detection_the_client_does_everything() -> None:
    turn = manners.turn_policy(TurnPolicy(), config(None))
    assert (turn.answers, turn.interruption, turn.speculate, turn.idle_s) == (False, "off", False, 0.0)


def test_a_written_answer_is_not_waited_for_by_ear() -> None:
    spoken = manners.turn_policy(TurnPolicy(), config(ServerVad()))
    written = manners.turn_policy(TurnPolicy(), config(ServerVad(), modality="text"))
    once = manners.turn_policy(TurnPolicy(), config(ServerVad()), is_silent=True)
    assert spoken.max_dead_air_s < written.max_dead_air_s == once.max_dead_air_s


@pytest.mark.parametrize(("given", "used"), [(0.5, None), (0.9, 0.9), (0.0, 0.01), (1.0, 0.99)])
def test_the_threshold_is_the_detectors_own_unless_changed(given: float, used: float | None) -> None:
    assert manners.threshold(config(ServerVad(threshold=given))) == used
    assert manners.threshold(config(SemanticVad())) is None


# A spoken turn.


@virtually
async def test_a_spoken_turn_is_told_and_answered(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.listen_by({"type": "server_vad"})
        await client.quiet(1.0)
        await client.turn(0.6)
        await client.until("response.done")
        assert client.types[3:] == TURN + ANSWER
        started = client.only("input_audio_buffer.speech_started")
        assert started["audio_start_ms"] == 1000 + 40 - 300  # the detector hears in steps of 20 ms
        stopped = client.only("input_audio_buffer.speech_stopped")
        assert stopped["audio_end_ms"] == pytest.approx(1000 + 600 + 500, abs=100)  # sound comes in pieces of 100 ms
        assert client.prompt() == [("user", SAY)]
        client.check()


@virtually
async def test_a_retrieved_turn_holds_its_words_and_its_sound(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.listen_by({"type": "server_vad"})
        await client.quiet(1.0)
        await client.turn(0.6)
        item_id = client.only("input_audio_buffer.committed")["item_id"]
        client.send("conversation.item.retrieve", item_id=item_id)
        (part,) = client.only("conversation.item.retrieved")["item"]["content"]
        assert (part["type"], part["transcript"]) == ("input_audio", SAY)
        assert len(part["audio"]) * 3 // 4 == pytest.approx(48 * (300 + 600 + 500), abs=48 * 150)


@virtually
async def test_words_are_told_only_where_they_are_asked_for(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        await client.turn()
        await client.until("response.done")
        assert client.events("conversation.item.input_audio_transcription.completed") == []
        assert client.prompt() == [("user", SAY)]


@virtually
async def test_words_are_told_while_the_caller_still_speaks(clock: VirtualClock) -> None:
    async with talking(clock, stt=["I would like", "a table."]) as client:
        client.listen_by({"type": "server_vad", "silence_duration_ms": 800})
        await client.turn(0.5, then=0.4)
        await client.turn(0.5, then=1.2)
        deltas = client.events("conversation.item.input_audio_transcription.delta")
        assert [event["delta"] for event in deltas] == ["I would like", " a table."]
        completed = client.only("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"] == "I would like a table."
        assert completed["usage"]["type"] == "duration"
        await client.until("response.done")
        client.check()


@virtually
async def test_noise_is_an_item_without_words_and_nobody_answers(clock: VirtualClock) -> None:
    async with talking(clock, stt=["", SAY]) as client:
        client.listen_by({"type": "server_vad"})
        await client.turn()
        await client.quiet(2.0)
        assert client.types[3:] == TURN
        assert client.only(TURN[-1])["transcript"] == ""
        await client.turn()
        assert len(client.events(TURN[0])) == 2
        await client.until("response.done")
        client.check()


@virtually
async def test_words_that_are_lost_are_told_as_failed(clock: VirtualClock) -> None:
    stt = ScriptedSTT([SAY], faults={0: "fail"}, clock=clock)
    async with talking(clock, stt=stt) as client:
        client.listen_by({"type": "server_vad", "create_response": False})
        await client.turn()
        failed = client.only("conversation.item.input_audio_transcription.failed")
        assert failed["item_id"] == client.only("input_audio_buffer.committed")["item_id"]
        assert failed["error"]["code"] == "stt_unavailable"
        await client.turn()
        assert client.only(TURN[-1])["transcript"] == SAY
        assert client.events("response.created") == []
        client.check()


@virtually
async def test_who_answers_is_the_client_where_it_says_so(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.listen_by({"type": "server_vad", "create_response": False})
        await client.turn()
        await client.quiet(2.0)
        assert client.types[3:] == TURN
        client.ask()
        await client.until("response.done")
        assert client.prompt() == [("user", SAY)]
        client.check()


# The caller and the agent at once.


async def interrupt(client: Client, detection: dict[str, Any], *, seconds: float = 0.6) -> None:
    """The caller asks, hears a second of the answer, and speaks."""
    client.listen_by(detection)
    await client.turn(0.6, then=0.6)
    await client.until("response.output_audio.delta")
    await client.quiet(1.0)
    await client.turn(seconds, then=1.5)


@virtually
async def test_speech_cuts_the_answer_at_once(clock: VirtualClock) -> None:
    async with talking(clock, stt=["When?", "Never mind."], llm=[LONG, "Fine."]) as client:
        await interrupt(client, {"type": "server_vad"})
        await client.until("response.done", 2)
        assert client.statuses() == [("cancelled", "turn_detected"), ("completed", None)]
        assert client.times("response.done")[0] == client.times("input_audio_buffer.speech_started")[1]
        cut = client.events("response.done")[0]["response"]["output"][0]
        assert cut["status"] == "incomplete"
        sound = [at for at, e in _deltas(client) if e["item_id"] == cut["id"]]
        assert max(sound) <= client.times("response.done")[0]
        client.check()


def _deltas(client: Client) -> list[tuple[float, dict[str, Any]]]:
    return [(t.at, t.event) for t in client.told if t.event["type"] == "response.output_audio.delta"]


@virtually
async def test_the_model_is_told_what_was_heard_of_a_cut_answer(clock: VirtualClock) -> None:
    tts = ScriptedTTS(ms_per_char=50, rate_hz=24_000, word_timings=True, clock=clock)
    async with talking(clock, stt=["When?", "Never mind."], llm=[LONG, "Fine."], tts=tts) as client:
        await interrupt(client, {"type": "server_vad"})
        await client.until("response.done", 2)
        question, answer, more = client.prompt()
        assert (question, more) == (("user", "When?"), ("user", "Never mind."))
        assert answer[0] == "assistant"
        assert 0 < len(answer[1]) <= 1.3 * 20 + 2
        assert LONG.startswith(answer[1].rstrip("… "))


@virtually
async def test_a_client_that_played_less_says_so_and_is_believed(clock: VirtualClock) -> None:
    tts = ScriptedTTS(ms_per_char=50, rate_hz=24_000, word_timings=True, clock=clock)
    async with talking(clock, stt=["When?", "Never mind."], llm=[LONG, "Fine."], tts=tts) as client:
        client.listen_by({"type": "server_vad"})
        await client.turn(0.6, then=0.6)
        await client.until("response.output_audio.delta")
        await client.quiet(1.0)
        await client.speak(0.6)
        item_id = client.events("response.done")[0]["response"]["output"][0]["id"]
        client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=550)
        assert client.only("conversation.item.truncated")["audio_end_ms"] == 550
        await client.quiet(1.0)
        await client.until("response.done", 2)
        assert client.prompt()[1][1].rstrip("… ") == "The clinic"  # its end is at 500 ms
        client.check()


@virtually
async def test_a_listeners_word_does_not_cut_an_answer_that_is_judged_by_words(clock: VirtualClock) -> None:
    async with talking(clock, stt=["When?", "uh-huh"], llm=[LONG]) as client:
        await interrupt(client, {"type": "semantic_vad"}, seconds=0.4)
        await client.until("response.done")
        assert client.statuses() == [("completed", None)]
        assert len(client.events("input_audio_buffer.speech_started")) == 1
        client.check()


@virtually
async def test_words_cut_an_answer_that_is_judged_by_words(clock: VirtualClock) -> None:
    async with talking(clock, stt=["When?", "Wait, on Sundays?"], llm=[LONG, "No."]) as client:
        await interrupt(client, {"type": "semantic_vad"})
        await client.until("response.done", 2)
        assert client.statuses() == [("cancelled", "turn_detected"), ("completed", None)]
        client.check()


@virtually
async def test_a_pause_in_the_middle_of_a_sentence_ends_no_turn_that_is_judged_by_words(clock: VirtualClock) -> None:
    async with talking(clock, stt=["I would like a table and", "a chair."]) as client:
        client.listen_by({"type": "semantic_vad"})
        await client.turn(0.6, then=1.2)
        await client.turn(0.6, then=1.5)
        completed = client.only("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"] == "I would like a table and a chair."
        client.check()


@virtually
async def test_speech_over_an_answer_that_it_may_not_cut_is_answered_behind_it(clock: VirtualClock) -> None:
    stt = ["When?", "On Sundays?", "And on Mondays?"]
    async with talking(clock, stt=stt, llm=[LONG, "Closed.", "Never."]) as client:
        await interrupt(client, {"type": "server_vad", "interrupt_response": False})
        await client.turn()
        await client.until("response.done", 2)
        await client.quiet(3.0)
        assert client.statuses() == [("completed", None), ("completed", None)]
        committed = client.times("input_audio_buffer.committed")
        assert committed[2] < client.times("response.done")[0] < client.times("response.created")[1]
        stops = [event["audio_end_ms"] for event in client.events("input_audio_buffer.speech_stopped")]
        starts = [event["audio_start_ms"] for event in client.events("input_audio_buffer.speech_started")]
        assert all(500 < stop - start < 1500 for start, stop in zip(starts, stops, strict=True))
        assert ("user", "On Sundays?\nAnd on Mondays?") in client.prompt()
        client.check()


@virtually
async def test_speech_before_the_sound_of_an_answer_that_it_may_not_cut_does_not_cut_it(clock: VirtualClock) -> None:
    tts = ScriptedTTS(rate_hz=24_000, first_chunk_delay_s=2.0, clock=clock)
    async with talking(clock, stt=["When?", "On Sundays?"], llm=["At nine.", "Closed."], tts=tts) as client:
        client.listen_by({"type": "server_vad", "interrupt_response": False})
        await client.turn(0.6, then=0.6)
        await client.until("response.created")
        await client.turn()
        await client.quiet(8.0)
        assert client.statuses() == [("completed", None), ("completed", None)]
        client.check()


@virtually
async def test_speech_before_the_sound_of_an_answer_cuts_it_and_goes_on_with_the_turn(clock: VirtualClock) -> None:
    tts = ScriptedTTS(rate_hz=24_000, first_chunk_delay_s=2.0, clock=clock)
    async with talking(clock, stt=["When?", "On Sundays?"], llm=["At nine.", "Closed."], tts=tts) as client:
        client.listen_by({"type": "server_vad"})
        await client.turn(0.6, then=0.6)
        await client.until("response.created")
        await client.turn()
        await client.until("response.done", 2)
        assert client.statuses() == [("cancelled", "turn_detected"), ("completed", None)]
        assert client.prompt() == [("user", "When?\nOn Sundays?")]
        client.check()


# The client ends turns.


@virtually
async def test_a_turn_that_the_client_ends_waits_for_its_request(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.listen_by(None)
        await client.speak(0.6)
        client.send("input_audio_buffer.commit")
        await client.quiet(2.0)
        assert client.types[3:] == TURN[2:]
        client.ask()
        await client.until("response.done")
        assert client.prompt() == [("user", SAY)]
        client.check()


@virtually
async def test_a_request_right_behind_the_commit_is_answered_with_its_words(clock: VirtualClock) -> None:
    stt = ScriptedSTT([SAY], delay_s=1.0, clock=clock)
    async with talking(clock, stt=stt) as client:
        client.listen_by(None)
        await client.speak(0.6)
        client.send("input_audio_buffer.commit")
        client.ask()
        await client.until("response.done")
        assert client.prompt() == [("user", SAY)]
        client.check()


@virtually
async def test_two_turns_that_the_client_ends_at_once_have_words_of_their_own(clock: VirtualClock) -> None:
    stt = ScriptedSTT(["One.", "Two."], delay_s=1.0, clock=clock)
    async with talking(clock, stt=stt) as client:
        client.listen_by(None)
        for _ in range(2):
            await client.speak(0.4)
            client.send("input_audio_buffer.commit")
        client.ask()
        await client.until("response.done")
        told = client.events("conversation.item.input_audio_transcription.completed")
        ids = [event["item_id"] for event in client.events("input_audio_buffer.committed")]
        assert [(event["item_id"], event["transcript"]) for event in told] == [(ids[0], "One."), (ids[1], "Two.")]
        assert client.prompt() == [("user", "One.\nTwo.")]
        client.check()


@virtually
async def test_an_empty_commit_is_refused(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.listen_by(None)
        first = client.send("input_audio_buffer.commit")
        await client.speak(0.2)
        client.send("input_audio_buffer.clear")
        second = client.send("input_audio_buffer.commit")
        assert client.errors == [
            ("input_audio_buffer_commit_empty", None, first),
            ("input_audio_buffer_commit_empty", None, second),
        ]
        client.check()


@virtually
async def test_a_strict_session_refuses_a_commit_of_next_to_nothing(clock: VirtualClock) -> None:
    async with talking(clock, limits=SessionLimits(strict=True)) as client:
        client.listen_by(None)
        client.append(bytes(48 * 99))
        refused = client.send("input_audio_buffer.commit")
        client.append(bytes(48))
        client.send("input_audio_buffer.commit")
        assert client.errors == [("input_audio_buffer_commit_empty", None, refused)]
        assert len(client.events("input_audio_buffer.committed")) == 1


@virtually
async def test_a_commit_in_the_middle_of_speech_ends_the_announced_turn(clock: VirtualClock) -> None:
    async with talking(clock, stt=["One.", "Two."]) as client:
        client.listen_by({"type": "server_vad", "create_response": False})
        await client.speak(0.6)
        client.send("input_audio_buffer.commit")
        announced = client.only("input_audio_buffer.speech_started")["item_id"]
        assert client.only("input_audio_buffer.committed")["item_id"] == announced
        assert client.events("input_audio_buffer.speech_stopped") == []
        await client.turn(0.6)
        told = client.events("conversation.item.input_audio_transcription.completed")
        assert [event["transcript"] for event in told] == ["One.", "Two."]
        starts = [event["audio_start_ms"] for event in client.events("input_audio_buffer.speech_started")]
        assert starts == [0, 600]
        client.check()


@virtually
async def test_what_is_cleared_is_no_turn(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.listen_by({"type": "server_vad"})
        await client.speak(0.6)
        first = client.only("input_audio_buffer.speech_started")["item_id"]
        client.send("input_audio_buffer.clear")
        await client.quiet(2.0)
        assert client.types[3:] == ["input_audio_buffer.speech_started", "input_audio_buffer.cleared"]
        await client.turn()
        await client.until("response.done")
        assert client.only("input_audio_buffer.committed")["item_id"] != first
        client.check()


# Changes, and silence.


@virtually
async def test_a_change_of_instructions_loses_no_turn(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.listen_by({"type": "server_vad"})
        await client.speak(0.4)
        client.update(instructions="Be brief.")
        await client.turn(0.3)
        await client.until("response.done")
        assert len(client.events("input_audio_buffer.speech_started")) == 1
        llm: Any = client.models.llm
        assert llm.requests[-1].messages[0].text == "Be brief."
        client.check()


@virtually
async def test_no_word_is_lost_when_the_detection_goes_in_the_middle_of_a_turn(clock: VirtualClock) -> None:
    async with talking(clock, stt=["One.", "Two."]) as client:
        client.listen_by({"type": "server_vad"})
        await client.speak(0.4)
        client.listen_by(None)
        await client.speak(0.4)
        client.send("input_audio_buffer.commit")
        await client.quiet(1.0)
        told = client.events("conversation.item.input_audio_transcription.completed")
        assert " ".join(event["transcript"] for event in told) == "One. Two."
        assert client.events("response.created") == []
        client.check()


class DoubtfulVAD(EnergyVAD):
    """Never quite sure: speech scores 0.7."""

    def open(self, audio: AudioFormat, on_score: ScoreSink) -> EnergyStream:
        return super().open(audio, lambda score, seconds: on_score(0.7 * score, seconds))


@virtually
async def test_a_higher_threshold_hears_less(clock: VirtualClock) -> None:
    async with talking(clock, vad=DoubtfulVAD()) as client:
        client.listen_by({"type": "server_vad", "threshold": 0.8})
        await client.speak(1.0)
        assert client.events("input_audio_buffer.speech_started") == []
        client.listen_by({"type": "server_vad", "threshold": 0.6})
        await client.speak(1.0)
        assert len(client.events("input_audio_buffer.speech_started")) == 1


@virtually
async def test_silence_after_an_answer_asks_for_another_one_at_most_twice(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.listen_by({"type": "server_vad", "idle_timeout_ms": 2000})
        await client.turn()
        done = await client.until("response.done")
        assert done["response"]["status"] == "completed"
        await client.quiet(30.0)
        assert len(client.events("input_audio_buffer.timeout_triggered")) == 2
        assert client.statuses() == [("completed", None)] * 3
        played = client.times("response.done")[0] + manners.LEAD_S
        assert client.times("input_audio_buffer.timeout_triggered")[0] == pytest.approx(played + 2.0, abs=0.05)
        await client.turn()
        await client.until("response.done", 4)
        await client.quiet(20.0)
        assert len(client.events("input_audio_buffer.timeout_triggered")) == 4
        client.check()


@virtually
async def test_sound_that_comes_in_a_burst_is_heard_whole(clock: VirtualClock) -> None:
    async with talking(clock, stt=["One.", "Two."]) as client:
        client.listen_by({"type": "server_vad", "create_response": False})
        turn = SPEECH * 6 + bytes(48 * 1000)
        client.append(turn + turn)
        client.send("input_audio_buffer.clear")
        client.send_text("{no")
        client.write("Behind it.")
        await client.wait(5.0)
        assert len(client.events("input_audio_buffer.committed")) == 2
        starts = [event["audio_start_ms"] for event in client.events("input_audio_buffer.speech_started")]
        assert starts[1] - starts[0] == pytest.approx(1600, abs=310)
        replies = ["input_audio_buffer.cleared", "error", "conversation.item.added", "conversation.item.done"]
        assert client.types[-4:] == replies
        client.check()
