"""Replay a recorded call: the same log and the same sound must lead to the same decisions.

Turn-taking is a pure function, so its steps in the log can be taken again and compared. The detector is run again
over the caller's side of the recording, and what it hears now is compared with what it heard then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.wav import read_wav
from antiphon.calls import floor
from antiphon.calls.listening import VoiceGate
from antiphon.calls.policy import TurnPolicy
from antiphon.calls.turn_taking import TurnTaking
from antiphon.clock import WallClock
from antiphon.errors import ConfigurationError
from antiphon.models.vad.contract import VAD

TOLERANCE_S = 0.1
"""A voice event that comes again within this is the same: frames of the recording are cut at other places."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A step that went another way.

    Attributes:
        at: Call seconds.
        event: What came in.
        then: Actions and phase in the log.
        now: Actions and phase of the replay.
    """

    at: float
    event: dict[str, Any]
    then: dict[str, Any]
    now: dict[str, Any]


@dataclass(frozen=True, slots=True)
class VoiceMatch:
    """A voice event of the log and what the detector says now; ``now_at`` is None when it is silent about it."""

    kind: str
    then_at: float
    now_at: float | None


@dataclass(slots=True)
class Replay:
    """How a replay went."""

    steps: int = 0
    differences: list[Difference] = field(default_factory=list)
    voices: list[VoiceMatch] = field(default_factory=list)
    extra_voices: int = 0

    @property
    def same(self) -> bool:
        """Every decision is the same and every voice was heard again, and no other."""
        return not self.differences and not self.extra_voices and all(m.now_at is not None for m in self.voices)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a call's log.

    Raises:
        ConfigurationError: The file is missing, or is no log of a call.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(f"The log {path} cannot be read: {error.strerror}.") from error
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.MsgspecError as error:
            if number == len(lines):
                break  # the process died in mid line
            raise ConfigurationError(f"{path}:{number}: this is no entry of a call's log: {error}.") from error
    if not entries or entries[0].get("type") != "session.started":
        raise ConfigurationError(f"{path} is no log of a call: it does not begin with session.started.")
    return entries


def replay_decisions(entries: Sequence[Mapping[str, Any]], *, policy: TurnPolicy | None = None) -> Replay:
    """Take every step of turn-taking again.

    Args:
        entries: A call's log.
        policy: Other manners than the recorded ones, to see what they would change.

    Raises:
        ConfigurationError: A step of the log cannot be read, or the call was recorded without its steps.
    """
    manners = policy or TurnPolicy.from_dict(entries[0].get("manners", {}))
    taking = TurnTaking(manners)
    replay = Replay()
    for entry in entries:
        if entry["type"] == "session.manners" and policy is None:
            taking.policy = TurnPolicy.from_dict(entry["manners"])
        if entry["type"] != "floor.decision":
            continue
        try:
            event = floor.event_from(entry["event"])
        except ValueError as error:
            raise ConfigurationError(f"Entry {entry.get('seq')} of the log cannot be replayed: {error}") from error
        actions = [floor.describe(action) for action in taking.on(event)]
        now = _plain({"actions": actions, "phase": taking.phase.value})
        then = {"actions": entry["actions"], "phase": entry["phase"]}
        replay.steps += 1
        if now != then:
            replay.differences.append(Difference(event.at, dict(entry["event"]), then, now))
    if not replay.steps and "s2s" in entries[0].get("models", {}):
        raise ConfigurationError("The model of this call found its turns by itself: there are no decisions to replay.")
    if not replay.steps:
        raise ConfigurationError("This log holds no decisions: record the call with log_decisions on.")
    return replay


async def replay_voice(entries: Sequence[Mapping[str, Any]], recording: Path, *, vad: VAD, replay: Replay) -> None:
    """Hear the caller's side of the recording again and compare; adds to ``replay``.

    Raises:
        AudioError: The recording cannot be read.
        ConfigurationError: The recording does not exist.
    """
    try:
        pcm, rate_hz = await asyncio.to_thread(read_wav, recording)
    except OSError as error:
        raise ConfigurationError(
            f"The recording {recording} cannot be read: {error.strerror}. Replay the log alone with --no-audio."
        ) from error
    caller = pcm[:, 0] if pcm.ndim == 2 else pcm
    heard = await _voices(np.ascontiguousarray(caller), rate_hz, vad=vad, entries=entries)
    for entry in entries:
        kind = entry["type"]
        if kind not in {"user.speech_started", "user.speech_stopped"}:
            continue
        then_at = entry["speech_at"] if kind == "user.speech_started" else entry["silence_at"]
        near = [item for item in heard if item[0] == kind and abs(item[1] - then_at) <= TOLERANCE_S]
        best = min(near, key=lambda item: abs(item[1] - then_at), default=None)
        if best is not None:
            heard.remove(best)
        replay.voices.append(VoiceMatch(kind, then_at, None if best is None else best[1]))
    end = entries[-1].get("at", 0.0)
    replay.extra_voices = sum(at < end - TOLERANCE_S for _, at in heard)


async def _voices(
    pcm: np.ndarray[tuple[int], np.dtype[np.int16]], rate_hz: int, *, vad: VAD, entries: Sequence[Mapping[str, Any]]
) -> list[tuple[str, float]]:
    """What the detector hears in a recording, by the manners of the log: kinds and times of voice events."""
    audio = AudioFormat("pcm16", rate_hz)
    heard: list[tuple[str, float]] = []
    policy = TurnPolicy.from_dict(entries[0].get("manners", {}))
    gate = VoiceGate(vad, start_s=policy.start_s, stop_s=policy.stop_s)
    changes = deque(entry for entry in entries if entry["type"] == "session.manners")
    detects = True
    at = 0.0

    def scored(score: float, seconds: float) -> None:
        nonlocal at, detects
        at += seconds
        while changes and changes[0]["at"] <= at:
            entry = changes.popleft()
            turn, detects = TurnPolicy.from_dict(entry["manners"]), entry["detects"]
            gate.adopt(vad, start_s=turn.start_s, stop_s=turn.stop_s, threshold=entry["threshold"])
        change = gate.hear(score, seconds) if detects else None
        if change == "started":
            heard.append(("user.speech_started", at - gate.voiced_s))
        elif change == "stopped":
            heard.append(("user.speech_stopped", at - gate.silent_s))

    stream = vad.open(audio, scored)
    clock, frame = WallClock(), rate_hz // 50
    for start in range(0, len(pcm), frame):
        stream.feed(from_pcm(pcm[start : start + frame], audio))
        if start % (frame * 50) == 0:
            await clock.sleep(0.01)  # a batching detector scores on the loop
    await clock.sleep(0.1)
    stream.close()
    return heard


def _plain(value: Any) -> Any:
    """As JSON would give it back."""
    return msgspec.json.decode(msgspec.json.encode(value))
