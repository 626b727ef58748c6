"""Clauses into sound: in the line's format, in time, and a chime where there is no voice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from providers import CodedTTS, WrongTTS

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.calls.clauses import Clause
from antiphon.calls.events import SpeechKind
from antiphon.calls.ledger import Ledger
from antiphon.calls.speech import Speaker, Speech
from antiphon.calls.voice import Phrases, Voice
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationException, IntegrationInvalidResponseException, IntegrationUnavailableException
from antiphon.models.tts.contract import TTS, SpeechChunk
from antiphon.models.tts.scripted import ScriptedTTS

HELLO = Clause("**Hello** there. ", "Hello there.")


def voice_of(
    tts: TTS, audio: AudioFormat = PHONE, phrases: Phrases | None = None, ledger: Ledger | None = None
) -> Voice:
    return Voice(
        tts, audio, phrases or Phrases(), speaker=Speaker(), timeout_s=8.0, phrase_timeout_s=0.8, ledger=ledger
    )


def silent(kind: SpeechKind = "reply", audio: AudioFormat = PHONE) -> Speech:
    return Speech(1, kind, turn=1, audio=audio)


@pytest.mark.parametrize("audio", [PHONE, AudioFormat("alaw", 8000), AudioFormat("pcm16", 24_000)], ids=str)
@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100])
async def test_a_clause_sounds_as_long_as_it_was_made_in_every_format(rate_hz: int, audio: AudioFormat) -> None:
    speech, ledger = silent(audio=audio), Ledger()
    voice = voice_of(ScriptedTTS(rate_hz=rate_hz, chunk_s=0.1), audio, ledger=ledger)
    await voice.speak(speech, HELLO)
    await voice.speak(speech, HELLO)
    assert audio.seconds(len(speech.sound)) == pytest.approx(2 * 12 * 0.06, abs=0.002)
    assert [clause.text for clause in speech.clauses] == [HELLO.text] * 2
    assert speech.clauses[0].end == speech.clauses[1].start
    assert ledger.usage().tts_characters == 24
    assert not speech.complete


async def test_a_clause_that_is_not_said_makes_no_sound() -> None:
    speech, tts = silent(), ScriptedTTS()
    await voice_of(tts).speak(speech, Clause("```x```", ""))
    assert (speech.sound, speech.clauses, list(tts.said)) == (b"", [], [])


@pytest.mark.parametrize(
    ("tts", "error"),
    [
        (WrongTTS(IntegrationUnavailableException("Gone.")), IntegrationUnavailableException),
        (ScriptedTTS(faults={0: "empty"}), IntegrationInvalidResponseException),
    ],
    ids=["fails", "is empty"],
)
async def test_a_voice_that_gives_nothing_has_failed(tts: TTS, error: type[Exception]) -> None:
    with pytest.raises(error):
        await voice_of(tts).speak(silent(), HELLO)


@pytest.mark.parametrize(("kind", "waits_s"), [("reply", 8.0), ("greeting", 8.0), ("say", 8.0), ("filler", 0.8)])
def test_a_voice_that_stalls_is_given_up_and_closed(kind: SpeechKind, waits_s: float) -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, first_s=3600)
    speech = silent(kind)

    async def scenario() -> None:
        work = voice_of(tts).speak(speech, HELLO) if kind == "reply" else voice_of(tts).say(speech, "Hello there.")
        with pytest.raises(IntegrationUnavailableException, match="silent for"):
            await work
        assert clock.now() == waits_s

    clock.run(scenario())
    assert tts.open == []


@pytest.mark.parametrize("kind", ["greeting", "filler", "apology", "reminder", "goodbye", "say"])
async def test_a_phrase_without_a_voice_is_a_chime_that_says_no_words(kind: SpeechKind) -> None:
    speech = silent(kind)
    with pytest.raises(IntegrationException):
        await voice_of(WrongTTS(IntegrationUnavailableException("Gone."))).say(speech, "One moment.")
    assert PHONE.seconds(len(speech.sound)) == pytest.approx(0.36)
    assert speech.complete
    speech.played = len(speech.sound)
    assert speech.heard == speech.spoken == ""
    assert speech.generated == "One moment."


async def test_a_phrase_that_breaks_off_keeps_the_sound_it_has() -> None:
    speech = silent("greeting")
    with pytest.raises(IntegrationException):
        await voice_of(ScriptedTTS(faults={1: "break"})).say(speech, "Good morning to you. This is the clinic.")
    assert speech.complete
    assert [clause.text.strip() for clause in speech.clauses] == ["Good morning to you.", "This is the clinic."]
    speech.played = len(speech.sound)
    assert speech.heard.startswith("Good morning to you.")


async def test_a_phrase_is_made_once() -> None:
    phrases, tts = Phrases(), ScriptedTTS()
    sounds = []
    for _ in range(3):
        speech = silent("filler")
        await voice_of(tts, phrases=phrases).say(speech, "One moment.")
        assert speech.complete
        assert speech.spoken == "One moment."
        sounds.append(bytes(speech.sound))
    assert list(tts.said) == ["One moment."]
    assert sounds[0] == sounds[1] == sounds[2] != b""
    other = silent("filler", AudioFormat("pcm16", 16_000))
    await voice_of(tts, other.audio, phrases).say(other, "One moment.")
    assert len(tts.said) == 2


async def test_a_phrase_that_failed_is_not_kept() -> None:
    phrases, tts = Phrases(), ScriptedTTS(faults={0: "fail"})
    with pytest.raises(IntegrationException):
        await voice_of(tts, phrases=phrases).say(silent("filler"), "One moment.")
    speech = silent("filler")
    await voice_of(tts, phrases=phrases).say(speech, "One moment.")
    assert PHONE.seconds(len(speech.sound)) == pytest.approx(11 * 0.06)


async def test_an_empty_phrase_is_over_at_once() -> None:
    speech = silent("say")
    await voice_of(ScriptedTTS()).say(speech, "")
    assert speech.over


def test_the_oldest_phrases_give_way() -> None:
    phrases, tts = Phrases(capacity=2), ScriptedTTS()
    for text in ("a", "b", "c"):
        phrases.keep(tts, Speaker(), PHONE, text, sound=text.encode())
    assert [phrases.get(tts, Speaker(), PHONE, text) for text in ("a", "b", "c")] == [None, b"b", b"c"]


@pytest.mark.parametrize("pcm", [np.zeros(80, np.float32), np.zeros((80, 2), np.int16)], ids=["float", "stereo"])
async def test_sound_of_another_kind_is_refused(pcm: Any) -> None:
    with pytest.raises(IntegrationInvalidResponseException, match="16-bit mono"):
        await voice_of(WrongTTS(SpeechChunk(pcm))).speak(silent(), HELLO)


async def test_a_phrase_is_kept_for_each_language() -> None:
    phrases, tts = Phrases(), ScriptedTTS()
    await phrases.prepare(tts, PHONE, ["Taxi."], speaker=Speaker("", "eva", "de"))
    assert phrases.get(tts, Speaker("desk", "eva", "de"), PHONE, "Taxi.")
    assert phrases.get(tts, Speaker("desk", "eva", "en"), PHONE, "Taxi.") is None
