"""One call over WebRTC, from the answered offer to the last byte of its files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from antiphon.server.realtime.faults import RealtimeFault
from antiphon.server.realtime.opening import Opening, call_opener, make_session
from antiphon.transports.webrtc.channel import CallChannel
from antiphon.transports.webrtc.ends import DataEnd, Sideband
from antiphon.wire.realtime.codec import RealtimeCodec
from antiphon.wire.realtime.ids import new_id

if TYPE_CHECKING:
    from antiphon.server.session import Session
    from antiphon.server.switchboard import Switchboard
    from antiphon.transports.realtime.socket import SocketChannel
    from antiphon.transports.webrtc.peer import Peer

CONNECT_S = 30.0
"""A client that has not connected this long after our answer will not."""
_MOST_SIDEBANDS = 8
_OVER = "the call is over"
_ITEM_BYTES = 8_192
"""Of a retrieved item, what is not its sound."""

_log = structlog.get_logger(__name__)


class RtcCall:
    """A call and whoever listens to it.

    Args:
        board: What all calls share.
        session: The server's; it is closed with the call.
        opening: What it begins with.
        peer: The client's connection, its offer answered; it is closed with the call.
        codec: In the client's dialect.
        opened_by: The client secret that opened it; empty for a key of the server.

    Attributes:
        id: ``rtc_…``.
        channel: Who listens.
        is_over: Nobody can join any more.
    """

    def __init__(
        self,
        board: Switchboard,
        session: Session,
        opening: Opening,
        *,
        peer: Peer,
        codec: RealtimeCodec,
        opened_by: str,
    ) -> None:
        self.id = new_id("rtc")
        self.opened_by = opened_by
        self.channel = CallChannel()
        self.is_over = False
        self._board = board
        self._session = session
        self._opening = opening
        self._peer = peer
        self._realtime = make_session(
            board,
            session,
            self.channel,
            opening=opening,
            player=peer.player,
            tells_log=True,  # Who takes it is decided for each listener.
            most_retrieved=max(0, peer.message_bytes - _ITEM_BYTES) if peer.message_bytes else None,
        )
        self.channel.serve(self._realtime)
        self._end = DataEnd(self.channel, peer, codec, takes_own_events=opening.is_ours)
        self.channel.join(self._end)
        self._waiting: list[Sideband] = []  # until it is up
        self._is_up = False
        self._is_hung_up = False

    async def run(self) -> None:
        """Be the call until it is over."""
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._peer.listen(), name=f"{self.id} ears")
                await self._talk()
                listening.cancel()
        finally:
            self.is_over = True
            self.channel.close()
            for end in self._waiting:
                end.close(1000, _OVER)
            await self._peer.aclose()
            await self._board.close_session(self._session)

    async def _talk(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._peer.opened.wait()
        except TimeoutError:
            _log.warning("rtc_not_connected", call_id=self.id, waited_s=CONNECT_S)
            return
        if self._peer.is_lost or self._is_hung_up:
            return
        self._peer.on_lost = self._realtime.lost
        ended = await self._realtime.run(call_opener(self._session, self._opening, call_id=self.id), self._ready)
        _log.info("call_ended", session_id=self._session.id, reason=ended.reason, duration_s=ended.duration_s)

    def _ready(self) -> None:
        self._is_up = True
        for end in self._waiting:
            self._admit(end)
        self._waiting.clear()
        self._peer.attach(self._realtime.hear, self._end.take)
        if self._is_hung_up:
            self._realtime.hang_up()

    def hang_up(self) -> None:
        """End it, at once."""
        self._is_hung_up = True
        if self._is_up:
            self._realtime.hang_up()
        else:
            self._peer.opened.set()

    def check_room(self) -> None:
        """Refuse one listener too many.

        Raises:
            RealtimeFault: There are enough.
        """
        if self.channel.ends + len(self._waiting) > _MOST_SIDEBANDS:
            raise RealtimeFault(429, "rate_limit_exceeded", f"{_MOST_SIDEBANDS} sidebands are on this call: end one.")

    async def look_on(self, channel: SocketChannel, *, takes_own_events: bool) -> None:
        """Let another connection listen and ask, until it or the call ends.

        What it asks before the client has connected waits for that.

        Args:
            channel: Accepted and not yet attached.
            takes_own_events: Whether it knows Antiphon.
        """
        if self.is_over:
            channel.close(1000, _OVER)
            return
        end = Sideband(self.channel, channel, takes_own_events=takes_own_events)
        self._realtime.introduce(end.send)
        if self._is_up:
            self._admit(end)
        else:
            self._waiting.append(end)
        await end.over.wait()

    def _admit(self, end: Sideband) -> None:
        self.channel.join(end)
        end.attach()
