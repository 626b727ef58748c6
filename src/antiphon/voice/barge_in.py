"""The user speaks while an answer plays: silence first, then the service is told what was heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from antiphon.clock import Clock, WallClock
from antiphon.logs import Log
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.session import cancels_on_speech
from antiphon.transports.local.mic import Level
from antiphon.transports.local.player import AudioPlayer

BargeInMode = Literal["server", "local", "off"]

LOUD_DBFS = -35.0
LOUD_CHUNKS = 3

_log = Log(__name__)


class BargeInController:
    """Stops playout when the user begins to speak.

    Args:
        client: The conversation.
        player: What plays.
        mode: Who notices: the service's ``speech_started``, this microphone's level, or nobody.
        on_barge_in: Told the item that was cut.
        clock: Wall time unless given.
    """

    def __init__(
        self,
        client: RealtimeClient,
        player: AudioPlayer,
        mode: BargeInMode = "server",
        *,
        on_barge_in: Callable[[str], None] = lambda item_id: None,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._player = player
        self._mode = mode
        self._on_barge_in = on_barge_in
        self._clock = clock or WallClock()
        self._loud = 0
        self._cuts: list[tuple[str, int]] = []

    async def speech_started(self, event: ServerEvent) -> None:
        """Handle the service's event."""
        if self._mode != "server":
            return
        active = self._client.response_active
        if self.cut(since_s=event.at_s):
            await self.tell()
        elif active and not cancels_on_speech(self._client.session):
            await self._client.cancel_response(active)  # It is being made, and nothing of it has come.

    def level(self, level: Level) -> bool:
        """Take the level of a chunk; whether playout was cut, and ``tell`` is owed."""
        if self._mode != "local" or not self._player.is_playing:
            self._loud = 0
            return False
        self._loud = self._loud + 1 if level.rms_dbfs > LOUD_DBFS else 0
        if self._loud < LOUD_CHUNKS:
            return False
        self._loud = 0
        return self.cut(since_s=self._clock.now())

    def cut(self, *, since_s: float) -> bool:
        """Be silent now, without waiting for anything; whether there was something to cut.

        Args:
            since_s: When the user was noticed, by the clock.
        """
        item_id = self._player.current
        if item_id is None:
            return False
        cut = dict.fromkeys([item_id, *self._player.flush()])
        self._client.metrics.observe("barge_in_stop_ms", (self._clock.now() - since_s) * 1000)
        self._client.metrics.count("barge_ins_total")
        for each in cut:
            self._client.drop(item_id=each)
            self._cuts.append((each, self._player.playout(each).played_ms))
        _log.info("barge-in", item_id=item_id)
        self._on_barge_in(item_id)
        return True

    async def tell(self) -> None:
        """Tell both histories what was heard of what was cut."""
        cuts, self._cuts = self._cuts, []
        for item_id, played_ms in cuts:
            await self._client.interrupt(item_id, played_ms)
