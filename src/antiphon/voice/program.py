"""One conversation by microphone and loudspeaker, from the first sound to the last metric."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from antiphon.clock import Clock, WallClock
from antiphon.errors import IntegrationInitializationError
from antiphon.logs import Log
from antiphon.realtime.calls import FunctionCalls
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.endpoint import Endpoint
from antiphon.realtime.errors import NotConnected
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.reconnect import Backoff
from antiphon.redaction import redactor_for
from antiphon.settings_voice import VoiceClientSettings
from antiphon.transports.local.beside import beside
from antiphon.transports.local.contract import Sound
from antiphon.transports.local.echo import EchoCanceller, FarEnd
from antiphon.transports.local.mic import RATE_HZ, Level, MicStreamer
from antiphon.transports.local.player import AudioPlayer, PlayerEventKind
from antiphon.voice.barge_in import BargeInController
from antiphon.voice.configuration import session_of
from antiphon.voice.facts import FactsSheet
from antiphon.voice.keeper import MemoryKeeper
from antiphon.voice.language import ConversationLanguage, Detector
from antiphon.voice.memory import MemoryStore
from antiphon.voice.playout import AnswerPlayout
from antiphon.voice.privacy import PrivateHistory
from antiphon.voice.rolling_summary import RollingSummary
from antiphon.voice.summaries import NullSummarizer, Summarizer, SummaryPolicy
from antiphon.voice.summarizers import summarizer_of
from antiphon.voice.tools import ToolRegistry, built_in_tools
from antiphon.voice.watch import Watch

FADE_S = 0.05
"""From the end of playout to the end of the socket: what is inside the device is heard out."""
SETTLE_S = 0.05
LAST_WORDS_S = 15.0
MIN_COMMIT_MS = 100
"""Services refuse shorter turns."""

_log = Log(__name__)


class VoiceProgram:
    """Everything that takes part in one conversation.

    Args:
        settings: All settings.
        endpoint: The service.
        sound: Microphone and loudspeaker; None for a conversation in writing.
        summarizer: In place of the one that the settings name.
        tools: In place of those that the settings name.
        clock: Wall time unless given.

    Attributes:
        client: The conversation.
        sound: As given.
        player: The loudspeaker's side.
        mic: The microphone's side.
        facts: The sheet.
        language: Of the user.
        history: Shows turns without personal data.
        partial: What the user is saying, as far as the service tells, by item.
    """

    def __init__(
        self,
        settings: VoiceClientSettings,
        endpoint: Endpoint,
        sound: Sound | None,
        *,
        summarizer: Summarizer | None = None,
        tools: ToolRegistry | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self.partial: dict[str, str] = {}
        self.facts = FactsSheet()
        self.sound = sound
        self._clock = clock or WallClock()
        self._stop = asyncio.Event()
        self._summarizer = summarizer
        kinds = settings.redact_kinds if settings.redact_pii else ()
        self._redactor = redactor_for(kinds)
        self.language = ConversationLanguage(settings.language_policy, settings.language)
        self._store = (
            MemoryStore(settings.memory_path, redact=redactor_for(kinds).redact) if settings.memory_path else None
        )
        self._keeper: MemoryKeeper | None = None
        # Only a real loudspeaker is heard by a real microphone.
        has_echo = settings.audio_backend == "sounddevice" and settings.echo_mode == "duplex"
        self._far = FarEnd(RATE_HZ) if sound is not None and has_echo else None
        self.player = AudioPlayer(
            jitter_ms=settings.jitter_ms, max_s=settings.player_max_s, on_event=self._on_player_event
        )
        self.mic = self._microphone()
        self.tools = tools if tools is not None else self._tools()
        self.client = RealtimeClient(
            endpoint,
            session_of(settings, self.tools.definitions(), is_text=sound is None),
            backoff=Backoff(settings.reconnect_base_s, settings.reconnect_max_s, settings.reconnect_max_tries),
            ping_interval_s=settings.ping_interval_s,
            ping_timeout_s=settings.ping_timeout_s,
            is_quiet=lambda: not self.player.is_playing,
            clock=self._clock,
        )
        self.barge_in = BargeInController(self.client, self.player, settings.barge_in, clock=self._clock)
        self.calls = FunctionCalls(self.client, self.tools, timeout_s=settings.tool_timeout_s, clock=self._clock)
        self.history = PrivateHistory(
            self.client, self._redactor, screen=redactor_for(kinds), log_transcripts=settings.transcript_log
        )
        self._watch = Watch(self.client, self.mic, self.player, chunk_ms=settings.chunk_ms, clock=self._clock)
        self._playout: AnswerPlayout | None = None
        self._follows_language = False
        self._unanswered_ms = 0
        self._cut = asyncio.Event()

    def stop(self) -> None:
        """Let ``stopped`` return."""
        self._stop.set()

    async def stopped(self) -> None:
        """Wait for ``stop``."""
        await self._stop.wait()

    @property
    def is_written(self) -> bool:
        """Whether the user writes in place of speaking."""
        return self.sound is None

    @property
    def is_idle(self) -> bool:
        """Whether nobody speaks, and nothing is being thought about."""
        turns = self.client.conversation.turns
        calls = any(call.status == "running" for turn in turns[-2:] for call in turn.calls)
        busy = self.client.response_active or self.client.user_speaking or self.player.is_playing
        owed = bool(turns) and turns[-1].role == "user"
        return not (busy or calls or owed)

    async def settled(self, timeout_s: float, *, quiet_s: float = 0.2) -> None:
        """Wait until the agent has said what it has to say.

        Args:
            timeout_s: Longest wait.
            quiet_s: For so long nothing has happened.
        """
        until_s = self._clock.now() + timeout_s
        idle_since_s: float | None = None
        while (now_s := self._clock.now()) < until_s:
            if not self.is_idle:
                idle_since_s = None
            elif idle_since_s is None:
                idle_since_s = now_s
            elif now_s - idle_since_s >= quiet_s:
                return
            await self._clock.sleep(SETTLE_S)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[VoiceProgram]:
        """The conversation, for as long as the body runs. The devices are opened before anything is sent.

        Raises:
            AudioDeviceError: A device is missing, refused or lost.
            AntiphonException: The service refuses, or cannot be reached.
        """
        self._playout = AnswerPlayout(self.client, self.player, loop=asyncio.get_running_loop(), clock=self._clock)
        synopsis = await self._load_memory()
        async with AsyncExitStack() as stack:
            if self.sound is not None:
                opened = await stack.enter_async_context(self.sound.opened(self.mic, self._pull))
                self.player.latency_s = opened.latency_s
            self._register()
            summary = self._rolling_summary(stack)
            stack.push_async_callback(self._end)
            await self.client.connect()
            await summary.begin(synopsis)
            self.mic.drop_waiting()
            async with beside(self._work(summary), "voice"):
                if self.settings.speak_first:
                    await self.client.create_response()
                yield self

    async def commit(self) -> None:
        """Push to talk: the user has finished. Too little sound is thrown away, and not answered."""
        is_turn = self._unanswered_ms >= MIN_COMMIT_MS
        self._unanswered_ms = 0
        await self.client.commit_input()
        if is_turn:
            await self.client.create_response()

    async def write(self, text: str) -> None:
        """The user writes in place of speaking."""
        content = [{"type": "input_text", "text": text}]
        await self.client.create_item({"type": "message", "role": "user", "content": content})
        await self.client.create_response()

    def _microphone(self) -> MicStreamer:
        settings = self.settings
        return MicStreamer(
            chunk_ms=settings.chunk_ms,
            queue_chunks=settings.mic_queue_chunks,
            drop_policy=settings.drop_policy,
            cleaner=EchoCanceller(RATE_HZ) if self._far is not None else None,
            far=self._far,
            is_muted=lambda: settings.echo_mode == "half" and self.player.is_playing,
            on_level=self._on_level,
        )

    def _tools(self) -> ToolRegistry:
        # An Antiphon agent has tools of its own: it is offered further ones only when somebody asks for that.
        asked_for = self.settings.provider != "antiphon" or "tools" in self.settings.model_fields_set
        return built_in_tools(
            self.settings.tools if asked_for else (),
            http_allow=self.settings.http_tool_allow,
            facts=self.facts if self._store is not None else None,
            facts_changed=self._changed,
            clock=self._clock,
        )

    def _changed(self) -> None:
        if self._keeper is not None:
            self._keeper.changed()

    def _pull(self, count: int) -> NDArray[np.int16]:
        """What the device plays next; the echo canceller is told too."""
        pcm = self.player.pull(count)
        if self._far is not None:
            self._far.put(pcm)
        return pcm

    def _on_player_event(self, kind: PlayerEventKind, item_id: str) -> None:
        if self._playout is not None:
            self._playout.on_player_event(kind, item_id)

    def _on_level(self, level: Level) -> None:
        """Ten times a second or more, on the loop."""
        metrics = self.client.metrics
        metrics.set("mic_level_dbfs", level.rms_dbfs)
        metrics.set("audio_input_queue_depth", self.mic.depth)
        metrics.set("audio_output_queue_depth_ms", self.player.held_ms)
        if self.barge_in.level(level):
            self._cut.set()

    def _register(self) -> None:
        self.client.on("input_audio_buffer.speech_started", self.barge_in.speech_started)
        self.client.on("conversation.item.input_audio_transcription.delta", self._user_says)
        self.client.on("conversation.item.input_audio_transcription.completed", self._user_said)

    def _user_says(self, event: ServerEvent) -> None:
        self.partial = {event.item_id: self.partial.get(event.item_id, "") + str(event.body.get("delta") or "")}

    def _user_said(self, event: ServerEvent) -> None:
        self.partial.pop(event.item_id, None)
        self.language.heard(str(event.body["transcript"]))

    async def _load_memory(self) -> str:
        if self._store is None:
            return ""
        synopsis, known = await asyncio.to_thread(self._store.load)
        for key, fact in known.facts.items():
            self.facts.put(key, fact.value, at=fact.updated_at, source_item_id=fact.source_item_id, pinned=fact.pinned)
        self._keeper = MemoryKeeper(self._store, self.facts, lambda: self.client.conversation.synopsis)
        return synopsis

    def _rolling_summary(self, stack: AsyncExitStack) -> RollingSummary:
        summarizer = self._summarizer
        if summarizer is None:
            summarizer, model = summarizer_of(self.settings, is_in=self.language.is_in, clock=self._clock)
            if model is not None:
                stack.push_async_callback(model.aclose)
        asks = self.settings.language_policy == "auto" or self._summarizer is None
        self._follows_language = asks and not isinstance(summarizer, NullSummarizer)
        if not self.settings.transcribes:
            _log.warning("no transcription, so no summaries: set TRANSCRIBE_MODEL to a model that writes down speech")
        settings = self.settings
        return RollingSummary(
            self.client,
            summarizer,
            policy=SummaryPolicy(
                settings.summary_trigger_tokens,
                settings.summary_trigger_turns,
                settings.summary_min_interval_s,
                settings.keep_last_turns,
            ),
            facts=self.facts,
            language=self.language,
            redact=self._redactor.redact,
            on_changed=self._changed,
            clock=self._clock,
        )

    async def _work(self, summary: RollingSummary) -> None:
        """All that goes on meanwhile. What ends one of these ends the conversation."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._until_closed(), name="connection")
            tasks.create_task(self.calls.run(), name="functions")
            tasks.create_task(summary.run(), name="summaries")
            tasks.create_task(self._watch.run(), name="watch")
            if self.sound is not None:
                tasks.create_task(self._send_microphone(), name="microphone")
                tasks.create_task(self._tell_cuts(), name="barge-in")
            if self._keeper is not None:
                tasks.create_task(self._keeper.run(), name="memory")
            if self._follows_language:
                tasks.create_task(self._load_detector(), name="languages")

    async def _load_detector(self) -> None:
        """Only now: it takes a second and more, and the first summary is far away."""
        try:
            self.language.detector = await asyncio.to_thread(Detector)
        except IntegrationInitializationError as error:
            _log.warning("language is not followed", reason=str(error))

    async def _until_closed(self) -> None:
        """The end of the connection is the end of the conversation: the agent may hang up, and is heard out."""
        await self.client.wait_closed()
        until_s = self._clock.now() + LAST_WORDS_S
        while self.player.is_playing and self._clock.now() < until_s:
            await self._clock.sleep(SETTLE_S)
        self.stop()

    async def _send_microphone(self) -> None:
        while (chunk := await self.mic.get()) is not None:
            self._unanswered_ms += self.settings.chunk_ms
            try:
                await self.client.append_audio(chunk.astype("<i2", copy=False).tobytes())
            except NotConnected:
                return  # For good: why, ``_until_closed`` tells.

    async def _tell_cuts(self) -> None:
        """The microphone's own barge-ins: playout is silent already."""
        while True:
            await self._cut.wait()
            self._cut.clear()
            await self.barge_in.tell()

    async def _end(self) -> None:
        """Microphone first, then playout, then the socket, then what is to be kept."""
        self._stop.set()
        self.mic.end()
        self.player.flush()
        if self.sound is not None:
            await self._clock.sleep(FADE_S)
        await self.client.close()
        self.history.redact()
        self._watch.count()
        if self._keeper is not None:
            await self._keeper.save()
        metrics = self.client.metrics
        _log.info(
            "conversation over",
            turns=metrics.total("turns_total"),
            responses=metrics.total("responses_total"),
            reconnections=metrics.total("reconnections_total"),
            barge_ins=metrics.total("barge_ins_total"),
            summaries=metrics.total("summaries_total", outcome="ok"),
            tokens_total=metrics.total("tokens_total"),
            dropped_frames=metrics.total("audio_frames_dropped_total"),
            latency_ms=metrics.histogram("end_to_end_ms").p50_ms,
        )
