"""Text frames in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from antiphon.wire.realtime.client_events import ClientEvent

Dialect = Literal["ga", "beta"]


class RealtimeCodec:
    def __init__(self, dialect: Dialect = "ga", *, strict: bool = False, item_created: bool = False) -> None:
        self.dialect: Dialect = dialect
        self.ignored = 0

    def receive(self, message: str | bytes) -> ClientEvent:
        raise NotImplementedError

    def encode(self, event: Mapping[str, Any]) -> list[str]:
        raise NotImplementedError

    def encode_audio_delta(self, response_id: str, item_id: str, *, output_index: int, audio: bytes) -> str:
        raise NotImplementedError
