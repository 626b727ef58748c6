"""One WebRTC connection: its offer answered, its sound in and out, its data channel."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from antiphon.clock import Clock
from antiphon.telemetry import Traffic
from antiphon.transports.realtime.sound import CALL_AUDIO
from antiphon.transports.webrtc.ice import ice_servers
from antiphon.transports.webrtc.media import Ear, SpokenTrack
from antiphon.transports.webrtc.offer import Offer
from antiphon.wire.realtime.refusal import Refusal

EVENTS_CHANNEL = "oai-events"
_ANSWER_S = 2.0
_GATHER_S = 8.0
"""The same where servers are asked for our address."""
_LINGER_S = 0.4
"""At the end, for what is on its way to the client: its last events and the last sound."""
_CLOSE_S = 1.0
_EARLY_SOUND = CALL_AUDIO.frame_bytes(10_000)
_EARLY_MESSAGES = 1_000
_POLL_S = 0.02

OnSound = Callable[[bytes], None]
"""Gets the caller's sound, 24 kHz PCM."""
OnMessage = Callable[[str | bytes], None]
"""Gets each message of the data channel in order."""

_log = structlog.get_logger(__name__)


class Peer:
    """A client's connection. What comes before ``attach`` is kept for it.

    Args:
        offer: The client's.
        clock: Sets the pace of the sound.
        traffic: Counts the frames of all connections.
        helpers: STUN and TURN servers, as ``ice_servers`` takes them.
        max_unsent: A client that leaves more bytes of events than this untaken is cut off.

    Attributes:
        player: Plays to the client.
        opened: Set when events can be sent, or the sound is up where there is no data channel, or all is over.
        is_lost: The connection is gone.
        on_lost: Called when it goes.
        dropped: Messages and bytes of sound that came before ``attach`` and were too many to keep.
    """

    def __init__(
        self, offer: Offer, *, clock: Clock, traffic: Traffic, max_unsent: int, helpers: Sequence[str] = ()
    ) -> None:
        self.player = SpokenTrack(clock)
        self.opened = asyncio.Event()
        self.is_lost = False
        self.on_lost: Callable[[], None] | None = None
        self.dropped = 0
        self.message_bytes = offer.message_bytes
        self._offer = offer
        self._clock = clock
        self._traffic = traffic
        self._max_unsent = max_unsent
        self._channel: RTCDataChannel | None = None
        self._heard: MediaStreamTrack | None = None
        self._early_sound = bytearray()
        self._early_messages: deque[str | bytes] = deque()
        self._on_sound: OnSound | None = None
        self._on_message: OnMessage | None = None
        # Unless told otherwise no server is asked for our address: the machine's own ones are offered.
        servers = ice_servers(helpers)
        self._answer_s = _ANSWER_S if not servers else _GATHER_S
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connection.on("datachannel", self._channel_opened)
        self._connection.on("connectionstatechange", self._state_changed)

    async def answer(self) -> str:
        """The SDP answer, with all our candidates.

        Raises:
            Refusal: Nothing of the offer fits.
        """
        connection = self._connection
        try:
            async with asyncio.timeout(self._answer_s):
                await connection.setRemoteDescription(RTCSessionDescription(self._offer.sdp, "offer"))
                sender = connection.addTrack(self.player)
                for transceiver in connection.getTransceivers():
                    if transceiver.sender is sender:
                        self._heard = transceiver.receiver.track
                    else:
                        transceiver.direction = "inactive"
                await connection.setLocalDescription(await connection.createAnswer())
        except TimeoutError as error:
            raise Refusal("invalid_offer", "The offer could not be answered in time.", "sdp") from error
        except (InternalError, InvalidAccessError, InvalidStateError, OperationError, ValueError) as error:
            raise Refusal("invalid_offer", "The offer has nothing that we can answer: offer Opus.", "sdp") from error
        return connection.localDescription.sdp

    def attach(self, on_sound: OnSound, on_message: OnMessage) -> None:
        """Take what the client sends, from the first that came."""
        early, self._early_sound = bytes(self._early_sound), bytearray()
        self._on_sound, self._on_message = on_sound, on_message
        if early:
            on_sound(early)
        while self._early_messages:
            on_message(self._early_messages.popleft())

    async def listen(self) -> None:
        """Take the client's sound until there is no more of it."""
        if self._heard is None:
            return
        ear = Ear()
        try:
            while True:
                frame = await self._heard.recv()
                assert isinstance(frame, AudioFrame)
                self._traffic.frames_in += 1
                self._hear(ear.pcm(frame))
        except MediaStreamError:
            return

    def _hear(self, pcm: bytes) -> None:
        if self._on_sound is not None:
            self._on_sound(pcm)
            return
        early = self._early_sound
        early += pcm
        excess = len(early) - _EARLY_SOUND
        if excess > 0:
            self.dropped += excess
            del early[:excess]

    def send(self, text: str) -> None:
        """Send a message over the data channel; it is lost where there is none."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount > self._max_unsent:
            _log.warning("peer_cut_off", reason="backlog", unsent=channel.bufferedAmount)
            self._lose()
            return
        self._traffic.frames_out += 1
        channel.send(text)

    async def aclose(self) -> None:
        """End the connection, when what was sent has left."""
        await self._linger()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._connection.close()
        except TimeoutError:
            _log.warning("peer_not_closed", waited_s=_CLOSE_S)
        self._traffic.frames_dropped += self.player.dropped

    async def _linger(self) -> None:
        until = self._clock.now() + _LINGER_S
        while not self.is_lost and self._clock.now() < until and self._is_sending:
            await self._clock.sleep(_POLL_S)

    @property
    def _is_sending(self) -> bool:
        return not self.player.is_silent or (self._channel is not None and self._channel.bufferedAmount > 0)

    # What the connection tells.

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel.label != EVENTS_CHANNEL or self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._message)
        channel.on("close", self._lose)
        self.opened.set()

    def _message(self, message: str | bytes) -> None:
        self._traffic.frames_in += 1
        if self._on_message is not None:
            try:
                self._on_message(message)
            except Exception:  # The root of all that a message sets off: it costs this connection and no other.
                _log.exception("peer_message_failed")
                self._lose()
        elif len(self._early_messages) < _EARLY_MESSAGES:
            self._early_messages.append(message)
        else:
            self.dropped += 1

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state in ("failed", "closed"):
            self._lose()
        elif state == "connected" and not self._offer.has_events:
            self.opened.set()

    def _lose(self) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        self.opened.set()
        if self.on_lost is not None:
            self.on_lost()
