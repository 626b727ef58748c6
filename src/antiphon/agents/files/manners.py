"""From the keys of an agent file to the agent's manners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.agents.files.kinds import Read, plain
from antiphon.agents.manners import Hearing, Idle, Interruption, Manners, Voicemail


def manners_of(values: Mapping[str, Read]) -> Manners:
    """The manners that a file asks for; what it does not say is as the server has it."""
    speech = _block(values, "speech")
    vad = speech.get("vad") or {}
    words = values["stop_words"].value if "stop_words" in values else None
    return Manners(
        interruption=Interruption(**_tuples(_block(values, "interruption"))),
        hearing=Hearing(speech.get("vad_silence_timeout_ms"), vad.get("threshold"), vad.get("prefix_padding_ms")),
        idle=Idle(**_tuples(_block(values, "idle"))),
        voicemail=Voicemail(**_block(values, "voicemail")),
        stop_words=None if words is None else tuple(plain(words)),
        goodbye=plain(values["goodbye"]) if "goodbye" in values else None,
    )


def _block(values: Mapping[str, Read], key: str) -> dict[str, Any]:
    return plain(values[key]) if key in values else {}


def _tuples(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in block.items()}
