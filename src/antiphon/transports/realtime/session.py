"""One session of the Realtime protocol: what the client asks for, carried out on a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.approval import Decision
from antiphon.agents.compaction.tokens import TokenCounter
from antiphon.calls.call import Call
from antiphon.calls.events import SessionEnded, UserSpeechStarted, UserTyped
from antiphon.calls.log import CallLog
from antiphon.calls.log import Entry as LogEntry
from antiphon.calls.models import CallModels
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.calls.reply import ReplyTerms
from antiphon.calls.speech import Speaker
from antiphon.calls.stall import StallGuard
from antiphon.clock import Clock
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.messages import Message
from antiphon.transports.realtime import manners
from antiphon.transports.realtime.aside import Asides
from antiphon.transports.realtime.caller import CallersSide
from antiphon.transports.realtime.channel import Channel
from antiphon.transports.realtime.conversation import Conversation, Entry, base64_of, message_of
from antiphon.transports.realtime.inlet import Inlet
from antiphon.transports.realtime.line import Player, RealtimeLine
from antiphon.transports.realtime.mcp import McpServers, check_answer, decisions
from antiphon.transports.realtime.responses import Responses
from antiphon.transports.realtime.sound import CALL_AUDIO, Decoder, Encoder
from antiphon.transports.realtime.terms import check_prompt, check_tools, reply_terms
from antiphon.transports.realtime.truncation import fit_by
from antiphon.wire.realtime import events
from antiphon.wire.realtime.client_events import (
    AudioClear,
    AudioCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    KeyPressed,
    OutputClear,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
)
from antiphon.wire.realtime.ids import new_id
from antiphon.wire.realtime.items import Item, item_object, read_item
from antiphon.wire.realtime.refusal import Refusal, invalid_value
from antiphon.wire.realtime.response import ResponseConfig, response_config
from antiphon.wire.realtime.session import ServerVad, SessionConfig, merged, session_object

_log = structlog.get_logger(__name__)

_IDLE_FIRINGS = 2
_WARNING_S = 60.0
_LAST_CALLS_S = 1.0
_CLOSE_CODES: Mapping[str, int] = {"drained": 1012, "error": 1011}


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What a session may take.

    Attributes:
        max_s: Its longest life.
        idle_s: It ends when the client says nothing for so long; 0 is never.
        max_items: Items of the conversation.
        retrieve_bytes: Base64 of the sound of one item.
        strict: Whether unknown fields and forbidden changes are refused.
    """

    max_s: float = 3600.0
    idle_s: float = 300.0
    max_items: int = 2000
    retrieve_bytes: int = 700_000
    strict: bool = False


OpenCall = Callable[["RealtimeSession", RealtimeLine, CallPolicy], "tuple[Call, CallLog]"]
"""Makes the call of a session, with the session's ``conversation`` and ``responses``."""


class RealtimeSession:
    """The state behind one connection.

    Args:
        channel: Where events go.
        agent: Who answers.
        models: What the call uses.
        client_for: Gives the language model of an agent.
        config: The configuration to begin with.
        policy: The server's manners.
        limits: What the session may take.
        clock: Time.
        greets: Whether the agent speaks first.
        tells_log: Whether the client also gets each entry of the call's log.
        player: Where the server plays the sound itself.

    Attributes:
        id: ``sess_…``.
        conversation: Its items.
        responses: Its answers.
    """

    def __init__(
        self,
        channel: Channel,
        agent: Agent,
        models: CallModels,
        *,
        client_for: Callable[[Agent], ChatClient],
        config: SessionConfig,
        policy: CallPolicy,
        limits: SessionLimits,
        clock: Clock,
        greets: bool = False,
        tells_log: bool = False,
        player: Player | None = None,
    ) -> None:
        self.id = new_id("sess")
        self.agent = agent
        self.config = config
        self.greets = greets
        self._channel = channel
        self._models = models
        self._client_for = client_for
        self._policy = manners.call_policy(policy, max_s=limits.max_s + 60, is_played=player is not None)
        self._limits = limits
        self._clock = clock
        self._tells_log = tells_log
        self._expires_at = int(clock.utc().timestamp() + limits.max_s)
        self._conversation_id = new_id("conv")
        keep_bytes = limits.retrieve_bytes * 3 // 4
        self._caller = CallersSide(
            channel, config, keep_bytes=keep_bytes, max_items=limits.max_items, strict=limits.strict
        )
        self.conversation: Conversation = self._caller.conversation
        self._mcp = McpServers(
            channel, self.conversation, clock=clock, spawn=self._spawn, listed=lambda: self._go_by(self.config)
        )
        self._counter = TokenCounter()
        self.responses = Responses(
            channel,
            self.conversation,
            conversation_id=self._conversation_id,
            config=self._next_config,
            heard_s=self._caller.take_heard_s,
            stopped=self._why_stopped,
            heard=self._caller.heard,
            turn_dropped=self._caller.turn_dropped,
            over=self._response_over,
        )
        self.line = RealtimeLine(self.responses.play, self._hang_up, player=player)
        self._inlet = Inlet(
            self._handle,
            decode=self._caller.decode,
            hear=self._hear,
            pauses=lambda: self._call.caller_pauses,
            spawn=self._spawn,
            clock=clock,
        )
        self._asked: ResponseConfig | None = None  # of the response that was asked for and has not begun
        self._working: set[asyncio.Task[None]] = set()
        self._transcribing: set[asyncio.Task[None]] = set()
        self._cancelling = False
        self._pressing = False
        self._adopted: tuple[TurnPolicy, bool, float | None] | None = None
        self._idle_fired = 0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._last_event_at = clock.now()
        self._tasks: asyncio.TaskGroup | None = None
        self._call: Call
        self._asides: Asides
        self._is_ending = False
        self._over = asyncio.Event()

    # The life of a session.

    async def run(self, open_call: OpenCall, ready: Callable[[], None]) -> SessionEnded:
        """Be the session until it is over.

        Args:
            open_call: Makes its call.
            ready: Called when client events may come.
        """
        self._call, log = open_call(self, self.line, self._policy)
        self._caller.call = self._call
        self._asides = Asides(
            self._channel,
            self._call,
            self._models.tts,
            client_for=lambda agent: StallGuard(self._client_for(agent), self._policy.llm_stall_s, clock=self._clock),
            terms=self._terms,
            tts_timeout_s=self._policy.tts_timeout_s,
            clock=self._clock,
            spawn=self._spawn,
        )
        self._apply(self.config, is_silent=False)
        log.subscribe(self._read)
        self.introduce(self._channel.send)
        end = self._clock.now() + self._limits.max_s
        deadline = self._clock.call_at(end, self._expire)
        warning = self._clock.call_at(end - _WARNING_S, self._warn)
        watch = self._watch_idle()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                call = tasks.create_task(self._call.run(), name=f"{self.id} call")
                await asyncio.sleep(0)  # The call is up after its first step.
                ready()
                self._mcp.replace(self.config.tools)
                self._spawn(self._close_servers())
                ended = await call
                self._tasks = None
                for task in self._working:
                    task.cancel()
        finally:
            self._tasks = None
            deadline.cancel()
            warning.cancel()
            watch()
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            await self._mcp.aclose()
        return ended

    def introduce(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        """Tell what session this is, as the first that a client hears."""
        send(events.session_created(self._object()))
        send(events.conversation_created(self._conversation_id))

    def hear(self, pcm: bytes) -> None:
        """Take the caller's sound, 24 kHz PCM, where it has a way of its own."""
        self._last_event_at = self._clock.now()
        self._inlet.take_sound(pcm)

    def receive(self, event: ClientEvent) -> None:
        """Take a client event. Never raises for what a client can send."""
        self._last_event_at = self._clock.now()
        if self._tasks is not None:
            self._inlet.take(event)

    def refuse(self, refusal: Refusal) -> None:
        """Tell the client why nothing came of its event, behind the replies to those before it."""
        if self._tasks is not None:
            self._inlet.take(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        self._channel.send(events.error(refusal))

    def lost(self) -> None:
        """The client is gone."""
        self._call.line_lost()

    def hang_up(self) -> None:
        """The application ends the session, at once."""
        self._call.line_lost("agent_hangup")

    def shut_down(self) -> None:
        """The server ends."""
        self._call.end("drained")

    async def _close_servers(self) -> None:
        """Calls that still run when the call is over have a moment to end."""
        await self._over.wait()
        await self._clock.sleep(_LAST_CALLS_S)
        await self._mcp.aclose()

    def _hang_up(self, reason: str) -> None:
        self._over.set()
        code = _CLOSE_CODES.get(reason, 1000)
        self._channel.close(code, reason)

    def _warn(self) -> None:
        """Let a client that knows Antiphon open another session in time."""
        if self._tells_log and self._limits.max_s > _WARNING_S:
            self._channel.send({"type": "antiphon.session_expiring", "expires_at": self._expires_at})

    def _expire(self) -> None:
        minutes = max(1, round(self._limits.max_s / 60))
        text = f"Your session hit the maximum duration of {minutes} minutes."
        self._end_with(Refusal("session_expired", text))

    def _end_with(self, refusal: Refusal) -> None:
        if not self._is_ending:
            self._is_ending = True
            self._refuse(refusal)
            self._channel.close(1001, refusal.message)
            self._call.line_lost("time_limit")

    def _watch_idle(self) -> Callable[[], None]:
        """End the session when the client says nothing; gives the function that stops watching."""
        if self._limits.idle_s <= 0:
            return lambda: None
        timer: list[Any] = []

        def look() -> None:
            rest_s = self._last_event_at + self._limits.idle_s - self._clock.now()
            if rest_s > 0:
                timer[:] = [self._clock.call_at(self._clock.now() + rest_s, look)]
                return
            text = f"The session was closed: the client sent nothing for {self._limits.idle_s:g} s."
            self._end_with(Refusal("session_idle", text))

        look()
        return lambda: timer[0].cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work as a task of the session, which is on."""
        assert self._tasks is not None
        task = self._tasks.create_task(self._guard(work), name=f"{self.id} task")
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        # A task that is cancelled before its first step never comes to its work.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # The root of a session's task: a fault in it must not end the session.
            _log.exception("session_task_failed", session_id=self.id)
            self._refuse(Refusal("internal_error", "Something went wrong on our side.", kind="server_error"))

    # What the client asks for.

    def _handle(self, event: ClientEvent | Refusal) -> None:
        try:
            _HANDLERS[type(event)](self, event)
        except Refusal as refusal:
            refusal.event_id = event.event_id
            self._refuse(refusal)

    def _hear(self, pcm: bytes) -> None:
        self._caller.hear(pcm)

    def _update(self, event: SessionUpdate) -> None:
        config, _ = merged(
            self.config, event.session, strict=self._limits.strict, voice_locked=self.responses.has_spoken
        )
        check_prompt(config.prompt, self.agent.name, "session.prompt")
        check_tools(config.tools, "session.tools")
        self._apply(config, is_silent=False)
        self._channel.send(events.session_updated(self._object()))
        self._mcp.replace(config.tools)

    def _apply(self, config: SessionConfig, *, is_silent: bool) -> None:
        self.config = self._caller.config = config
        turn = manners.turn_policy(self._policy.turn, config, is_silent=is_silent)
        adopted = turn, config.turn_detection is not None, manners.threshold(config)
        if adopted != self._adopted:
            self._adopted = adopted
            self._call.adopt(turn, detects=adopted[1], threshold=adopted[2])
        self._go_by(config)

    def _go_by(self, config: SessionConfig) -> None:
        terms = self._terms(response_config(config, {}))
        voice = self._call.agent.voice if config.voice == config.default_voice else config.voice
        self._call.go_by(terms, voice=voice, speed=config.speed)

    def _terms(
        self, config: ResponseConfig, *, context: list[Message] | None = None, decided: Sequence[Decision] = ()
    ) -> ReplyTerms:
        return reply_terms(
            config,
            agent_instructions=self.config.default_instructions,
            context=context,
            mcp=self._mcp.tools_of(config.tools),
            decided=decided,
            fit=fit_by(self.config.truncation, config, counter=self._counter),
        )

    def _object(self) -> dict[str, Any]:
        return session_object(self.config, session_id=self.id, expires_at=self._expires_at)

    def _commit(self, event: AudioCommit) -> None:
        self._caller.commit(event.event_id)

    def _clear(self, _event: AudioClear) -> None:
        self._caller.clear()

    def _press(self, event: KeyPressed) -> None:
        self._channel.send(events.dtmf_received(event.event, int(self._clock.utc().timestamp())))
        self._pressing = True
        try:
            self._call.digit(event.event)
        finally:
            self._pressing = False

    def _clear_output(self, _event: OutputClear) -> None:
        if self._channel.takes_audio:
            raise invalid_value("The output buffer of this session is the client's own: clear it there.", "type")
        self._cancel_active()

    def _create_item(self, event: ItemCreate) -> None:
        item = read_item(event.item, strict=self._limits.strict)
        if self._limits.strict and item.type == "function_call_output" and not self.conversation.has_call(item.call_id):
            raise invalid_value(f"There is no function call with call_id '{item.call_id}'.", "item.call_id")
        check_answer(item, self.conversation)
        entry = self.conversation.create(item, event.previous_item_id)
        decoder = Decoder(self.config.input_format)
        entry.audio = decoder.feed(entry.audio) + decoder.rest()
        assert entry.item is not None
        previous = self.conversation.before(entry)
        shown = item_object(entry.item)
        self._channel.send(events.item_added(shown, previous))
        self._channel.send(events.item_done(shown, previous))
        self._tell_typed(item)
        if entry.audio and not any(part.transcript for part in item.content):
            entry.waits = True
            work = self._caller.transcribe(entry, self._models.stt, language=self._call.agent.language)
            task = self._spawn(work)
            self._transcribing.add(task)
            task.add_done_callback(self._transcribing.discard)
        self._someone_acts()

    def _tell_typed(self, item: Item) -> None:
        """What the caller writes belongs into the log as what is said does."""
        text = " ".join(part.text for part in item.content if part.type == "input_text" and part.text)
        if item.role == "user" and text:
            self._call.tell(UserTyped(text))

    def _retrieve_item(self, event: ItemRetrieve) -> None:
        entry = self.conversation.find(event.item_id)
        if entry is None:
            message = f"There is no item with id '{event.item_id}' to retrieve."
            raise Refusal("item_retrieve_invalid_item_id", message, "item_id")
        assert entry.item is not None
        self._channel.send(events.item_retrieved(item_object(entry.item, audio=self._sound_of(entry))))

    def _sound_of(self, entry: Entry) -> str | None:
        """The sound of an item as events carry it; None where it is too long."""
        speech = entry.speech
        if speech is not None:
            end = entry.sent if entry.limit_ms is None else entry.limit_ms * CALL_AUDIO.frame_bytes(1)
            encoder = Encoder(self.config.output_format)
            sound = encoder.feed(bytes(speech.sound[:end])) + encoder.rest()
        elif entry.audio:
            encoder = Encoder(self.config.input_format)
            sound = encoder.feed(entry.audio) + encoder.rest()
        else:
            return None
        return base64_of(sound) if len(sound) <= self._limits.retrieve_bytes * 3 // 4 else None

    def _truncate_item(self, event: ItemTruncate) -> None:
        kept_ms = self.conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        self._channel.send(events.item_truncated(event.item_id, kept_ms))

    def _delete_item(self, event: ItemDelete) -> None:
        self.conversation.delete(event.item_id)
        self._channel.send(events.item_deleted(event.item_id))

    # Responses.

    def _create_response(self, event: ResponseCreate) -> None:
        if self.config.kind == "transcription":
            raise invalid_value("Cannot create a response on a transcription session", "type")
        config = response_config(self.config, event.response, strict=self._limits.strict)
        check_prompt(config.prompt, self.agent.name, "response.prompt")
        check_tools(config.tools, "response.tools")
        context = None if config.input is None else self._context(config.input)
        if config.conversation == "none":
            self._asides.check_room()
            messages = self.conversation.messages.copy() if context is None else context
            self._asides.begin(config, messages, speaker=self._speaker_of(config), listing=self._listing(config))
            return
        if self.responses.active is not None or self._asked is not None:
            message = "Conversation already has an active response in progress: wait until it is done."
            raise Refusal("conversation_already_has_active_response", message)
        listing = self._listing(config)
        self._asked = config
        self._someone_acts()
        if self._transcribing or listing:
            self._spawn(self._respond_after((*self._transcribing, *listing), config, context))
        else:
            self._respond(config, context)

    async def _respond_after(
        self, work: tuple[asyncio.Task[None], ...], config: ResponseConfig, context: list[Message] | None
    ) -> None:
        """Words of sound in the conversation are still being recognised, or the response's own tools be listed."""
        await asyncio.wait(work)
        if self._asked is config:
            self._respond(config, context)

    def _respond(self, config: ResponseConfig, context: list[Message] | None) -> None:
        tools, approvals = self._mcp.tools_of(config.tools), self._call.session.approvals
        decided = decisions(self.conversation, approvals, tools, now=self._clock.utc())
        terms = self._terms(config, context=context, decided=decided)
        if terms.is_silent:
            self._apply(self.config, is_silent=True)
        self._call.respond(terms)

    def _listing(self, config: ResponseConfig) -> list[asyncio.Task[None]]:
        """What a response waits for that brings MCP servers of its own: their tools."""
        return [] if config.tools == self.config.tools else self._mcp.add(config.tools)

    def _next_config(self) -> ResponseConfig:
        config, self._asked = self._asked, None
        return config or response_config(self.config, {})

    def _context(self, given: tuple[Item, ...]) -> list[Message]:
        messages: list[Message] = []
        for place, item in enumerate(given):
            if item.type != "item_reference":
                message = message_of(item)
            else:
                entry = self.conversation.find(item.id)
                if entry is None:
                    text = f"There is no item with id '{item.id}' in the conversation."
                    raise invalid_value(text, f"response.input[{place}].id")
                message = entry.message
            if message is not None:
                messages.append(message)
        return messages

    def _speaker_of(self, config: ResponseConfig) -> Speaker:
        agent = self._call.agent
        voice = agent.voice if config.voice == self.config.default_voice else config.voice
        return replace(Speaker.of(agent, pace=config.speed), voice=voice)

    def _cancel_response(self, event: ResponseCancel) -> None:
        if self._asides.cancel(event.response_id):
            return
        active = self.responses.active
        if active is not None and event.response_id in (None, active.id):
            self._cancel_active()
        elif self._asked is not None and event.response_id is None:
            self._cancel_active()
            self.responses.call_off()
        else:
            raise Refusal("response_cancel_not_active", "Cancellation failed: no active response found")

    def _cancel_active(self) -> None:
        self._cancelling = True
        try:
            self._call.cancel()
        finally:
            self._cancelling = False

    def _why_stopped(self) -> str | None:
        """Why the call cut what it said; None where the answer was given up."""
        if self._cancelling or self._is_ending or self._call.is_over:
            return "client_cancelled"
        if self._pressing:  # The client knows: it gets no word of speech.
            return "turn_detected"
        if self._call.caller_has_floor:
            self._caller.announce()
            return "turn_detected"
        return None

    def _response_over(self) -> None:
        if self.config.modality == "audio":
            self._apply(self.config, is_silent=False)
        detection = self.config.turn_detection
        if isinstance(detection, ServerVad) and detection.idle_timeout_ms is not None:
            self._stop_idle_timer()
            when = self._clock.now() + self._policy.lead_s + detection.idle_timeout_ms / 1000
            self._idle_timer = self._clock.call_at(when, self._caller_is_silent)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _someone_acts(self) -> None:
        self._stop_idle_timer()
        self._idle_fired = 0

    def _caller_is_silent(self) -> None:
        """The caller says nothing after an answer: the agent speaks again."""
        self._idle_timer = None
        if self._idle_fired >= _IDLE_FIRINGS or not self._call.agent_is_silent or self._call.caller_has_floor:
            return
        self._idle_fired += 1
        self._caller.time_out()
        self._respond(response_config(self.config, {}), None)

    # What the call's log tells.

    def _read(self, entry: LogEntry) -> None:
        if isinstance(entry.event, UserSpeechStarted):
            self._someone_acts()
            self._caller.speech_started(entry.event)
        self.responses.follow(entry.event)
        if self._tells_log and entry.event.type != "floor.decision":
            self._channel.send({"type": "antiphon.event", "entry": entry.to_dict()})


_HANDLERS: Mapping[type, Callable[[RealtimeSession, Any], None]] = {
    SessionUpdate: RealtimeSession._update,
    AudioCommit: RealtimeSession._commit,
    AudioClear: RealtimeSession._clear,
    KeyPressed: RealtimeSession._press,
    OutputClear: RealtimeSession._clear_output,
    ItemCreate: RealtimeSession._create_item,
    ItemRetrieve: RealtimeSession._retrieve_item,
    ItemTruncate: RealtimeSession._truncate_item,
    ItemDelete: RealtimeSession._delete_item,
    ResponseCreate: RealtimeSession._create_response,
    ResponseCancel: RealtimeSession._cancel_response,
    Refusal: RealtimeSession._refuse,
}
