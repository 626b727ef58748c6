"""The models of one call."""

from __future__ import annotations

from typing import Protocol

from antiphon.models.llm.contract import ChatClient
from antiphon.models.stt.contract import STT
from antiphon.models.tts.contract import TTS
from antiphon.models.turn.contract import TurnModel
from antiphon.models.vad.contract import VAD


class CallModels(Protocol):
    """What a call hears, thinks and speaks with."""

    vad: VAD
    stt: STT
    llm: ChatClient
    tts: TTS
    turn: TurnModel | None

    def names(self) -> dict[str, str]:
        """The providers by role."""
        ...
