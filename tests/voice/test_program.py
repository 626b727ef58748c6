from __future__ import annotations

import asyncio
import logging

import numpy as np
import pytest
import structlog

from antiphon.audio.tones import sine
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationException
from antiphon.realtime.errors import NotConnected
from antiphon.tools.tool import tool
from antiphon.transports.local.mic import RATE_HZ
from antiphon.voice.tools import ToolRegistry
from tests.realtime.server import greets, in_virtual_time
from tests.voice.talks import Talk, answered, arrived, sound_of, talking, user_said, without_cancel

TRUNCATE, DELETE, CANCEL = "conversation.item.truncate", "conversation.item.delete", "response.cancel"


@in_virtual_time
async def test_ten_seconds_of_tone_arrive_byte_for_byte(clock: VirtualClock) -> None:
    tone = sine(440, 10_000, rate_hz=RATE_HZ)
    async with talking(clock) as talk:
        talk.sound.say(tone)
        await talk.sound.is_silent.wait()
        await clock.sleep(0.2)
        await arrived(talk)
        received = talk.line.sound()
        assert len(received) == 2 * talk.program.mic.taken
        begin = received.index(tone[1:200].tobytes()) - 2
        assert received[begin : begin + 2 * len(tone)] == tone.tobytes()
        assert talk.program.mic.captured == talk.program.mic.taken
        assert talk.program.client.metrics.total("audio_frames_dropped_total") == 0


@in_virtual_time
async def test_the_first_delta_is_heard_before_the_answer_is_over(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        await talk.line.begins("r1", "a1")
        await talk.line.says("r1", "a1", "Hello", sound_of(200))
        await arrived(talk)
        began_s = clock.now()
        while not talk.program.player.playout("a1").played_ms:
            await clock.sleep(0.01)
        assert clock.now() - began_s <= 0.130
        assert talk.program.client.response_active == "r1"
        await clock.sleep(0.01)
        assert talk.program.client.metrics.histogram("first_delta_to_playback_ms").count == 1


async def answering(talk: Talk, clock: VirtualClock, *, ms: int = 2000, for_s: float = 0.5) -> None:
    """The user has asked, and an answer of so many milliseconds plays since ``for_s``."""
    await user_said(talk, "u1", "Tell me a story.")
    await talk.line.begins("r1", "a1")
    await talk.line.says("r1", "a1", "once upon a time there was a king who told stories all night", sound_of(ms))
    await arrived(talk)
    await clock.sleep(for_s)


@in_virtual_time
async def test_breaking_in_is_silence_within_a_chunk_and_a_truncate(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        await answering(talk, clock)
        program = talk.program
        await talk.line.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
        await arrived(talk)
        after = program.player.pull(RATE_HZ * 40 // 1000)
        assert not after[RATE_HZ * 5 // 1000 :].any()
        cut = await talk.line.until(TRUNCATE)
        played_ms = program.player.playout("a1").played_ms
        assert cut["item_id"] == "a1"
        assert cut["content_index"] == 0
        assert cut["audio_end_ms"] == pytest.approx(played_ms, abs=40)
        assert not talk.line.of(CANCEL)
        turn = program.client.conversation.turn("a1")
        assert turn is not None
        assert turn.interrupted
        assert turn.text == "once upon a"
        assert turn.text_generated == "once upon a time there was a king who told stories all night"
        await talk.line.says("r1", "a1", " more", sound_of(40))
        await arrived(talk)
        assert program.client.metrics.total("late_deltas_total") >= 1
        assert program.client.metrics.total("barge_ins_total") == 1
        assert not program.player.is_playing


@in_virtual_time
async def test_a_second_word_before_the_next_answer_sends_nothing(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        await answering(talk, clock)
        for _ in range(2):
            await talk.line.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
            await arrived(talk)
        assert len(talk.line.of(TRUNCATE)) == 1
        assert talk.program.client.metrics.total("barge_ins_total") == 1


@in_virtual_time
async def test_a_service_that_does_not_cancel_is_told_to(clock: VirtualClock) -> None:
    async with talking(clock, without_cancel, barge_in="server", turn_detection="server_vad") as talk:
        await talk.line.send(
            "session.updated",
            session={"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}},
        )
        await answering(talk, clock)
        await talk.line.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
        await arrived(talk)
        kinds = [event["type"] for event in talk.line.got if event["type"] in (CANCEL, TRUNCATE)]
        assert kinds == [CANCEL, TRUNCATE]
        assert talk.line.of(CANCEL)[0]["response_id"] == "r1"


@in_virtual_time
async def test_an_answer_of_which_nothing_came_is_cancelled(clock: VirtualClock) -> None:
    async with talking(clock, without_cancel) as talk:
        detection = {"type": "server_vad", "interrupt_response": False}
        await talk.line.send("session.updated", session={"audio": {"input": {"turn_detection": detection}}})
        await talk.line.begins("r1")
        await arrived(talk)
        await talk.line.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
        await arrived(talk)
        assert [event["response_id"] for event in talk.line.of(CANCEL)] == ["r1"]
        assert not talk.line.of(TRUNCATE) + talk.line.of(DELETE)


@in_virtual_time
async def test_too_much_sound_is_an_error_and_not_silent(clock: VirtualClock) -> None:
    async with talking(clock, player_max_s=1) as talk:
        await answering(talk, clock, ms=1500, for_s=0.1)
        metrics = talk.program.client.metrics
        assert metrics.total("errors_total", category="audio", code="player_full") == 1
        assert metrics.total("audio_frames_dropped_total", direction="out", reason="queue_full") == 1


@in_virtual_time
async def test_breaking_in_before_the_first_sample_deletes_the_item(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        await answering(talk, clock, ms=40, for_s=0.02)
        await talk.line.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
        await arrived(talk)
        assert [event["item_id"] for event in talk.line.of(DELETE)] == ["a1"]
        assert not talk.line.of(TRUNCATE)


@in_virtual_time
async def test_speaking_after_the_answer_was_heard_sends_nothing(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        await answering(talk, clock, ms=400, for_s=0)
        await talk.line.ends("r1")
        await clock.sleep(1.0)
        await talk.line.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
        await arrived(talk)
        assert not [event for event in talk.line.got if event["type"] in (TRUNCATE, DELETE, CANCEL)]


@in_virtual_time
async def test_an_answer_that_is_done_but_still_heard_is_truncated(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        await answering(talk, clock, for_s=0)
        await talk.line.ends("r1")
        await clock.sleep(0.5)
        await talk.line.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
        await arrived(talk)
        assert talk.line.of(TRUNCATE)[0]["audio_end_ms"] == pytest.approx(500, abs=40)


@in_virtual_time
async def test_the_microphones_own_level_can_break_in(clock: VirtualClock) -> None:
    async with talking(clock, barge_in="local", turn_detection="server_vad") as talk:
        update = talk.line.of("session.update")[0]["session"]
        assert update["audio"]["input"]["turn_detection"]["interrupt_response"] is False
        await answering(talk, clock)
        talk.sound.say(sine(220, 300, rate_hz=RATE_HZ, amplitude=0.3))
        await clock.sleep(0.2)
        await arrived(talk)
        assert not talk.program.player.is_playing
        assert talk.line.of(CANCEL)
        assert talk.line.of(TRUNCATE)[0]["audio_end_ms"] == pytest.approx(620, abs=60)


@in_virtual_time
async def test_off_lets_the_answer_go_on(clock: VirtualClock) -> None:
    async with talking(clock, barge_in="off") as talk:
        await answering(talk, clock)
        await talk.line.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
        await arrived(talk)
        assert talk.program.player.is_playing
        assert not talk.line.of(TRUNCATE)


@in_virtual_time
async def test_half_duplex_sends_silence_while_the_answer_plays(clock: VirtualClock) -> None:
    async with talking(clock, echo_mode="half") as talk:
        await answering(talk, clock)
        before = len(talk.line.sound())
        talk.sound.say(np.full(RATE_HZ // 2, 5000, np.int16))
        await clock.sleep(0.4)
        await arrived(talk)
        heard = np.frombuffer(talk.line.sound()[before:], "<i2")
        assert len(heard) > RATE_HZ // 4
        assert not heard.any()


@in_virtual_time
async def test_push_to_talk_commits_and_asks_and_ignores_a_tap(clock: VirtualClock) -> None:
    async with talking(clock, turn_detection="none") as talk:
        assert talk.line.of("session.update")[0]["session"]["audio"]["input"]["turn_detection"] is None
        await talk.program.commit()  # the sound since the start counts
        await clock.sleep(0.05)
        await talk.program.commit()
        await arrived(talk)
        assert not talk.line.of("input_audio_buffer.commit")[1:]
        await clock.sleep(0.5)
        await talk.program.commit()
        await arrived(talk)
        kinds = [event["type"] for event in talk.line.got]
        assert kinds.index("input_audio_buffer.commit") < kinds.index("response.create")
        assert kinds[-1] == "response.create" or "input_audio_buffer.append" in kinds[-1]
        assert talk.line.of("input_audio_buffer.clear")


@in_virtual_time
async def test_a_tone_tells_of_an_outage_of_three_seconds(clock: VirtualClock) -> None:
    async with talking(clock, greets, 503) as talk:
        talk.line.drop()
        await clock.sleep(2.5)
        assert talk.program.player.playout("outage-tone-1").received_ms == 0
        await clock.sleep(3.0)
        assert talk.program.player.playout("outage-tone-1").played_ms == 200


@in_virtual_time
async def test_what_came_before_an_outage_plays_to_its_end(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        await answering(talk, clock, ms=180, for_s=0)
        talk.line.drop()
        await clock.sleep(1.0)
        assert talk.program.player.playout("a1").played_ms == 180
        assert not talk.program.player.is_playing


@in_virtual_time
async def test_speak_first_asks_for_an_answer_at_once(clock: VirtualClock) -> None:
    async with talking(clock, speak_first=True) as talk:
        await arrived(talk)
        assert len(talk.line.of("response.create")) == 1


@in_virtual_time
async def test_a_written_message_is_an_item_and_a_wish_for_an_answer(clock: VirtualClock) -> None:
    async with talking(clock, is_text=True) as talk:
        assert talk.line.of("session.update")[0]["session"]["output_modalities"] == ["text"]
        await talk.program.write("Hello?")
        await arrived(talk)
        item = talk.line.of("conversation.item.create")[0]["item"]
        assert item["content"] == [{"type": "input_text", "text": "Hello?"}]
        assert len(talk.line.of("response.create")) == 1
        assert not talk.line.of("input_audio_buffer.append")


@in_virtual_time
async def test_a_function_runs_and_its_result_is_answered_once(clock: VirtualClock) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    async with talking(clock, tools=ToolRegistry([add])) as talk:
        assert [each["name"] for each in talk.line.of("session.update")[0]["session"]["tools"]] == ["add"]
        await talk.line.begins("r1")
        await talk.line.calls("r1", "call_1", "add", '{"a": 2, "b": 3}')
        await talk.line.calls("r1", "call_2", "nothing", "{}", 1)
        await talk.line.calls("r1", "call_3", "add", '{"a": "x"}', 2)
        await talk.line.ends("r1")
        await talk.line.until("response.create")
        outputs = {
            event["item"]["call_id"]: event["item"]["output"] for event in talk.line.of("conversation.item.create")
        }
        assert outputs["call_1"] == "5"
        assert '"unknown_tool"' in outputs["call_2"]
        assert '"invalid_arguments"' in outputs["call_3"]
        await clock.sleep(1)
        assert len(talk.line.of("response.create")) == 1


@in_virtual_time
async def test_the_end_is_in_order_and_quick(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        await answering(talk, clock)
        began_s = clock.now()
    assert clock.now() - began_s < 2.0
    assert not talk.program.player.is_playing
    assert not talk.program.client.connected
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not names & {"microphone", "functions", "summaries", "paced sound", "realtime client", "voice"}


@in_virtual_time
async def test_an_agent_that_hangs_up_ends_the_conversation_in_order(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        await answering(talk, clock, ms=800, for_s=0)
        await talk.line.close(1000, "goodbye")
        await talk.program.stopped()
        assert talk.program.player.playout("a1").played_ms == 800
    assert talk.program.client.metrics.total("reconnections_total") == 0


@in_virtual_time
async def test_a_service_that_ends_for_good_ends_the_conversation(clock: VirtualClock) -> None:
    async def fails() -> None:
        async with talking(clock, greets, 401) as talk:
            talk.line.drop()
            await talk.program.stopped()

    with pytest.raises(IntegrationException):
        await fails()


@in_virtual_time
async def test_nobody_there_is_told_and_no_task_is_left(clock: VirtualClock) -> None:
    async def fails() -> None:
        async with talking(clock, 401):
            raise AssertionError("it began")

    with pytest.raises(IntegrationException) as told:
        await fails()
    assert not isinstance(told.value, NotConnected)
    assert len(asyncio.all_tasks()) <= 2


SECRETS = ["ada@example.com", "555 123 4567", "4111 1111 1111 1111"]


@pytest.mark.parametrize("secret", SECRETS)
def test_what_people_say_of_themselves_reaches_no_history_screen_or_log(
    secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = VirtualClock()
    words = f"It is {secret}, thanks."

    async def main() -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
        async with talking(clock, transcript_log=True) as talk:
            program = talk.program
            await user_said(talk, "u1", words)
            await talk.line.begins("r1", "a1")
            shown = ""
            for letter in words:
                await talk.line.says("r1", "a1", letter)
                await arrived(talk)
                turn = program.client.conversation.turn("a1")
                assert turn is not None
                shown = program.history.shown(turn)
                assert secret not in shown
                assert secret[:4] not in shown
            where = {"response_id": "r1", "item_id": "a1", "output_index": 0, "content_index": 0}
            await talk.line.send("response.output_audio_transcript.done", **where, transcript=words)
            await talk.line.ends("r1")
            await arrived(talk)
            for turn in program.client.conversation.turns:
                assert "[REDACTED_" in (turn.text or "")
                assert secret not in repr(turn)
            assert program.client.metrics.total("redactions_total") >= 2

    clock.run(main())
    captured = capsys.readouterr()
    assert "[REDACTED_" in captured.out + captured.err
    assert secret not in captured.out + captured.err


@in_virtual_time
async def test_without_redaction_the_history_holds_what_was_said(clock: VirtualClock) -> None:
    async with talking(clock, redact_pii=False) as talk:
        await user_said(talk, "u1", f"It is {SECRETS[0]}.")
        assert talk.program.client.conversation.turns[0].text == f"It is {SECRETS[0]}."


@in_virtual_time
async def test_a_long_talk_counts_both_sides_and_the_services_tokens(clock: VirtualClock) -> None:
    async with talking(clock) as talk:
        for number in range(1, 4):
            await user_said(talk, f"u{number}", "Hello.")
            await answered(talk, number, "Hi.", tokens=100 * number)
        metrics = talk.program.client.metrics
        assert metrics.total("turns_total", role="user") == 3
        assert metrics.total("turns_total", role="assistant") == 3
        assert talk.program.client.conversation.latest_tokens == 300
