"""Looks after a conversation once a second: counts what was lost, and lets the user hear that the line is down."""

from __future__ import annotations

from antiphon.audio.tones import sine
from antiphon.clock import Clock
from antiphon.logs import Log
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.incoming import ServerEvent
from antiphon.transports.local.mic import RATE_HZ, MicStreamer
from antiphon.transports.local.player import AudioPlayer

LOOK_S = 1.0
OUTAGE_TONE_S = 3.0
OUTAGE_TONE_HZ = 440.0
OUTAGE_TONE_MS = 200

_log = Log(__name__)


class Watch:
    """Watches one conversation.

    Args:
        client: The conversation; this registers its handler.
        mic: The microphone's side.
        player: The loudspeaker's side.
        chunk_ms: What is counted as one lost frame.
        clock: The client's.
    """

    def __init__(
        self, client: RealtimeClient, mic: MicStreamer, player: AudioPlayer, *, chunk_ms: int, clock: Clock
    ) -> None:
        self._client = client
        self._mic = mic
        self._player = player
        self._chunk = RATE_HZ * chunk_ms // 1000
        self._clock = clock
        self._counted: dict[tuple[str, str], int] = {}
        self._offline_since_s: float | None = None
        self._tones = 0
        client.on(("client.disconnected", "client.connected"), self._connection)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._clock.sleep(LOOK_S)
            self.count()
            since_s = self._offline_since_s
            if since_s is not None and self._clock.now() - since_s >= OUTAGE_TONE_S:
                self._offline_since_s = None
                self._play_tone()

    def count(self) -> None:
        """Count what was lost since the last time."""
        self._count_lost("in", "queue_full", self._mic.dropped["queue_full"])
        self._count_lost("in", "stale", self._mic.dropped["stale"])
        self._count_lost("out", "cancelled", self._player.dropped["cancelled"])

    def _count_lost(self, direction: str, reason: str, samples: int) -> None:
        """Count whole chunks; a warning tells of those that a full queue has cost."""
        counted = self._counted.get((direction, reason), 0)
        chunks = samples // self._chunk - counted
        if chunks <= 0:
            return
        self._counted[direction, reason] = counted + chunks
        self._client.metrics.count("audio_frames_dropped_total", chunks, direction=direction, reason=reason)
        if reason == "queue_full":
            _log.warning("audio dropped", dropped_frames=chunks, queue_depth=self._mic.depth)

    def _connection(self, event: ServerEvent) -> None:
        self._offline_since_s = event.at_s if event.type == "client.disconnected" else None

    def _play_tone(self) -> None:
        self._tones += 1
        tone = f"outage-tone-{self._tones}"
        self._player.push(tone, sine(OUTAGE_TONE_HZ, OUTAGE_TONE_MS, rate_hz=RATE_HZ, amplitude=0.1))
        self._player.complete(tone)
