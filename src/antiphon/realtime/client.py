"""The Realtime client: one conversation with a service, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection

from antiphon.clock import Clock, WallClock
from antiphon.errors import AntiphonException, ConfigurationError
from antiphon.logs import Log
from antiphon.realtime.conversation import ConversationState
from antiphon.realtime.dispatch import EventDispatcher, Handler
from antiphon.realtime.endpoint import Endpoint
from antiphon.realtime.errors import NotConnected, UnreadableEvent
from antiphon.realtime.failures import REPEAT_AFTER_S, FailedResponses, error_in, fatal_error, report
from antiphon.realtime.incoming import REQUIRED, ServerEvent, read_event
from antiphon.realtime.link import PING_S, PONG_S, Ending, Link
from antiphon.realtime.metrics import ClientMetrics
from antiphon.realtime.opening import Opening, answer
from antiphon.realtime.reconnect import Backoff
from antiphon.realtime.renewal import Renewal
from antiphon.realtime.responses import ResponseLedger
from antiphon.realtime.sending import Sender
from antiphon.realtime.session import Configuration, answers_turns, bytes_per_ms, cancels_on_speech, detects_turns
from antiphon.realtime.supervisor import RENEWAL, Owner, Supervisor
from antiphon.realtime.waiting import Condition, Waiters
from antiphon.wire.realtime.beta import session_to_ga

CLOSE_S = 2.0
TICK_S = 0.25
"""How often is looked after what waits: retries, missing words, the session's end."""

MIN_COMMIT_MS = 100
"""Services refuse to commit less."""

CONNECTED, DISCONNECTED, RETRYING, CLOSED = (
    "client.connected",
    "client.disconnected",
    "client.retrying",
    "client.closed",
)
"""The client's own events: {reconnected, outage_s}, {reason, code}, {attempt, delay_s}, {code}."""

DEFAULT_BACKOFF = Backoff()

_log = Log(__name__)


class RealtimeClient:
    """Talks with a Realtime service. After an outage it tells the new connection the session and the history.

    Handlers get their events in order, in a task of their own; sound is dropped for one that does not keep up.

    Args:
        endpoint: The service; ``endpoint_for`` makes one.
        session: The configuration, in the protocol's current shape.
        backoff: Pauses and limits of connecting again.
        ping_interval_s: Between two pings.
        ping_timeout_s: Without an answer to a ping for so long, the connection counts as lost.
        is_quiet: Whether this is a good moment for a new connection: nothing is being played, say.
        opened: Gives the socket of the first connection, where somebody else opens it.
        clock: Wall time unless given.
        rng: Spreads the pauses between tries.

    Attributes:
        conversation: What was said so far, as far as it was heard.
        metrics: Counts and times.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        session: Mapping[str, Any] | None = None,
        *,
        backoff: Backoff = DEFAULT_BACKOFF,
        ping_interval_s: float = PING_S,
        ping_timeout_s: float = PONG_S,
        is_quiet: Callable[[], bool] | None = None,
        opened: Callable[[], Awaitable[ClientConnection]] | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock or WallClock()
        self.metrics = ClientMetrics()
        self.conversation = ConversationState(self._clock, self.metrics)
        self._configuration = Configuration(session or {})
        self._session: dict[str, Any] = {}
        self._is_quiet = is_quiet
        self._responses = ResponseLedger(self.metrics)
        self._sender = Sender(endpoint.dialect, self.metrics, self._clock)
        self._waiters = Waiters()
        self._opening = Opening(self._sender, self._waiters, self._configuration, self.conversation, set())
        self._failed = FailedResponses()
        self._renewal = Renewal()
        self._dispatcher = EventDispatcher(self.metrics, self._responses.is_late)
        self._supervisor = Supervisor(
            endpoint,
            Owner(self._serve, self._take, self._lost, self._retrying, opened),
            backoff=backoff,
            keep_alive_s=(ping_interval_s, ping_timeout_s),
            metrics=self.metrics,
            clock=self._clock,
            rng=rng or random.Random(),
        )
        self._link: Link | None = None
        self._running: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._failure: AntiphonException | None = None
        self._lost_at_s: float | None = None
        self._owes_answer = False
        self._ask_again: Mapping[str, Any] | None = None

    async def connect(self) -> None:
        """Connect; returns when the session is configured.

        Raises:
            AntiphonException: The service refuses, or does not answer after several tries.
        """
        if self._running is not None:
            raise ConfigurationError("This Realtime client was used before: make a new one for a new conversation.")
        self._opened = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._live(), name="realtime client")
        try:
            await asyncio.shield(self._opened)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the conversation. All is gone within two seconds."""
        if self._running is None:
            return
        self._supervisor.stop()
        await asyncio.wait({self._running}, timeout=CLOSE_S)
        if not self._running.done():
            self._running.cancel()
            await asyncio.wait({self._running})

    async def wait_closed(self) -> None:
        """Wait for the end of the conversation.

        Raises:
            AntiphonException: What ended it, where it was not meant to end.
        """
        if self._running is not None:
            await asyncio.wait({self._running})
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether events are sent at once: connected, configured, and told the history."""
        return self._sender.link is not None

    @property
    def session(self) -> Mapping[str, Any]:
        """The effective session, as the service tells it, in the current shape; empty before it does."""
        return self._session

    @property
    def response_active(self) -> str:
        """The id of the conversation's response that is being made; empty: there is none."""
        active = self._responses.active
        return active.response_id if active is not None else ""

    @property
    def user_speaking(self) -> bool:
        """Whether the service hears the user."""
        return self._responses.user_speaking

    def is_cancelled(self, response_id: str) -> bool:
        """Whether a response was cancelled, from here or by the service."""
        return self._responses.is_cancelled(response_id)

    def on(self, types: str | Collection[str], handler: Handler) -> None:
        """Call a handler at events of these types, under their current names; ``"*"`` is every one.

        Args:
            types: One or more; a handler that is given for several gets all of them in order.
            handler: A plain or an async function. What it raises is logged, and nothing else.
        """
        self._dispatcher.on(types, handler)

    async def wait_for(
        self, types: str | Collection[str], timeout_s: float, where: Condition | None = None
    ) -> ServerEvent:
        """The next event of these types.

        Args:
            types: One or more.
            timeout_s: Longest wait.
            where: What else must hold.

        Raises:
            TimeoutError: None came.
            NotConnected: The connection was lost; one who waits for the client's own events goes on waiting.
        """
        return await answer(self._waiters.expect(types, where), timeout_s)

    async def request(
        self,
        event: Mapping[str, Any],
        reply: str | Collection[str],
        *,
        timeout_s: float,
        where: Condition | None = None,
    ) -> ServerEvent:
        """Send an event and wait for what it brings about.

        Args:
            event: As for ``send``.
            reply: Type, or types, of the reply.
            timeout_s: Longest wait.
            where: What else must hold of the reply.

        Raises:
            TimeoutError: No reply came.
            NotConnected: There is no connection, or it was lost.
            RequestRefused: The service answered with an error.
        """
        event = self._sender.identified(event)
        future = self._waiters.expect(reply, where, event_id=event["event_id"])
        try:
            await self.send(event)
        except BaseException:
            future.cancel()
            raise
        return await answer(future, timeout_s)

    async def send(self, event: Mapping[str, Any]) -> str:
        """Send any client event, in the current shape. New items and responses may wait for a connection.

        Args:
            event: With its ``type``; an ``event_id`` is added where there is none.

        Returns:
            The event's id.

        Raises:
            NotConnected: There is no connection, and the event cannot wait.
        """
        return await self._sender.send(event)

    async def update_session(self, session: Mapping[str, Any]) -> str:
        """Change the session; without a connection the change is told to the next one."""
        kind = self._configuration.whole["type"]
        event = self._sender.identified({"type": "session.update", "session": {**session, "type": kind}})
        self._configuration.ask(event["event_id"], session)
        if self.connected:
            await self.send(event)
        return str(event["event_id"])

    async def append_audio(self, audio: bytes) -> str:
        """Add to the user's sound. In an outage the last five seconds are kept, and sent where it was that short.

        Args:
            audio: In the session's input format, whole samples.
        """
        return await self._sender.append(audio)

    async def commit_input(self) -> str:
        """The user has said it all. Too little to be speech is cleared instead."""
        if self._sender.audio.pending_ms < MIN_COMMIT_MS:
            return await self.clear_input()
        if not detects_turns(self._session):
            self._responses.speech_ended(self._clock.now())
        self._sender.audio.turn_ends(None)
        return await self.send({"type": "input_audio_buffer.commit"})

    async def clear_input(self) -> str:
        """Throw the user's sound since the last turn away."""
        self._sender.audio.clear()
        return await self.send({"type": "input_audio_buffer.clear"})

    async def create_item(self, item: Mapping[str, Any], *, previous_item_id: str | None = None) -> str:
        """Add an item to the conversation; an ``id`` is added where there is none.

        Args:
            item: A message, a function's output.
            previous_item_id: Where it goes: behind this item, or ``root``; the end unless given.
        """
        place = {"previous_item_id": previous_item_id} if previous_item_id else {}
        return await self.send({"type": "conversation.item.create", "item": dict(item), **place})

    async def delete_item(self, item_id: str) -> str:
        """Remove an item."""
        return await self.send({"type": "conversation.item.delete", "item_id": item_id})

    async def retrieve_item(self, item_id: str) -> str:
        """Ask for an item: ``conversation.item.retrieved`` brings it."""
        return await self.send({"type": "conversation.item.retrieve", "item_id": item_id})

    async def truncate_item(self, item_id: str, audio_end_ms: float) -> str:
        """Tell how much of an answer's sound was heard; more than came is taken as all that came."""
        if self._responses.of(item_id) is not None:
            audio_end_ms = min(audio_end_ms, self.received_ms(item_id))
        cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": max(0, int(audio_end_ms))}
        return await self.send({"type": "conversation.item.truncate", **cut})

    async def create_response(self, response: Mapping[str, Any] | None = None) -> str:
        """Ask for an answer. It waits until the service has taken up the one that was asked for before."""
        return await self.send({"type": "response.create", **({"response": dict(response)} if response else {})})

    async def cancel_response(self, response_id: str | None = None) -> str:
        """Stop an answer; the active one unless named. What still comes of it is dropped."""
        if response_id or self.response_active:
            self.drop(response_id=response_id or self.response_active)
        which = {"response_id": response_id} if response_id else {}
        return await self.send({"type": "response.cancel", **which})

    def drop(self, *, response_id: str = "", item_id: str = "") -> None:
        """Nobody wants the rest of an answer: what still comes is dropped and counted. Nothing is sent."""
        self._responses.drop(self._clock.now(), response_id=response_id, item_id=item_id)

    async def interrupt(self, item_id: str, played_ms: float) -> None:
        """The user breaks in: stop the answer, and tell both histories what was heard of it.

        Silence the output first; this waits for the network. Nothing is sent where all was heard.

        Args:
            item_id: The answer that is being played; empty: none has begun to play.
            played_ms: What was played of it.
        """
        active, received_ms = self._responses.active, self.received_ms(item_id)
        if active is None and played_ms >= received_ms:
            return
        self.drop(response_id=active.response_id if active else "", item_id=item_id)
        made = [each for each in (active.item_ids if active else ()) if self.conversation.turn(each) is not None]
        heard = dict.fromkeys(made, 0.0)
        if item_id in made or played_ms < received_ms:
            heard = {item_id: min(played_ms, received_ms)} | {each: 0.0 for each in made if each != item_id}
        heard = {each: heard_ms for each, heard_ms in heard.items() if self._responses.cut(each)}
        for each, heard_ms in heard.items():
            self.conversation.interrupted(each, heard_ms=heard_ms, generated_ms=self.received_ms(each))
        try:
            if active is not None and not active.cancel_sent and not cancels_on_speech(self._session):
                active.cancel_sent = True
                await self.cancel_response(active.response_id)
            for each, heard_ms in heard.items():
                await self._tell_heard(each, heard_ms)
        except NotConnected:
            pass  # The next connection is told what was heard, and has no answer to cancel.

    async def _tell_heard(self, item_id: str, heard_ms: float) -> None:
        """Tell the service what was heard of an answer."""
        response = self._responses.of(item_id)
        if response is None or response.status != "lost":  # A new connection was told the answer as text.
            await (self.truncate_item(item_id, heard_ms) if heard_ms > 0 else self.delete_item(item_id))

    def received_ms(self, item_id: str) -> float:
        """Length of the sound that came for an item."""
        response = self._responses.of(item_id)
        received = response.received_bytes.get(item_id, 0) if response is not None else 0
        return received / bytes_per_ms(self._session, "output")

    def note_played(self, item_id: str, at_s: float | None = None) -> None:
        """An item's first sample was played, now or at ``at_s`` of the client's clock."""
        self._responses.note_played(item_id, self._clock.now() if at_s is None else at_s)

    async def _live(self) -> None:
        """Own all that runs; the client's one task."""
        self._sender.is_open = True
        try:
            async with asyncio.TaskGroup() as tasks:
                dispatching = tasks.create_task(self._dispatcher.run())
                self._failure = await self._supervisor.run()
                self._tell(CLOSED, code=self._failure.code if self._failure is not None else None)
                self._dispatcher.close()
                await asyncio.wait({dispatching}, timeout=CLOSE_S)
                dispatching.cancel()
        finally:
            self._sender.is_open = False
            if self._opened is not None and not self._opened.done():
                self._opened.set_exception(self._failure or NotConnected("The Realtime connection was closed."))
                self._opened.exception()  # Nobody may wait any more.

    async def _serve(self, link: Link) -> None:
        """Prepare a connection, then look after what waits for as long as it lasts."""
        self._link = link
        await self._opening.run(link, self._session)
        if self._ask_again is not None:
            self._sender.post(self._ask_again)
            self._ask_again = None
        await self._sender.catch_up(link)
        self._be_ready()
        while True:
            await self._clock.sleep(TICK_S)
            self._tick(link)

    def _be_ready(self) -> None:
        again, now_s = self._supervisor.was_connected, self._clock.now()
        self._supervisor.ready()
        self.metrics.set("connected", 1)
        outage_s = now_s - self._lost_at_s if self._lost_at_s is not None else 0.0
        self._lost_at_s = None
        _log.info("connected to the Realtime service", reconnected=again, outage_s=round(outage_s, 3))
        self._tell(CONNECTED, reconnected=again, outage_s=outage_s)
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    def _lost(self, ending: Ending) -> None:
        """A connection is over."""
        if self._lost_at_s is None:
            self._lost_at_s = self._clock.now()
        was_ready = self.connected
        self._keep_answer()
        self._sender.disconnected()
        self.conversation.disconnected()
        self._opening.replayed.clear()
        self._link = None
        self._waiters.fail(NotConnected("The Realtime connection was lost; it is being made again."))
        self.metrics.set("connected", 0)
        if was_ready and ending.again:
            _log.info("the Realtime connection is over", error_code=ending.reason)
            self._tell(DISCONNECTED, reason=ending.reason, code=ending.code)

    def _keep_answer(self) -> None:
        """An answer that broke off is cut to what came of it; one that had not begun is asked for again."""
        lost = self._responses.disconnected()
        if lost is not None and lost.first_delta_at is not None:
            for item_id in lost.item_ids:
                self.conversation.broken_off(item_id, came_ms=self.received_ms(item_id))
        elif lost is not None and not (lost.cancelled or lost.has_called):
            self._ask_again = self._sender.outbox.answered or {"type": "response.create"}
        elif self._owes_answer and not self._sender.outbox.awaiting_response:
            self._ask_again = {"type": "response.create"}
        self._owes_answer = False

    def _retrying(self, attempt: int, delay_s: float) -> None:
        self._tell(RETRYING, attempt=attempt, delay_s=delay_s)

    def _tell(self, name: str, **fields: Any) -> None:
        """Give the handlers, and who waits, an event of the client's own."""
        event = ServerEvent(name, fields, self._clock.now())
        self._waiters.take(event)
        self._dispatcher.put(event)

    def _take(self, message: str | bytes) -> None:
        """Follow one frame and hand it on. Returns at once."""
        try:
            event = read_event(message, at_s=self._clock.now())
        except UnreadableEvent as error:
            self.metrics.count("errors_total", category="protocol", code=error.code)
            _log.warning("a frame of the Realtime service is skipped", error_code=error.code, reason=str(error))
            return
        if event.type not in REQUIRED and not self._dispatcher.wants(event.type):
            self.metrics.count("unknown_events_total", type=event.type[:64])
            _log.debug("an unknown event of the Realtime service", event_type=event.type[:64])
        if self._responses.is_late(event):
            self.metrics.count("late_deltas_total")
            return
        try:
            self._follow(event)
        except Exception:
            # Whatever a service sends, and whatever we make of it, must not end the conversation.
            self.metrics.count("errors_total", category="protocol", code="not_followed")
            _log.exception("an event of the Realtime service could not be followed", event_type=event.type)
        self._waiters.take(event)
        if not (
            event.item_id in self._opening.replayed
            and event.type in ("conversation.item.added", "conversation.item.done")
        ):
            self._dispatcher.put(event)

    def _follow(self, event: ServerEvent) -> None:
        """Keep all that is known of the session, its responses and its items up to date."""
        self._responses.take(event)
        self.conversation.take(event)
        self._sender.take(event)
        if event.type in ("session.created", "session.updated"):
            self._session = session_to_ga(event.part("session"))
            self._sender.audio.bytes_per_ms = bytes_per_ms(self._session, "input")
            if event.type == "session.updated":
                self._configuration.agreed()
            else:
                self._renewal.begin(self._session.get("expires_at"), self._clock.utc().timestamp())
        elif event.type == "input_audio_buffer.committed":
            self._owes_answer = answers_turns(self._session)
        elif event.type == "response.created":
            self._owes_answer = False
        elif event.type == "conversation.item.deleted":
            self._opening.replayed.discard(event.item_id)
        elif event.type in ("error", "response.done"):
            self._follow_error(event)

    def _follow_error(self, event: ServerEvent) -> None:
        error = error_in(event)
        if event.type == "response.done" and self._failed.should_repeat(event):
            again = self._sender.outbox.answered or {"type": "response.create"}
            self._clock.call_at(self._clock.now() + REPEAT_AFTER_S, self._repeat, again)
        if error is None:
            return
        report(event, error, self.metrics)
        self._configuration.refused(error.get("event_id"))
        fatal = fatal_error(error)
        if fatal is not None and self._link is not None:
            self._link.end(Ending(False, fatal, fatal.code))

    def _repeat(self, request: Mapping[str, Any]) -> None:
        if self._sender.is_open:
            self._sender.post({key: value for key, value in request.items() if key != "event_id"})

    def _tick(self, link: Link) -> None:
        """Look after what only time can move on."""
        self._sender.tick()
        for item_id in self.conversation.due_retrievals():
            self._sender.post({"type": "conversation.item.retrieve", "item_id": item_id})
        quiet = not self._responses.user_speaking and self._responses.active is None
        quiet = quiet and (self._is_quiet is None or self._is_quiet())
        if self._renewal.is_due(self._clock.utc().timestamp(), quiet=quiet):
            link.end(Ending(True, None, RENEWAL))
