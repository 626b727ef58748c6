"""How a call behaves that a Realtime session has set up: its turn detection as the manners of turn-taking."""

from __future__ import annotations

from dataclasses import replace

from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.wire.realtime.session import SemanticVad, ServerVad, SessionConfig

LEAD_S = 0.4
"""Sound is sent so far ahead: enough for a client's jitter buffer, and no more than a cut throws away."""
FRAME_MS = 40
_PLAYED_LEAD_S = 0.1
_PLAYED_FRAME_MS = 20
"""The same where the server plays: the sound does not travel ahead, and a track takes frames of this length."""
_UTTERANCE_S = 0.2
"""Silence after which the recogniser is asked; the turn may go on."""
_PATIENT_S = 30.0
_ENDING_S = 5.0
"""A server that ends does not wait longer than some seconds more for what is being said."""
_ENDLESS = 1_000_000
_EAGERNESS: dict[str, tuple[float, float, float]] = {
    "low": (0.6, 2.0, 8.0),
    "medium": (0.35, 0.9, 4.0),
    "auto": (0.35, 0.9, 4.0),
    "high": (0.25, 0.5, 2.0),
}
"""Silence that ends a turn that sounds complete, uncertain and incomplete."""


def call_policy(base: CallPolicy, *, max_s: float, is_played: bool = False) -> CallPolicy:
    """The policy of a session's call; its ``turn`` follows from the session's configuration.

    Args:
        base: The server's own.
        max_s: The longest life of the session.
        is_played: The server plays the sound itself.
    """
    lead_s, frame_ms = (_PLAYED_LEAD_S, _PLAYED_FRAME_MS) if is_played else (LEAD_S, FRAME_MS)
    return replace(base, lead_s=lead_s, frame_ms=frame_ms, max_call_s=max_s, limit_goodbye="")


def turn_policy(base: TurnPolicy, config: SessionConfig, *, is_silent: bool = False) -> TurnPolicy:
    """The manners that a configuration asks for.

    Args:
        base: The server's own, for what the protocol leaves open.
        config: In effect.
        is_silent: The answer is written: nobody waits for its sound.
    """
    detection = config.turn_detection
    common = replace(
        base,
        idle_s=0.0,
        ending_s=min(base.ending_s, _ENDING_S),
        max_lost_turns=_ENDLESS,
        max_dead_air_s=_PATIENT_S if is_silent or config.modality == "text" else base.max_dead_air_s,
        answers=config.kind == "realtime" and detection is not None and detection.create_response,
    )
    common = replace(common, speculate=base.speculate and common.answers)
    if detection is None:
        return replace(common, interruption="off", keeps_turns=True)
    interrupts = detection.interrupt_response
    common = replace(common, interruption="vad" if interrupts else "off", keeps_turns=not interrupts)
    if isinstance(detection, SemanticVad):
        complete_s, uncertain_s, incomplete_s = _EAGERNESS[detection.eagerness]
        return replace(
            common, complete_delay_s=complete_s, uncertain_delay_s=uncertain_s, incomplete_delay_s=incomplete_s
        )
    return _by_silence(common, detection)


def _by_silence(common: TurnPolicy, detection: ServerVad) -> TurnPolicy:
    """Turns end after a silence, whatever the words say, and the first sound takes the floor."""
    silence_s = detection.silence_duration_ms / 1000
    return replace(
        common,
        stop_s=min(_UTTERANCE_S, max(0.05, silence_s)),
        complete_delay_s=silence_s,
        uncertain_delay_s=silence_s,
        incomplete_delay_s=silence_s,
        max_patience=1.0,
        yields_at_once=detection.interrupt_response,
        backchannels=frozenset(),
        greeting_deaf_s=0.0,
    )


def threshold(config: SessionConfig) -> float | None:
    """The detector's score that counts as speech; None for its own."""
    detection = config.turn_detection
    if isinstance(detection, ServerVad) and detection.threshold != ServerVad().threshold:
        return min(0.99, max(0.01, detection.threshold))
    return None
