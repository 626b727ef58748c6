"""From the service's deltas to the player, and from the player's events to the client's numbers."""

from __future__ import annotations

import asyncio

import numpy as np

from antiphon.clock import Clock
from antiphon.logs import Log
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.incoming import AUDIO_DELTA, ServerEvent
from antiphon.transports.local.player import AudioPlayer, PlayerEventKind

_log = Log(__name__)

EVENTS = (AUDIO_DELTA, "response.output_audio.done", "response.done", "client.disconnected")


class AnswerPlayout:
    """Plays what one client receives.

    Args:
        client: The conversation; this registers its handler.
        player: What plays; ``on_player_event`` is to be its listener.
        loop: The client's.
        clock: The client's.
    """

    def __init__(
        self, client: RealtimeClient, player: AudioPlayer, *, loop: asyncio.AbstractEventLoop, clock: Clock
    ) -> None:
        self._client = client
        self._player = player
        self._loop = loop
        self._clock = clock
        self._items: dict[str, list[str]] = {}
        self._overflown = ""
        client.on(EVENTS, self._take)

    def on_player_event(self, kind: PlayerEventKind, item_id: str) -> None:
        """Take an event of the player, in the device's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, kind, item_id, self._player.latency_s)

    def _take(self, event: ServerEvent) -> None:
        if event.type == AUDIO_DELTA:
            items = self._items.setdefault(event.response_id, [])
            if event.item_id not in items:
                items.append(event.item_id)
            self._player.push(event.item_id, np.frombuffer(event.audio[: len(event.audio) // 2 * 2], "<i2"))
        elif event.type == "response.output_audio.done":
            self._player.complete(event.item_id)
        elif event.type == "response.done":
            self._complete(event.response_id)
        else:  # Nothing more will come of what was being said: it plays to its end.
            for response_id in list(self._items):
                self._complete(response_id)

    def _complete(self, response_id: str) -> None:
        for item_id in self._items.pop(response_id, []):
            self._player.complete(item_id)

    def _note(self, kind: PlayerEventKind, item_id: str, latency_s: float) -> None:
        metrics = self._client.metrics
        if kind == "started":
            self._client.note_played(item_id, self._clock.now() + latency_s)
        elif kind == "underrun":
            metrics.count("underruns_total")
        elif kind == "overflow":
            metrics.count("audio_frames_dropped_total", direction="out", reason="queue_full")
            metrics.count("errors_total", category="audio", code="player_full")
            if item_id != self._overflown:  # Once for each answer: deltas come 25 times a second.
                self._overflown = item_id
                _log.error("playout is full, sound is dropped", error_category="audio", item_id=item_id)
