"""The responses of a connection: which one is active, which are cancelled, and how fast they came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antiphon.realtime.incoming import OUTPUT_DELTAS, ServerEvent
from antiphon.realtime.metrics import ClientMetrics

LATE_S = 60.0
"""How long deltas of a cancelled response are dropped, where no ``response.done`` comes."""

MAX_REMEMBERED = 256
"""Responses and items that are remembered after their end: their sound may still be playing."""


@dataclass(slots=True)
class ResponseState:
    """One response.

    Attributes:
        response_id: The service's id.
        created_at: When it began, by the client's clock.
        out_of_band: Whether it stands beside the conversation.
        item_ids: Its items.
        status: ``in_progress`` until its end.
        eos_at: When the user's speech before it ended, where it answers speech.
        first_delta_at: When its first sound or word came.
        first_played_at: When its first sample was played.
        received_bytes: Sound that came, by item.
        has_called: Whether it has called a function: the function's output is what is answered next.
        cancelled: Whether nobody wants the rest of it.
        cancel_sent: Whether the service was told so.
        cut: Items that a break-in has cut.
    """

    response_id: str
    created_at: float
    out_of_band: bool = False
    item_ids: list[str] = field(default_factory=list)
    status: str = "in_progress"
    eos_at: float | None = None
    first_delta_at: float | None = None
    first_played_at: float | None = None
    received_bytes: dict[str, int] = field(default_factory=dict)
    has_called: bool = False
    cancelled: bool = False
    cancel_sent: bool = False
    cut: set[str] = field(default_factory=set)

    @property
    def is_active(self) -> bool:
        """Whether it is the response that keeps others of the conversation out."""
        return self.status == "in_progress" and not self.out_of_band


class ResponseLedger:
    """Follows responses by their events.

    Args:
        metrics: Where they are counted and timed.

    Attributes:
        user_speaking: Whether the service hears speech.
    """

    def __init__(self, metrics: ClientMetrics) -> None:
        self.user_speaking = False
        self._metrics = metrics
        self._responses: dict[str, ResponseState] = {}
        self._by_item: dict[str, ResponseState] = {}
        self._late: dict[str, float] = {}
        self._eos_at: float | None = None

    @property
    def active(self) -> ResponseState | None:
        """The response of the conversation that is being made."""
        return next((known for known in reversed(self._responses.values()) if known.is_active), None)

    def of(self, item_id: str) -> ResponseState | None:
        """The response that an item belongs to."""
        return self._by_item.get(item_id)

    def take(self, event: ServerEvent) -> None:
        """Follow one event that is not late."""
        if event.type == "response.created":
            self._create(event)
        elif event.type == "response.done":
            self._end(event)
        elif event.type == "response.output_item.added":
            self._add_item(event)
        elif event.type == "response.function_call_arguments.done" and event.response_id in self._responses:
            self._responses[event.response_id].has_called = True
        elif event.type in OUTPUT_DELTAS:
            self._hear(event)
        elif event.type == "input_audio_buffer.speech_started":
            self.user_speaking = True
        elif event.type == "input_audio_buffer.speech_stopped":
            self.speech_ended(event.at_s)
        elif event.type in ("input_audio_buffer.committed", "input_audio_buffer.cleared"):
            self.user_speaking = False

    def speech_ended(self, at_s: float) -> None:
        """The user has said it all: the answer is timed from here."""
        self.user_speaking = False
        self._eos_at = at_s

    def drop(self, now_s: float, *, response_id: str = "", item_id: str = "") -> None:
        """Nobody wants the rest of a response, or of an item."""
        response = self._responses.get(response_id) or self._by_item.get(item_id)
        if response is not None:
            response.cancelled = True
            for gone in (response.response_id, *response.item_ids):
                self._late[gone] = now_s + LATE_S
        for gone in (response_id, item_id):
            if gone:
                self._late[gone] = now_s + LATE_S

    def cut(self, item_id: str) -> bool:
        """A break-in cuts an item; False: one has before."""
        response = self._by_item.get(item_id)
        if response is None:
            return True
        is_first = item_id not in response.cut
        response.cut.add(item_id)
        return is_first

    def is_late(self, event: ServerEvent) -> bool:
        """Whether it is a delta of what nobody wants any more."""
        if not self._late or event.type not in OUTPUT_DELTAS:
            return False
        return event.at_s < max(self._late.get(event.response_id, 0.0), self._late.get(event.item_id, 0.0))

    def is_cancelled(self, response_id: str) -> bool:
        """Whether a response was cancelled, from here or by the service."""
        response = self._responses.get(response_id)
        return response is not None and (response.cancelled or response.status == "cancelled")

    def note_played(self, item_id: str, at_s: float) -> None:
        """The first sample of an item has been played: the answer's times are complete."""
        response = self._by_item.get(item_id)
        if response is None or response.first_delta_at is None or response.first_played_at is not None:
            return
        response.first_played_at = at_s
        self._metrics.observe("first_delta_to_playback_ms", (at_s - response.first_delta_at) * 1000)
        if response.eos_at is not None:
            self._metrics.observe("end_to_end_ms", (at_s - response.eos_at) * 1000)

    def disconnected(self) -> ResponseState | None:
        """The connection is gone, and with it every response; gives the one that was active."""
        lost = self.active
        for response in self._responses.values():
            if response.status == "in_progress":
                response.status = "lost"
        self.user_speaking = False
        self._eos_at = None
        return lost

    def _create(self, event: ServerEvent) -> None:
        response = ResponseState(event.response_id, event.at_s)
        response.out_of_band = event.part("response").get("conversation_id", "in-band") is None
        if not response.out_of_band:
            response.eos_at, self._eos_at = self._eos_at, None
        self._responses[response.response_id] = response
        while len(self._responses) > MAX_REMEMBERED:
            self._responses.pop(next(iter(self._responses)))

    def _add_item(self, event: ServerEvent) -> None:
        response = self._responses.get(event.response_id)
        if response is None:
            return
        response.item_ids.append(event.item_id)
        if response.cancelled:
            self._late[event.item_id] = event.at_s + LATE_S
        self._by_item[event.item_id] = response
        while len(self._by_item) > MAX_REMEMBERED:
            self._by_item.pop(next(iter(self._by_item)))

    def _hear(self, event: ServerEvent) -> None:
        response = self._responses.get(event.response_id)
        if response is None:
            return
        if event.audio:
            have = response.received_bytes.get(event.item_id, 0)
            response.received_bytes[event.item_id] = have + len(event.audio)
        if response.first_delta_at is None:
            response.first_delta_at = event.at_s
            if response.eos_at is not None:
                self._metrics.observe("eos_to_first_delta_ms", (event.at_s - response.eos_at) * 1000)

    def _end(self, event: ServerEvent) -> None:
        body = event.part("response")
        status = str(body.get("status") or "completed")
        details = body.get("status_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        self._metrics.count("responses_total", status=status, reason=reason if isinstance(reason, str) else "")
        self._count_tokens(body.get("usage"))
        response = self._responses.get(event.response_id)
        if response is not None:
            response.status = status
        self._late = {gone: until_s for gone, until_s in self._late.items() if until_s > event.at_s}

    def _count_tokens(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        for direction in ("input", "output"):
            details = usage.get(f"{direction}_token_details")
            if not isinstance(details, Mapping):
                continue
            for modality in ("text", "audio", "cached"):
                number = _number(details, f"{modality}_tokens")
                if number:
                    self._metrics.count("tokens_total", number, direction=direction, modality=modality)


def _number(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    return value if isinstance(value, int) and value > 0 else 0
