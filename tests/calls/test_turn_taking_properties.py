"""What holds for turn-taking whatever happens: random calls, and random nonsense.

Most of it is checked by the ``Referee`` after every step: nothing behind the end, pauses that match, no answer to
nothing, no turn cut from a caller who speaks, and a timer that leads out of every phase.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.calls import floor as f
from antiphon.calls.endpointing import words_of
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.expected import WHATS
from antiphon.calls.floor import Event, Phase
from antiphon.calls.policy import BACKCHANNELS, TurnPolicy
from antiphon.calls.turn_taking import TurnTaking
from tests.calls.script import NEVER, Answer, Referee, Script

FEW = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

seconds = st.floats(0.0, 3.0, allow_nan=False)
flags = st.booleans()

policies = st.builds(
    TurnPolicy,
    start_s=st.sampled_from([0.06, 0.2]),
    stop_s=st.sampled_from([0.2, 0.25, 0.6]),
    complete_delay_s=st.sampled_from([0.0, 0.35]),
    max_turn_s=st.sampled_from([4.0, 60.0]),
    final_timeout_s=st.sampled_from([0.5, 2.5]),
    interruption=st.sampled_from(["vad", "words", "off"]),
    min_interruption_s=st.sampled_from([0.2, 0.5]),
    min_words=st.sampled_from([0, 1, 3]),
    greeting_interruptible=flags,
    yields_at_once=flags,
    keeps_turns=flags,
    max_dead_air_s=st.sampled_from([2.0, 4.0]),
    idle_s=st.sampled_from([5.0, 15.0]),
    idle_reminders=st.sampled_from([0, 2]),
    dead_air_fillers=st.sampled_from([0, 1, 2]),
    speculate=flags,
    ending_s=st.sampled_from([3.0, 12.0]),
)

texts = st.sampled_from(
    ["", "no", "uh-huh", "yes", "I would like to", "and", "What time do you open?", "five five", "book it, please."]
)
reasons = st.sampled_from(get_args(EndReason))
kinds = st.sampled_from(get_args(SpeechKind))
timers = st.sampled_from(get_args(f.TimerName))

NONSENSE = st.one_of(
    st.builds(f.Opened, st.just(0.0), flags),
    st.builds(f.VoiceStarted, st.just(0.0), st.just(0.0)),
    st.builds(f.VoiceStopped, st.just(0.0), st.just(0.0)),
    st.builds(f.Heard, st.just(0.0), texts, flags, st.integers(-1, 6), flags),
    st.builds(f.TurnScored, st.just(0.0), st.floats(0, 1)),
    st.builds(f.SpeechStarted, st.just(0.0), kinds),
    st.builds(f.SpeechFinished, st.just(0.0), flags, texts),
    st.builds(f.ReplyFailed, st.just(0.0)),
    st.builds(f.SpeakRequested, st.just(0.0)),
    st.builds(f.AgentHasNews, st.just(0.0)),
    st.builds(f.KeyPressed, st.just(0.0), flags, st.sampled_from([0.0, 1.5])),
    st.builds(f.InputExpected, st.just(0.0), st.sampled_from(sorted(WHATS)), st.none() | st.just(4)),
    st.builds(f.KeysTyped, st.just(0.0), st.just("••••"), st.just(0.0), flags),
    st.builds(f.CommitRequested, st.just(0.0)),
    st.builds(f.ReplyRequested, st.just(0.0)),
    st.builds(f.CancelRequested, st.just(0.0)),
    st.builds(f.InputCleared, st.just(0.0)),
    st.builds(f.Timeout, st.just(0.0), timers, flags),
    st.builds(f.Timeout, st.just(0.0), timers, flags),
    st.builds(f.Timeout, st.just(0.0), timers, flags),
)
"""Any event at any time; the times are set when they are told."""
LAST = st.one_of(
    st.builds(f.EndRequested, st.just(0.0), reasons, flags),
    st.builds(f.LineLost, st.just(0.0), reasons),
)


def _at(event: Event, now: float, back: float) -> Event:
    if isinstance(event, f.VoiceStarted):
        return replace(event, at=now, speech_at=max(0.0, now - back))
    if isinstance(event, f.VoiceStopped):
        return replace(event, at=now, silence_at=max(0.0, now - back))
    return replace(event, at=now)


@FEW
@given(
    policies,
    flags,
    st.lists(st.tuples(seconds, st.floats(0, 1), NONSENSE), max_size=60),
    st.lists(st.tuples(seconds, st.floats(0, 1), st.one_of(NONSENSE, LAST)), max_size=15),
)
def test_nonsense_breaks_nothing(
    policy: TurnPolicy,
    greet: bool,
    first: list[tuple[float, float, Event]],
    then: list[tuple[float, float, Event]],
) -> None:
    floor = TurnTaking(policy)
    referee = Referee(floor)
    now = 0.0
    for delay, back, event in [(0.0, 0.0, f.Opened(0.0, greet)), *first, *then]:
        now += delay
        event = _at(event, now, back)
        referee.watch(event, floor.on(event))


answers = st.builds(
    Answer,
    after=st.sampled_from([0.0, 0.2, 0.6, 2.0, 5.0, NEVER]),
    seconds=st.sampled_from([0.1, 1.0, 3.0]),
    rest=st.none() | st.tuples(st.sampled_from([0.1, 1.0, 6.0, NEVER]), st.sampled_from([0.1, 2.0])),
    fails=st.none() | st.none() | st.sampled_from([0.1, 1.0, 2.5]),
    text=st.sampled_from(["We open at nine.", "What is your phone number?", "Is Monday fine?"]),
)
voices = st.tuples(
    st.floats(0.61, 6.0),  # silence before it, longer than any detector's window
    st.floats(0.21, 4.0),
    st.sampled_from(["", "aside", "words", "words", "words"]),
    st.sampled_from([0.0, 0.1, 0.4, 1.5]),  # until the recogniser knows
    st.none() | st.floats(0.1, 0.9),  # when it had an idea
)


def conversation(
    policy: TurnPolicy,
    greet: bool,
    replies: list[Answer],
    heard: list[tuple[float, float, str, float, float | None]],
) -> Script:
    """A call in which every utterance of the caller has a word of its own."""
    script = Script(policy, greet=greet, answers=replies)
    now = 0.1
    for number, (gap, length, what, after, early) in enumerate(heard):
        now += gap
        text = {"": "", "aside": "uh-huh", "words": f"word{number} here."}[what]
        partials = {now + 0.2 + early * (length - 0.2): text} if early is not None and text else {}
        script.at(now).voice(until=now + length, words=text, final_after=after, partials=partials)
        now += length
    return script


@FEW
@given(policies, flags, st.lists(answers, min_size=1, max_size=4), st.lists(voices, max_size=8))
def test_every_call_comes_to_its_end_when_nobody_speaks_any_more(
    policy: TurnPolicy, greet: bool, replies: list[Answer], heard: list[tuple[float, float, str, float, float | None]]
) -> None:
    script = conversation(policy, greet, replies, heard).run(600)
    assert script.phase is Phase.ENDED
    assert len(script.acts(f.HangUp)) == 1


@FEW
@given(
    policies.map(lambda policy: replace(policy, final_timeout_s=2.5)),
    st.lists(answers, min_size=1, max_size=4),
    st.lists(voices, max_size=8),
)
def test_every_word_of_the_caller_is_answered_once(
    policy: TurnPolicy, replies: list[Answer], heard: list[tuple[float, float, str, float, float | None]]
) -> None:
    script = conversation(policy, False, replies, heard).run(600)
    if script.only(f.HangUp).reason == "error":
        return  # it ended in the agent's silence; words may have been waiting
    said = [
        word
        for step in script.steps
        if isinstance(step.event, f.Heard) and step.event.final and step.phase not in {Phase.ENDING, Phase.ENDED}
        for word in words_of(step.event.text)
        if word.startswith("word")
    ]
    answered = [
        word
        for commit in script.acts(f.Commit, f.KeepTurn)
        if isinstance(commit, f.Commit | f.KeepTurn)
        for word in words_of(commit.fresh if isinstance(commit, f.Commit) else commit.text)
        if word.startswith("word")
    ]
    assert answered == said


@FEW
@given(
    policies,
    st.lists(answers, min_size=1, max_size=4),
    st.lists(voices, max_size=6),
    st.floats(0.0, 30.0),
    flags,
    reasons,
)
def test_a_call_that_is_to_end_ends_in_time_and_once(
    policy: TurnPolicy,
    replies: list[Answer],
    heard: list[tuple[float, float, str, float, float | None]],
    when: float,
    goodbye: bool,
    reason: EndReason,
) -> None:
    script = conversation(policy, False, replies, heard)
    script.at(when).end(reason, goodbye=goodbye)
    script.at(when + 1.0).end("drained", goodbye=True)
    script.run(when + policy.ending_s + 0.01)
    assert script.phase is Phase.ENDED
    assert len(script.acts(f.HangUp)) == 1
    assert len(script.acts(f.SayGoodbye)) <= 2  # an idle or a failing call may have said its own before


@FEW
@given(
    policies,
    flags,
    st.lists(answers, min_size=1, max_size=4),
    st.lists(voices, max_size=8),
)
def test_the_agent_is_never_silent_for_long_in_its_own_turn(
    policy: TurnPolicy,
    greet: bool,
    replies: list[Answer],
    heard: list[tuple[float, float, str, float, float | None]],
) -> None:
    script = conversation(policy, greet, replies, heard).run(600)
    since = None
    for step in script.steps:
        if since is not None:
            assert step.at - since <= policy.max_dead_air_s + 1e-6
        acted = any(isinstance(action, f.Say | f.SayGoodbye | f.Commit) for action in step.actions)
        if step.phase is not Phase.THINKING:
            since = None
        elif since is None or acted:
            since = step.at


def test_the_words_of_the_property_tests_are_no_backchannels() -> None:
    assert "uh-huh" in BACKCHANNELS
    assert not {"word1", "here"} & BACKCHANNELS


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ENDED])
def test_there_is_a_way_out_of_every_phase(phase: Phase) -> None:
    from antiphon.calls.turn_taking import TABLE

    assert any(row.phase is phase and row.then is not phase for row in TABLE if row.then is not None)
