"""From the manners of an agent to the policy of its call: what the agent does not say is as the server has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from antiphon.agents.agent import Agent
from antiphon.agents.manners import REALTIME_SILENCE_MS, Hearing, Idle, Interruption
from antiphon.calls.phrases import goodbye, stop_words
from antiphon.calls.policy import CallPolicy, TurnPolicy

_MESSAGE_S = 120.0
"""A message on a machine is cut after this."""
_MODES: Mapping[str, Literal["vad", "words", "off"]] = {"vad": "vad", "adaptive": "words", "off": "off"}


def policy_for(agent: Agent, base: CallPolicy) -> CallPolicy:
    """The policy while this agent answers.

    Args:
        agent: Who answers.
        base: The policy of all calls.
    """
    manners = agent.manners
    words = manners.stop_words
    turn = replace(
        base.turn,
        stop_words=stop_words(agent.language) if words is None else frozenset(words),
        **_interruption(manners.interruption, base.turn),
        **_hearing(manners.hearing, base.turn),
        **_idle(manners.idle, base.turn),
    )
    padding_ms = manners.hearing.prefix_padding_ms
    given = {
        "preroll_s": None if padding_ms is None else padding_ms / 1000,
        "vad_threshold": manners.hearing.threshold,
        "reminders": manners.idle.reminders or None,
        "idle_goodbye": manners.idle.goodbye,
        "goodbye": goodbye(agent.language) if manners.goodbye is None and agent.language else manners.goodbye,
        "voicemail_message": manners.voicemail.message or None,
    }
    return replace(base, turn=turn, **_given(given))


def silence_ms(agent: Agent, base: CallPolicy, *, by_model: bool) -> float:
    """Silence that ends a turn which may or may not be whole; ``by_model``: the model that holds the call finds it."""
    own = agent.manners.hearing.silence_ms
    if by_model:
        return REALTIME_SILENCE_MS if own is None else own
    return round(policy_for(agent, base).turn.uncertain_delay_s * 1000, 1)


def for_opening(turn: TurnPolicy) -> TurnPolicy:
    """The manners while the other side may speak first: what is said is a turn, and the greeting its answer."""
    return replace(turn, answers=False, speculate=False, stop_words=frozenset())


def for_machine(turn: TurnPolicy) -> TurnPolicy:
    """The manners towards a machine: nothing is answered or asked, and a message is not cut."""
    silent = replace(turn, answers=False, speculate=False, stop_words=frozenset())
    return replace(silent, idle_s=0.0, interruption="off", ending_s=_MESSAGE_S)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _interruption(manner: Interruption, base: TurnPolicy) -> dict[str, Any]:
    duration_ms = manner.min_duration_ms
    given = {
        "interruption": None if manner.mode is None else _MODES[manner.mode],
        "min_interruption_s": None if duration_ms is None else duration_ms / 1000,
        "min_words": manner.min_words,
    }
    ignored = {word.lower() for word in manner.ignore_words}
    return {"backchannels": base.backchannels | ignored, **_given(given)}


def _hearing(manner: Hearing, base: TurnPolicy) -> dict[str, Any]:
    """The delays keep their proportion, so that an end which is plain is still answered sooner."""
    if manner.silence_ms is None:
        return {}
    silence_s = manner.silence_ms / 1000
    stretch = silence_s / base.uncertain_delay_s if base.uncertain_delay_s else 0.0
    return {
        "complete_delay_s": base.complete_delay_s * stretch or silence_s,
        "uncertain_delay_s": silence_s,
        "incomplete_delay_s": base.incomplete_delay_s * stretch or silence_s,
    }


def _idle(manner: Idle, base: TurnPolicy) -> dict[str, Any]:
    count = base.idle_reminders if manner.reminders is None else len(manner.reminders)
    idle_s = base.idle_s if manner.timeout_s is None else manner.timeout_s / (count + 1)
    return {"idle_s": idle_s, "idle_reminders": count}
