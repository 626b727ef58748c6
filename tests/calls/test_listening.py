"""Frames in; voice, silence and words out. Nothing is lost where speech starts, nothing is asked for without need."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest
from phone import SILENCE, SPEECH

from antiphon.audio.formats import PHONE
from antiphon.calls.floor import Heard, TurnScored, VoiceStarted, VoiceStopped
from antiphon.calls.ledger import Ledger
from antiphon.calls.listening import Listening
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.turn.contract import TurnModel
from antiphon.models.turn.scripted import ScriptedTurn
from antiphon.models.vad.contract import VAD
from antiphon.models.vad.energy import EnergyVAD
from antiphon.models.vad.scripted import ScriptedVAD

FRAME = SPEECH[:160]


class Ears:
    """A listening with what it reports."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        stt: ScriptedSTT | None = None,
        turn: TurnModel | None = None,
        vad: VAD | None = None,
        policy: CallPolicy | None = None,
    ) -> None:
        self.clock = clock
        self.events: list[Any] = []
        self.failures: list[Exception] = []
        self.tasks: list[Any] = []
        self.fed: list[int] = []
        self.ledger = Ledger()
        self.listening = Listening(
            PHONE,
            vad=vad or EnergyVAD(),
            stt=self.counting(stt or ScriptedSTT(["hello"], clock=clock)),
            turn=turn,
            policy=policy or CallPolicy(),
            report=self.events.append,
            failed=self.failures.append,
            spawn=self.spawn,
            clock=clock,
            now=clock.now,
            ledger=self.ledger,
        )

    def counting(self, stt: ScriptedSTT) -> Any:
        """The recogniser, with a count of the samples that each feed brings."""
        opened = stt.open

        def open_and_count(*args: Any, **options: Any) -> Any:
            stream = opened(*args, **options)
            feed = stream.feed
            stream.feed = lambda pcm: (self.fed.append(len(pcm)), feed(pcm))[1]  # type: ignore[method-assign]
            return stream

        stt.open = open_and_count  # type: ignore[method-assign]
        return stt

    def spawn(self, work: Coroutine[Any, Any, None], _name: str) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def hear(self, frame: bytes, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            await self.clock.sleep(0.02)
            self.listening.hear(frame)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def test_speech_is_reported_with_its_true_start_and_end() -> None:
    clock = VirtualClock()

    async def scenario() -> Ears:
        ears = Ears(clock)
        await ears.hear(SILENCE, 1)
        await ears.hear(FRAME, 1)
        await ears.hear(SILENCE, 1)
        await ears.listening.aclose()
        return ears

    ears = clock.run(scenario())
    assert [type(event) for event in ears.events] == [VoiceStarted, VoiceStopped]
    started, stopped = ears.events
    assert started.speech_at == pytest.approx(1.0)
    assert started.at == pytest.approx(1.06)
    assert stopped.silence_at == pytest.approx(2.0)
    assert stopped.at == pytest.approx(2 + CallPolicy().turn.stop_s, abs=0.021)


def test_silence_goes_nowhere_and_speech_comes_with_what_was_before_it() -> None:
    clock = VirtualClock()
    policy = CallPolicy(preroll_s=0.4)

    async def scenario() -> Ears:
        ears = Ears(clock, policy=policy)
        await ears.hear(SILENCE, 5)
        assert ears.fed == []
        assert ears.tasks == []
        await ears.hear(FRAME, 1)
        await ears.listening.aclose()
        return ears

    ears = clock.run(scenario())
    assert ears.fed[0] / 8000 == pytest.approx(0.4 + policy.turn.start_s)
    assert sum(ears.fed) / 8000 == pytest.approx(1.4)
    assert ears.ledger.usage().stt_audio_s == pytest.approx(1.4)


def test_a_click_is_no_speech_and_a_gap_in_a_word_no_silence() -> None:
    clock = VirtualClock()

    async def scenario() -> Ears:
        ears = Ears(clock)
        for _ in range(10):
            await ears.hear(FRAME, 0.02)
            await ears.hear(SILENCE, 0.1)
        assert ears.events == []
        for _ in range(10):
            await ears.hear(FRAME, 0.1)
            assert ears.listening.voiced
            await ears.hear(SILENCE, 0.12)
            assert not ears.listening.voiced
        return ears

    assert len(clock.run(scenario()).events) == 1


def test_wavering_scores_keep_speech_going() -> None:
    """Between the threshold and a little below it, speech neither starts nor stops."""
    clock = VirtualClock()
    vad = ScriptedVAD([(0.5, 0.45), (0.5, 0.6), (1.0, 0.4), (1.0, 0.3)])

    async def scenario() -> Ears:
        ears = Ears(clock, vad=vad)
        await ears.hear(SILENCE, 3)
        return ears

    started, stopped = clock.run(scenario()).events
    assert started.speech_at == pytest.approx(0.5, abs=0.021)
    assert stopped.silence_at == pytest.approx(2.0, abs=0.021)


def test_words_and_failures_belong_to_the_utterances_in_order() -> None:
    clock = VirtualClock()
    stt = ScriptedSTT(["one", "two", "three", "four"], faults={0: "fail", 2: "fail"}, delay_s=1, clock=clock)

    async def scenario() -> Ears:
        ears = Ears(clock, stt=stt)
        for _ in range(4):
            await clock.sleep(0.1)
            ears.listening.finish_utterance()
        await clock.sleep(2)
        return ears

    ears = clock.run(scenario())
    heard = [(event.utterance, event.text, event.failed) for event in ears.of(Heard)]
    assert heard == [(0, "", True), (1, "two", False), (2, "", True), (3, "four", False)]
    assert len(ears.failures) == 2


def test_frames_that_stop_coming_are_silence() -> None:
    clock = VirtualClock()

    async def scenario() -> Ears:
        ears = Ears(clock)
        await ears.hear(FRAME, 1)
        await clock.sleep(5)
        assert all(task.done() for task in ears.tasks)
        await ears.hear(FRAME, 1)
        await ears.hear(SILENCE, 1)
        await clock.sleep(2)
        assert all(task.done() for task in ears.tasks)
        return ears

    ears = clock.run(scenario())
    assert [type(event) for event in ears.events] == [VoiceStarted, VoiceStopped] * 2
    assert ears.events[1].at < 2.6
    assert ears.events[1].silence_at == pytest.approx(1.0, abs=0.1)


def test_a_frame_longer_than_the_preroll_is_heard_whole() -> None:
    clock = VirtualClock()

    async def scenario() -> Ears:
        ears = Ears(clock)
        ears.listening.hear(SPEECH * 100)  # two seconds
        return ears

    ears = clock.run(scenario())
    assert sum(ears.fed) == 16_000


class Noting(ScriptedTurn):
    """An end-of-turn model that notes what it hears."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.heard: list[tuple[float, int, str]] = []

    async def score(self, pcm: np.ndarray[Any, Any], text: str) -> float:
        self.heard.append((len(pcm) / self.rate_hz, int(np.abs(pcm).max()), text))
        return await super().score(pcm, text)


def test_the_turn_model_hears_the_last_seconds_each_time() -> None:
    clock = VirtualClock()

    async def scenario() -> tuple[Ears, Noting]:
        turn = Noting(scores=[0.3, 0.9], clock=clock)
        ears = Ears(clock, turn=turn)
        await ears.hear(FRAME, 10)
        await ears.hear(SILENCE, 0.3)
        ears.listening.finish_utterance()
        await ears.hear(SILENCE, 0.3)
        ears.listening.finish_utterance()
        await clock.sleep(0.1)
        return ears, turn

    ears, turn = clock.run(scenario())
    assert [event.probability for event in ears.of(TurnScored)] == [0.3, 0.9]
    assert [seconds for seconds, _, _ in turn.heard] == [pytest.approx(8.0), pytest.approx(8.0)]
    assert all(loudest > 5000 for _, loudest, _ in turn.heard)


@pytest.mark.parametrize("fault", ["fail", "stall"])
def test_a_turn_model_at_fault_has_no_opinion(fault: Any) -> None:
    clock = VirtualClock()

    async def scenario() -> Ears:
        ears = Ears(clock, turn=ScriptedTurn(faults={0: fault}, clock=clock))
        await ears.hear(FRAME, 1)
        await ears.hear(SILENCE, 0.3)
        ears.listening.finish_utterance()
        await clock.sleep(2)
        assert all(task.done() and task.exception() is None for task in ears.tasks)
        return ears

    assert clock.run(scenario()).of(TurnScored) == []


def test_an_opinion_on_a_pause_that_is_over_is_not_told() -> None:
    clock = VirtualClock()

    async def scenario() -> Ears:
        ears = Ears(clock, turn=ScriptedTurn([0.9], delay_s=0.5, clock=clock))
        await ears.hear(FRAME, 1)
        await ears.hear(SILENCE, 0.3)
        ears.listening.finish_utterance()
        await ears.hear(FRAME, 1)
        return ears

    assert clock.run(scenario()).of(TurnScored) == []


@pytest.mark.parametrize(("start_s", "stop_s"), [(0.06, 0.25), (0.2, 0.2), (0.1, 0.8)])
def test_the_policy_says_how_long_speech_and_silence_are(start_s: float, stop_s: float) -> None:
    clock = VirtualClock()

    async def scenario() -> Ears:
        ears = Ears(clock, policy=CallPolicy(turn=TurnPolicy(start_s=start_s, stop_s=stop_s)))
        await ears.hear(FRAME, 1)
        await ears.hear(SILENCE, 1)
        return ears

    started, stopped = clock.run(scenario()).events
    assert started.at - started.speech_at == pytest.approx(start_s, abs=0.011)
    assert stopped.at - stopped.silence_at == pytest.approx(stop_s, abs=0.011)


class LanguageSTT(ScriptedSTT):
    """Each stream says in which language it was opened, and how many utterances it has heard."""

    def __init__(self, clock: VirtualClock, *, delay_s: float = 0.0, fails_in: str = "") -> None:
        super().__init__(clock=clock, delay_s=delay_s)
        self.languages: list[str | None] = []
        self._fails_in = fails_in

    def open(self, *args: Any, language: str | None = None, **options: Any) -> Any:
        self.languages.append(language)
        texts = [f"{language} {number}" for number in range(3)]
        faults: Any = dict.fromkeys(range(3), "fail") if str(language) == self._fails_in else {}
        each = ScriptedSTT(texts, clock=self.clock, delay_s=self.delay_s, faults=faults)
        return each.open(*args, **options)


def heard_in(ears: Ears) -> list[tuple[int, str]]:
    return [(event.utterance, event.text) for event in ears.of(Heard)]


@pytest.mark.parametrize("fails_in", ["", "None", "de"])
def test_another_language_holds_from_the_next_utterance_on(fails_in: str) -> None:
    """What was said before is still answered by the old stream, under its own number."""
    clock = VirtualClock()
    stt = LanguageSTT(clock, delay_s=0.5, fails_in=fails_in)

    async def scenario() -> Ears:
        ears = Ears(clock, stt=stt)
        for number in range(3):
            await ears.hear(SPEECH, 0.4)
            if number == 0:
                ears.listening.listen_for("de")  # in the middle of what is being said
                assert stt.languages == [None]
            await ears.hear(SILENCE, 0.4)
            ears.listening.finish_utterance()
        await ears.hear(SILENCE, 3.0)
        assert all(task.done() for task in ears.tasks)
        await ears.listening.aclose()
        return ears

    ears = clock.run(scenario())
    assert stt.languages == [None, "de"]
    words = ["None 0", "de 0", "de 1"]
    expected = [(number, "" if fails_in and text.startswith(fails_in) else text) for number, text in enumerate(words)]
    assert heard_in(ears) == expected


def test_the_same_language_keeps_its_stream() -> None:
    clock = VirtualClock()
    stt = LanguageSTT(clock)

    async def scenario() -> None:
        ears = Ears(clock, stt=stt)
        ears.listening.listen_for("de")
        ears.listening.listen_for("de")
        await ears.listening.aclose()

    clock.run(scenario())
    assert stt.languages == [None, "de"]
