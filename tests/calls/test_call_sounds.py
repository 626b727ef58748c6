"""Sounds in whole calls: files that are played, what is heard behind the agent, music on hold, paused recordings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import s2s_phone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invariants import check, check_nothing_left
from numpy.typing import NDArray
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.agents.background import BackgroundSound
from antiphon.agents.handoff import Handoff
from antiphon.audio.convert import to_pcm
from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.level import rms
from antiphon.audio.mix import interleave
from antiphon.audio.tones import sine
from antiphon.audio.wav import read_wav, write_wav
from antiphon.calls.events import (
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    AgentSpeechStarted,
    AgentStateChanged,
    BackgroundChanged,
    CallHeld,
    CallResumed,
    PlayCompleted,
    RecordingPaused,
    RecordingResumed,
    SessionEnded,
    SessionError,
    UserDtmf,
    UserIdle,
    UserTurnCompleted,
)
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import AudioError
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as asks
from antiphon.models.s2s.scripted import Calls, ScriptedS2S
from antiphon.store.files import FileWriter
from antiphon.store.recording import RECORDING_NAME, Recording
from antiphon.tools.context import ToolContext
from antiphon.tools.keypad import pin_gate
from antiphon.tools.sounds import (
    HOLD,
    PAUSE_RECORDING,
    PLAY,
    PLAY_BACKGROUND,
    RESUME,
    RESUME_RECORDING,
    STOP_BACKGROUND,
)

TONE_HZ = 620.0
FAR = TurnPolicy(idle_s=4.0, idle_reminders=5)


def tone(seconds: float = 1.0, rate_hz: int = 8_000) -> NDArray[np.int16]:
    return sine(TONE_HZ, seconds * 1000, rate_hz=rate_hz, amplitude=0.3)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """A second of a tone."""
    write_wav(tmp_path / "tone.wav", tone(), 8_000)
    return tmp_path / "tone.wav"


def run(clock: VirtualClock, scenario: Callable[[], Awaitable[CallUnderTest]]) -> CallUnderTest:
    """Run a scenario to its end; what holds for every call holds for it."""

    async def whole() -> CallUnderTest:
        call = await scenario()
        check_nothing_left()
        return call

    call = clock.run(whole())
    check(call)
    return call


def heard(call: CallUnderTest) -> NDArray[np.int16]:
    return to_pcm(call.phone.sound, call.phone.audio)


def pitch(pcm: NDArray[np.int16], rate_hz: int) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(spectrum.argmax() * rate_hz / len(pcm))


def tone_s(pcm: NDArray[np.int16], rate_hz: int) -> float:
    """Seconds in which the tone is the main thing that is heard."""
    frames = pcm[: len(pcm) // (rate_hz // 50) * (rate_hz // 50)].reshape(-1, rate_hz // 50)
    turn = np.exp(-2j * np.pi * TONE_HZ / rate_hz * np.arange(frames.shape[1]))
    return float((np.abs((frames * turn).mean(axis=1)) > 0.1 * 32768).sum() / 50)


@asynccontextmanager
async def cascade(clock: VirtualClock, **parts: Any) -> AsyncIterator[CallUnderTest]:
    async with calling(clock, **parts) as call:
        yield call


@asynccontextmanager
async def speech_model(
    clock: VirtualClock, *, stt: list[str] | None = None, llm: list[Any] | None = None, **parts: Any
) -> AsyncIterator[CallUnderTest]:
    model = ScriptedS2S(llm or [], heard=stt or [], delay_s=0.3, clock=clock)
    async with s2s_phone.calling(clock, model, **parts) as call:
        yield call


Kind = Callable[..., AbstractAsyncContextManager[CallUnderTest]]
both = pytest.mark.parametrize("kind", [cascade, speech_model], ids=["cascade", "s2s"])


# Files.


@both
@pytest.mark.parametrize(
    "audio", [PHONE, AudioFormat("pcm16", 16_000), AudioFormat("pcm16", 24_000)], ids=lambda audio: str(audio.rate_hz)
)
@pytest.mark.parametrize("file_hz", [8_000, 22_050, 44_100])
def test_r47_a_tone_that_is_played_keeps_its_pitch_and_length(
    kind: Kind, audio: AudioFormat, file_hz: int, tmp_path: Path
) -> None:
    clock = VirtualClock()
    mono = tone(rate_hz=file_hz)
    write_wav(tmp_path / "stereo.wav", interleave(mono, mono), file_hz)

    async def scenario() -> CallUnderTest:
        async with kind(clock, audio=audio) as call:
            await clock.sleep(0.5)
            call.call.sounds.play(tmp_path / "stereo.wav")
            await clock.sleep(2.0)
        return call

    call = run(clock, scenario)
    pcm = heard(call)
    assert abs(len(pcm) / audio.rate_hz - 1.0) <= 0.02
    assert abs(pitch(pcm, audio.rate_hz) - TONE_HZ) <= 1.0
    assert abs(rms(pcm) - 0.3 / np.sqrt(2)) < 0.01
    assert call.events(PlayCompleted) == [PlayCompleted(1, False, 1.0)]


@both
def test_a_file_stands_in_the_order_of_what_is_said(kind: Kind, wav: Path) -> None:
    clock = VirtualClock()
    chime = wav.read_bytes()

    async def scenario() -> CallUnderTest:
        async with kind(clock) as call:
            await clock.sleep(0.3)
            call.call.say("One moment.")
            call.call.sounds.play(chime, text="A chime.")
            call.call.say("Here we are.")
            await clock.sleep(8.0)
        return call

    call = run(clock, scenario)
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["say", "play", "say"]
    started = [event.speech for event in call.events(AgentSpeechStarted)]
    assert started == sorted(started)
    assert len(call.events(PlayCompleted)) == 1
    texts = [message.text for message in call.call.history.messages]
    assert texts == ["One moment.", "A chime.", "Here we are."]


@both
def test_a_file_that_the_caller_cuts_is_completed_once_and_before_the_end(kind: Kind, wav: Path) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with kind(clock, stt=["Stop it."], llm=["Very well."]) as call:
            await clock.sleep(0.3)
            write_wav(wav, tone(6.0), 8_000)
            call.call.sounds.play(wav)
            call.call.sounds.play(wav)
            await call.quiet(1.0)
            await call.speak(1.2)
            await call.quiet(4.0)
        return call

    call = run(clock, scenario)
    completed = call.events(PlayCompleted)
    assert sorted(event.play for event in completed) == [1, 2]
    assert all(event.interrupted for event in completed)
    assert completed[0].playback_position_s > 0.9
    assert call.entries[-1].event is call.events(SessionEnded)[0]


@both
def test_files_are_completed_exactly_once_whatever_becomes_of_them(kind: Kind, wav: Path) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with kind(clock, stt=["So. So. So."], llm=["Yes."]) as call:
            assert call.call.sounds.play(wav) == 1
            await call.speak(1.0)
            for _ in range(20):
                call.call.sounds.play(wav)  # more than may wait
            await call.speak(0.5)
        assert call.call.sounds.play(wav) == 22
        return call

    call = run(clock, scenario)
    assert sorted(event.play for event in call.events(PlayCompleted)) == list(range(1, 22))


@both
def test_an_announcement_is_heard_whole_and_the_caller_answered_behind_it(kind: Kind, wav: Path) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with kind(clock, stt=["Hello there, stop."], llm=["How can I help?"]) as call:
            await clock.sleep(0.3)
            write_wav(wav, tone(4.0), 8_000)
            call.call.sounds.play(wav, interruptible=False)
            await call.quiet(1.0)
            await call.speak(1.2)
            call.call.digit("5")
            await call.quiet(8.0)
        return call

    call = run(clock, scenario)
    assert call.events(PlayCompleted) == [PlayCompleted(1, False, 4.0)]
    assert call.events(AgentSpeechInterrupted) == []
    assert "How can I help?" in [message.text for message in call.call.history.messages]


@both
@pytest.mark.parametrize(
    ("content", "code"), [(b"no WAV at all", "invalid_audio"), (b"", "invalid_audio"), (None, "play_failed")]
)
def test_a_file_that_cannot_be_played_is_told_and_costs_nothing_else(
    kind: Kind, content: bytes | None, code: str, tmp_path: Path
) -> None:
    clock = VirtualClock()
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)

    async def scenario() -> CallUnderTest:
        async with kind(clock) as call:
            await clock.sleep(0.3)
            call.call.sounds.play(path)
            call.call.say("Still here.")
            await clock.sleep(4.0)
            with pytest.raises(AudioError, match="There is no sound 'jazz': use one of"):
                call.call.sounds.play("jazz")
        return call

    call = run(clock, scenario)
    assert [event.code for event in call.events(SessionError)] == [code]
    assert call.events(PlayCompleted) == [PlayCompleted(1, True, 0.0)]
    assert [message.text for message in call.call.history.messages] == ["Still here."]


# The background.


@both
def test_an_agents_background_is_heard_from_the_start_to_the_end_and_is_no_speech(kind: Kind, wav: Path) -> None:
    clock = VirtualClock()
    agent = Agent("desk", background=BackgroundSound(wav, 0.5))

    async def scenario() -> CallUnderTest:
        async with kind(
            clock, agent=agent, stt=["When?"], llm=["At nine.", "Hello?"], policy=CallPolicy(turn=FAR)
        ) as call:
            await call.quiet(1.0)
            assert call.phone.longest_silence(0.1, clock.now()) < 1e-6
            assert call.call.agent_is_silent
            await call.speak(1.0)
            await call.quiet(9.0)
        assert call.phone.longest_silence(0.1, clock.now()) < 0.021
        return call

    call = run(clock, scenario)
    assert call.events(BackgroundChanged) == [BackgroundChanged("tone.wav", 0.5, True)]
    assert len(call.events(UserIdle)) == 1  # it is no speech: the caller is missed all the same
    states = [event.new_state for event in call.events(AgentStateChanged)]
    assert states[:4] == ["listening", "thinking", "speaking", "listening"]
    assert [event.text for event in call.events(UserTurnCompleted)] == ["When?"]


@both
def test_a_background_is_laid_changed_and_stopped_at_will(kind: Kind, wav: Path) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with kind(clock) as call:
            sounds = call.call.sounds
            await clock.sleep(0.5)
            assert call.phone.heard_s == 0
            sounds.play_background(wav, volume=1.0)
            await clock.sleep(1.0)
            sounds.play_background("office", volume=0.4)
            await clock.sleep(1.0)
            sounds.stop_background()
            await clock.sleep(1.0)
            before = call.phone.heard_s
            await clock.sleep(1.0)
            assert call.phone.heard_s == before
            with pytest.raises(ValueError, match="use 0 to 1"):
                sounds.play_background("office", volume=3)
        return call

    call = run(clock, scenario)
    changes = [event.sound for event in call.events(BackgroundChanged)]
    assert changes == ["tone.wav", "office", None]
    assert 2.0 < call.phone.heard_s < 2.5
    pcm = heard(call)
    assert tone_s(pcm[:8000], 8000) > 0.8
    assert tone_s(pcm[12000:], 8000) == 0.0


def test_a_handoff_changes_what_is_heard_behind_the_agent(wav: Path) -> None:
    clock = VirtualClock()
    billing = Agent("billing", "Bill.", background=BackgroundSound("typing"))
    quiet = Agent("quiet", "Be quiet.")
    desk = Agent("desk", "Help.", background=BackgroundSound(wav), handoffs=[Handoff(billing), Handoff(quiet)])

    async def scenario() -> CallUnderTest:
        async with calling(
            clock,
            agent=desk,
            stt=["My bill.", "Thanks."],
            llm=[Reply(calls=(asks("handoff_to_billing", reason="bill"),)), "Here it is."],
        ) as call:
            await call.quiet(0.5)
            await call.speak(1.0)
            await call.quiet(5.0)
        return call

    call = run(clock, scenario)
    assert [event.sound for event in call.events(BackgroundChanged)] == ["tone.wav", "typing"]


def test_a_line_that_carries_no_background_says_so_once_and_has_a_quiet_call(wav: Path) -> None:
    clock = VirtualClock()

    class Plain:
        """A line without ``play_background``."""

        has_marks, can_clear, can_pause = False, True, True
        audio = PHONE

        def __init__(self) -> None:
            self.frames: list[bytes] = []

        def play(self, payload: bytes, speech: Any) -> None:
            self.frames.append(payload)

        def mark(self, name: str) -> None: ...

        def clear(self) -> None: ...

        def hang_up(self, reason: str) -> None: ...

    line = Plain()

    async def scenario() -> list[Any]:
        async with calling(clock, phone=line, agent=Agent("a", background=BackgroundSound(wav))) as call:
            await clock.sleep(1.0)
            call.call.sounds.play(wav)
            await clock.sleep(2.0)
        return call.events(SessionError)

    errors = clock.run(scenario())
    assert [(error.code, error.message) for error in errors] == [
        ("no_background", "This line carries no background: only phone lines do.")
    ]
    assert len(b"".join(line.frames)) == 8000


# On hold.


@both
def test_who_is_on_hold_hears_music_is_not_listened_to_and_not_asked_to_speak(kind: Kind) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with kind(
            clock,
            agent=Agent("a", background=BackgroundSound("office")),
            policy=CallPolicy(turn=FAR),
            stt=["Hello again."],
            llm=["Yes.", "Are you there?"],
        ) as call:
            sounds = call.call.sounds
            await call.quiet(0.5)
            sounds.hold()
            sounds.hold()
            assert sounds.on_hold
            await call.quiet(2.0)
            await call.speak(2.0)
            call.call.say("It takes a little longer.")
            await call.quiet(12.0)
            assert call.phone.longest_silence(0.1, clock.now()) < 1e-6
            assert call.events(UserIdle) == []
            sounds.resume()
            sounds.resume()
            await call.quiet(1.0)
            await call.speak(1.0)
            await call.quiet(3.0)
        return call

    call = run(clock, scenario)
    assert len(call.events(CallHeld)) == len(call.events(CallResumed)) == 1
    assert [event.sound for event in call.events(BackgroundChanged)] == ["office", "hold", "office"]
    assert len(call.events(UserTurnCompleted)) == 1
    assert call.at(UserTurnCompleted) > call.at(CallResumed)
    assert "It takes a little longer." in [message.text for message in call.call.history.messages]


@both
def test_after_the_hold_the_caller_is_missed_again(kind: Kind) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with kind(clock, policy=CallPolicy(turn=FAR), llm=["Are you there?"]) as call:
            await call.quiet(0.5)
            call.call.sounds.hold()
            await call.quiet(10.0)
            call.call.sounds.resume()
            await call.quiet(5.0)
        return call

    call = run(clock, scenario)
    assert 3.9 < call.at(UserIdle) - call.at(CallResumed) < 4.2


# What tools ask for.


@both
def test_tools_may_ask_for_all_of_it(kind: Kind, wav: Path) -> None:
    clock = VirtualClock()

    async def sound_check(context: ToolContext) -> str:
        """Try every sound."""
        context.request(PLAY_BACKGROUND, {"sound": "typing", "volume": 0.2})
        context.request(PLAY, {"sound": str(wav), "text": "Beep."})
        context.request(HOLD, {})
        context.request(RESUME, {})
        context.request(STOP_BACKGROUND, {})
        context.request(PAUSE_RECORDING, {"by": "check"})
        context.request(RESUME_RECORDING, {"by": "check"})
        context.request(PLAY, {"sound": "jazz"})
        context.request(HOLD, {"loudness": 1})
        return "done"

    async def scenario() -> CallUnderTest:
        async with kind(
            clock,
            agent=Agent("a", tools=[sound_check]),
            stt=["Try."],
            llm=[Reply(calls=(asks("sound_check"),)) if kind is cascade else Calls("sound_check"), "All tried."],
        ) as call:
            await call.quiet(0.5)
            await call.speak(1.0)
            await call.quiet(5.0)
        return call

    call = run(clock, scenario)
    names = call.names()
    for told in ("call.held", "call.resumed", "play.completed"):
        assert names.count(told) == 1, told
    errors = [(event.code, event.message) for event in call.events(SessionError)]
    assert [code for code, _ in errors] == ["invalid_command", "invalid_command"]
    assert "The request 'play' cannot be done: There is no sound 'jazz'" in errors[0][1]


# The recording.


@both
def test_a_paused_recording_is_silence_on_both_sides_and_its_times_stay(kind: Kind, wav: Path, tmp_path: Path) -> None:
    clock = VirtualClock()
    writer = FileWriter()
    write_wav(wav, tone(6.0), 8_000)

    async def scenario() -> CallUnderTest:
        recording = Recording(PHONE, tmp_path, writer)
        async with kind(clock, tap=recording, stt=["One.", "Two."], llm=["Yes.", "No."]) as call:
            await call.quiet(0.5)
            call.call.sounds.play(wav, interruptible=False)
            await call.speak(1.5)
            call.call.recording.pause("secret")
            call.call.recording.pause("secret")
            call.call.recording.pause("application")
            await call.speak(1.0)
            call.call.recording.resume("application")
            assert call.call.recording.is_paused
            await call.speak(1.0)
            call.call.recording.resume("secret")
            await call.speak(1.5)
            await call.quiet(2.0)
        await recording.feed.aclose()
        return call

    call = run(clock, scenario)
    writer.close()
    assert call.events(RecordingPaused, RecordingResumed) == [RecordingPaused("secret"), RecordingResumed("secret")]
    paused, resumed = call.at(RecordingPaused), call.at(RecordingResumed)
    assert resumed - paused == pytest.approx(2.0, abs=0.03)
    sound, rate_hz = read_wav(tmp_path / RECORDING_NAME)
    assert rate_hz == 8_000
    assert len(sound) / 8_000 == pytest.approx(7.5, abs=0.1)
    gap = sound[int((paused + 0.03) * 8_000) : int((resumed - 0.03) * 8_000)]
    assert not gap.any()
    before, after = sound[: int(paused * 8_000)], sound[int((resumed + 0.25) * 8_000) : int((resumed + 1.2) * 8_000)]
    assert rms(before[-8_000:, 0]) > 0.1
    assert rms(before[-6_000:, 1]) > 0.1
    assert rms(after[:, 0]) > 0.1
    assert rms(after[:, 1]) > 0.1
    assert abs(pitch(after[:, 1], 8_000) - TONE_HZ) < 2


class Tape:
    """A tap that keeps which side was heard when."""

    def __init__(self) -> None:
        self.loud: list[float] = []

    def caller(self, at_s: float, payload: bytes) -> None:
        if rms(to_pcm(payload, PHONE)) > 0.01:
            self.loud.append(at_s)

    def agent(self, at_s: float, payload: bytes) -> None: ...

    def cut(self, at_s: float) -> None: ...


@both
@pytest.mark.parametrize("typed", ["4711#", "1234#"])
def test_nothing_is_recorded_while_a_secret_number_is_typed(kind: Kind, typed: str) -> None:
    clock = VirtualClock()
    tape = Tape()

    async def scenario() -> CallUnderTest:
        async with kind(
            clock,
            tap=tape,
            agent=Agent("bank", tools=[pin_gate("4711", attempts=1)]),
            stt=["My balance."],
            llm=[
                Reply(calls=(asks("pin_gate"),)) if kind is cascade else Calls("pin_gate"),
                "Please type it.",
                "Thank you.",
            ],
        ) as call:
            await call.speak(1.0)
            await call.quiet(4.0)
            for key in typed:
                call.call.digit(key)
                await call.speak(0.2)  # the tones of the keys, on the caller's channel
            await call.quiet(6.0)
        return call

    call = clock.run(scenario())
    assert [event.by for event in call.events(RecordingPaused, RecordingResumed)] == ["secret", "secret"]
    paused, resumed = call.at(RecordingPaused), call.at(RecordingResumed)
    assert paused < call.at(UserDtmf) < resumed
    assert tape.loud
    assert not [at for at in tape.loud if paused <= at <= resumed]


def test_the_recording_has_the_background_in_the_agents_channel(wav: Path, tmp_path: Path) -> None:
    clock = VirtualClock()
    writer = FileWriter()

    async def scenario() -> CallUnderTest:
        agent = Agent("a", background=BackgroundSound(wav, 1.0))
        recording = Recording(PHONE, tmp_path, writer)
        async with calling(clock, tap=recording, agent=agent) as call:
            await call.quiet(3.0)
        await recording.feed.aclose()
        return call

    run(clock, scenario)
    writer.close()
    sound, _ = read_wav(tmp_path / RECORDING_NAME)
    assert rms(sound[4_000:20_000, 0]) < 0.001
    assert tone_s(sound[4_000:20_000, 1], 8_000) == pytest.approx(2.0, abs=0.05)


def test_where_nobody_records_a_pause_means_nothing() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock) as call:
            call.call.recording.pause()
            await call.quiet(0.5)
            call.call.recording.resume()
        return call

    call = run(clock, scenario)
    assert call.events(RecordingPaused, RecordingResumed) == []


# All of it at once.

STEPS: dict[str, Callable[[CallUnderTest, Path], object]] = {
    "play": lambda call, wav: call.call.sounds.play(wav, text="A tone."),
    "announce": lambda call, wav: call.call.sounds.play(wav, interruptible=False),
    "broken": lambda call, wav: call.call.sounds.play(wav.with_name("none.wav")),
    "background": lambda call, wav: call.call.sounds.play_background(wav, volume=0.4),
    "once": lambda call, wav: call.call.sounds.play_background(wav, loop=False),
    "no background": lambda call, _: call.call.sounds.stop_background(),
    "hold": lambda call, wav: call.call.sounds.hold(wav),
    "resume": lambda call, _: call.call.sounds.resume(),
    "pause": lambda call, _: call.call.recording.pause(),
    "record": lambda call, _: call.call.recording.resume(),
    "say": lambda call, _: call.call.say("One moment."),
    "key": lambda call, _: call.call.digit("5"),
}


@both
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.sampled_from([*STEPS, "speak", "quiet"]), st.integers(1, 60)), max_size=25),
    line=st.sampled_from([{}, {"can_clear": False, "can_pause": False}, {"has_marks": False}, {"delay_s": 0.15}]),
    frame_ms=st.sampled_from([20, 250]),
)
def test_whatever_sounds_every_promise_of_a_call_holds(
    kind: Kind, wav: Path, steps: list[tuple[str, int]], line: dict[str, Any], frame_ms: int
) -> None:
    clock = VirtualClock()
    policy = CallPolicy(frame_ms=frame_ms, lead_s=max(0.2, frame_ms / 1000 + 0.15))

    async def scenario() -> CallUnderTest:
        async with kind(
            clock,
            policy=policy,
            stt=["And then?"] * 30,
            llm=["Then we go on with it."] * 60,
            agent=Agent("desk", greeting="Hello."),
            tap=Tape(),
            **line,
        ) as call:
            for step, frames in steps:
                if step == "speak":
                    await call.speak(frames * 0.02)
                elif step == "quiet":
                    await call.quiet(frames * 0.1)
                else:
                    STEPS[step](call, wav)
        return call

    call = run(clock, scenario)
    asked = sum(step in ("play", "announce", "broken") for step, _ in steps)
    completed = [event.play for event in call.events(PlayCompleted)]
    assert sorted(completed) == list(range(1, asked + 1))
    paused = call.names().count("recording.paused")
    assert paused - 1 <= call.names().count("recording.resumed") <= paused
