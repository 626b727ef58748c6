"""The manners of an agent become the policy of its call, and follow a handoff."""

from __future__ import annotations

import pytest

from antiphon import Agent
from antiphon.agents.manners import (
    CASCADE_SILENCE_MS,
    REALTIME_SILENCE_MS,
    Hearing,
    Idle,
    Interruption,
    Manners,
    Voicemail,
)
from antiphon.calls.manners import policy_for
from antiphon.calls.policy import BACKCHANNELS, CallPolicy, TurnPolicy

BASE = CallPolicy()


def policy(**manners: object) -> CallPolicy:
    return policy_for(Agent("desk", manners=Manners(**manners)), BASE)  # type: ignore[arg-type]


def test_an_agent_without_manners_goes_by_the_server_s_and_knows_the_goodbyes_of_its_language() -> None:
    own = policy_for(Agent("desk", language="de"), BASE)
    assert "tschüss" in own.turn.stop_words
    assert own.goodbye == "Auf Wiederhören."
    assert TurnPolicy.from_dict({**own.turn.to_dict(), "stop_words": []}) == BASE.turn


@pytest.mark.parametrize(("mode", "expected"), [("vad", "vad"), ("adaptive", "words"), ("off", "off")])
def test_the_mode_of_interruption_is_the_agent_s(mode: str, expected: str) -> None:
    assert policy(interruption=Interruption(mode)).turn.interruption == expected  # type: ignore[arg-type]


def test_what_interrupts_is_the_agent_s() -> None:
    turn = policy(interruption=Interruption(min_duration_ms=800, min_words=3, ignore_words=("Go on",))).turn
    assert (turn.min_interruption_s, turn.min_words) == (0.8, 3)
    assert turn.backchannels == BACKCHANNELS | {"go on"}


def test_r13_there_is_one_default_of_the_silence_that_ends_a_turn_for_each_pipeline() -> None:
    assert (CASCADE_SILENCE_MS, REALTIME_SILENCE_MS) == (800, 700)
    assert TurnPolicy().uncertain_delay_s == CASCADE_SILENCE_MS / 1000


def test_the_silence_that_ends_a_turn_keeps_the_proportion_of_the_delays() -> None:
    turn = policy(hearing=Hearing(silence_ms=1600)).turn
    delays = (turn.complete_delay_s, turn.uncertain_delay_s, turn.incomplete_delay_s)
    assert delays == pytest.approx((0.7, 1.6, 3.6))


def test_the_silence_is_the_same_for_all_turns_where_the_server_does_not_judge_words() -> None:
    flat = CallPolicy(turn=TurnPolicy(complete_delay_s=0.0, uncertain_delay_s=0.0, incomplete_delay_s=0.0))
    turn = policy_for(Agent("desk", manners=Manners(hearing=Hearing(silence_ms=500))), flat).turn
    assert (turn.complete_delay_s, turn.uncertain_delay_s, turn.incomplete_delay_s) == (0.5, 0.5, 0.5)


def test_the_detector_hears_as_the_agent_says() -> None:
    own = policy(hearing=Hearing(threshold=0.7, prefix_padding_ms=250))
    assert (own.vad_threshold, own.preroll_s) == (0.7, 0.25)


def test_reminders_are_said_at_equal_distances_before_the_end() -> None:
    own = policy(idle=Idle(60, ("Hello?", "Still there?"), "Goodbye then."))
    assert (own.turn.idle_s, own.turn.idle_reminders) == (20.0, 2)
    assert (own.reminders, own.idle_goodbye) == (("Hello?", "Still there?"), "Goodbye then.")


def test_a_call_without_reminders_ends_at_its_time() -> None:
    turn = policy(idle=Idle(60, ())).turn
    assert (turn.idle_s, turn.idle_reminders) == (60.0, 0)


def test_an_agent_may_wait_for_ever() -> None:
    assert policy(idle=Idle(0)).turn.idle_s == 0.0


def test_an_agent_says_goodbye_in_its_own_words() -> None:
    own = policy(goodbye="Take care.", stop_words=("over and out",), voicemail=Voicemail("audio", "Call us back."))
    assert (own.goodbye, own.voicemail_message) == ("Take care.", "Call us back.")
    assert own.turn.stop_words == {"over and out"}
    assert policy(stop_words=()).turn.stop_words == frozenset()
