"""Clients are told what sounds, and of what was cut they keep what was played, whenever the cut comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antiphon.calls.events import AgentSpeechCompleted, AgentSpeechInterrupted
from antiphon.calls.speech import Speech
from antiphon.transports.realtime.conversation import Conversation
from antiphon.transports.realtime.playback import Playback
from antiphon.transports.realtime.responses import Response
from antiphon.transports.realtime.sound import CALL_AUDIO
from antiphon.wire.realtime.response import response_config
from antiphon.wire.realtime.session import SessionConfig

TOLD = ("output_audio_buffer.", "response.done", "conversation.item.truncated")


@dataclass
class Events:
    """A channel that keeps what is sent."""

    takes_audio = False
    sent: list[Mapping[str, Any]] = field(default_factory=list)

    def send(self, event: Mapping[str, Any]) -> None:
        self.sent.append(event)

    def send_audio(self, response_id: str, item_id: str, *, output_index: int, audio: bytes) -> None:
        raise AssertionError("sound goes another way")

    def close(self, code: int = 1000, reason: str = "") -> None:
        raise AssertionError("nobody ends the call")

    @property
    def told(self) -> list[str]:
        return [event["type"] for event in self.sent if event["type"].startswith(TOLD)]


class Talk:
    """Responses that sound, as a call would tell it."""

    def __init__(self) -> None:
        self.events = Events()
        self.conversation = Conversation(lambda _: None, max_items=100)
        self.playback = Playback(self.events, self.conversation)
        self._speeches = 0

    def respond(self) -> Response:
        config = response_config(SessionConfig(), {})
        return Response(self.events, config, conversation=self.conversation, conversation_id="conv_1")

    def speak(self, response: Response, seconds: float) -> Speech:
        """Send a whole speech."""
        self._speeches += 1
        speech = Speech(self._speeches, "reply", turn=1, audio=CALL_AUDIO)
        speech.begin_clause("One two three four.", "One two three four.")
        speech.add_sound(bytes(CALL_AUDIO.frame_bytes(int(seconds * 1000))))
        speech.finish()
        message = response.speak(speech)
        self.playback.begin(response, speech)
        speech.sent = len(speech.sound)
        message.play(bytes(speech.sound))
        return speech

    def hear(self, speech: Speech, seconds: float) -> None:
        """So much of a speech was heard; to its end, and the log tells it."""
        speech.played = CALL_AUDIO.frame_bytes(int(seconds * 1000))
        if speech.over:
            self.playback.read(AgentSpeechCompleted(speech.number, speech.spoken, seconds))

    def cut(self, *speeches: Speech) -> None:
        for speech in speeches:
            event = AgentSpeechInterrupted(speech.number, speech.heard, speech.spoken, speech.generated, 0.0)
            self.playback.read(event)
        self.playback.cut()


def test_a_response_that_is_done_and_heard_is_over() -> None:
    talk = Talk()
    response = talk.respond()
    speech = talk.speak(response, 1.0)
    response.finish("completed")
    assert talk.events.told == ["output_audio_buffer.started", "response.done"]
    talk.hear(speech, 1.0)
    assert talk.events.told[2:] == ["output_audio_buffer.stopped"]


def test_a_response_that_is_heard_before_it_is_done_is_over_when_it_is() -> None:
    talk = Talk()
    response = talk.respond()
    talk.hear(talk.speak(response, 1.0), 1.0)
    assert talk.events.told == ["output_audio_buffer.started"]
    response.finish("completed")
    talk.playback.settle(response)
    assert talk.events.told[1:] == ["response.done", "output_audio_buffer.stopped"]


def test_two_speeches_of_a_response_start_once_and_stop_once() -> None:
    talk = Talk()
    response = talk.respond()
    first, second = talk.speak(response, 1.0), talk.speak(response, 1.0)
    response.finish("completed")
    talk.hear(first, 1.0)
    assert "output_audio_buffer.stopped" not in talk.events.told
    talk.hear(second, 1.0)
    assert talk.events.told == ["output_audio_buffer.started", "response.done", "output_audio_buffer.stopped"]


def test_a_cut_behind_the_responses_end_keeps_what_was_played() -> None:
    talk = Talk()
    response = talk.respond()
    speech = talk.speak(response, 1.0)
    response.finish("completed")
    talk.hear(speech, 0.6)
    talk.cut(speech)
    assert talk.events.told[2:] == ["output_audio_buffer.cleared", "conversation.item.truncated"]
    truncated = talk.events.sent[-1]
    assert truncated["audio_end_ms"] == 600
    item = talk.conversation.find(truncated["item_id"])
    assert item is not None
    assert item.item is not None
    assert item.item.content[0].transcript == "One two"
    talk.cut()
    assert len(talk.events.told) == 4


def test_what_was_heard_whole_is_not_truncated() -> None:
    talk = Talk()
    response = talk.respond()
    first, second = talk.speak(response, 1.0), talk.speak(response, 1.0)
    talk.hear(first, 1.0)
    talk.hear(second, 0.25)
    response.finish("cancelled", reason="turn_detected")
    talk.cut(second)
    assert [event["audio_end_ms"] for event in talk.events.sent if event["type"].endswith("truncated")] == [250]


def test_a_deleted_item_is_not_truncated() -> None:
    talk = Talk()
    response = talk.respond()
    speech = talk.speak(response, 1.0)
    talk.conversation.delete(response.entries[0].id)
    talk.cut(speech)
    assert talk.events.told == ["output_audio_buffer.started", "output_audio_buffer.cleared"]


def test_a_speech_that_was_dropped_does_not_hold_its_response() -> None:
    talk = Talk()
    response = talk.respond()
    first, second = talk.speak(response, 1.0), talk.speak(response, 1.0)
    talk.playback.read(AgentSpeechInterrupted(first.number, "", "", "", 0.0))
    response.finish("completed")
    talk.hear(second, 1.0)
    assert talk.events.told[-1] == "output_audio_buffer.stopped"
