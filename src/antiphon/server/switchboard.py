"""What all calls of a process share, and the calls that are live."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import team_of
from antiphon.calls.contract import AnyCall
from antiphon.calls.events import EndReason
from antiphon.calls.log import CallLog
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy
from antiphon.calls.voice import Phrases
from antiphon.clock import Clock
from antiphon.models.catalog import Models, chat_client, close_clients
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.failover import FailoverChatClient
from antiphon.models.pool import AnyPool, pools_of
from antiphon.models.s2s.connect import speech_model
from antiphon.models.s2s.contract import S2S
from antiphon.models.s2s.names import parts_of
from antiphon.models.stt.failover import FailoverSTT
from antiphon.models.tts.failover import FailoverTTS
from antiphon.server.admission import Admission
from antiphon.server.agents import AgentBook
from antiphon.server.auth import ApiKeys, StreamTokens, UsedSignatures
from antiphon.server.carriers import Carriers
from antiphon.server.keyset import KeySet
from antiphon.server.lag import LoopLag
from antiphon.server.levels import Levels
from antiphon.server.live import LiveCalls
from antiphon.server.numbers import CallNumbers
from antiphon.server.outgoing import OutgoingCall, OutgoingCalls
from antiphon.server.realtime.book import CallBook
from antiphon.server.realtime.secrets import ClientSecrets
from antiphon.server.recent import RecentCalls
from antiphon.server.session import Session
from antiphon.server.signatures import AUDIOHOOK_MAX_AGE_S
from antiphon.settings import Settings
from antiphon.store.calls import PastCalls
from antiphon.store.files import FileWriter
from antiphon.telemetry import Metrics
from antiphon.tools.source import ToolSource

LAST_CALLS_S = 2.0
CLOSE_MODELS_S = 3.0
CLOSE_SOURCES_S = 3.0

_log = structlog.get_logger(__name__)


class Switchboard:
    """Made once a process, given to everything that meets a caller.

    Args:
        settings: The operator's.
        agents: Who answers.
        policy: Manners of all calls.
        keys: Who may come in.
        clock: The process's time.
        keep_files: Whether calls leave a log (and a recording, where the settings say so).
        own_key: An API key that was made for this run, to be told to the person who started it.

    Attributes:
        models: Set when they are loaded; no call is taken before.
        waiting_for: What is not ready yet, with the reason; empty when calls are taken.
        watchers: Called with the log of each new call before anything is in it.
        started: When the process began to serve, UTC.
        live: The calls that go on, for people who look on.
        numbers: What Prometheus is told of calls.
        recent: What happened in them lately.
        past: The calls whose files are there.
        carriers: Those that take commands about calls.
        outgoing: The calls that are made here.
    """

    def __init__(
        self,
        settings: Settings,
        agents: AgentBook,
        *,
        policy: CallPolicy,
        keys: ApiKeys,
        clock: Clock,
        keep_files: bool = True,
        own_key: str | None = None,
    ) -> None:
        self.settings = settings
        self.agents = agents
        self.policy = policy
        self.keys = keys
        self.clock = clock
        self.keep_files = keep_files
        self.own_key = own_key
        self.models: Models | None = None
        self.waiting_for: dict[str, str] = {"models": "they are being loaded"}
        self.started = clock.utc()
        self.live = LiveCalls(self._folder_of, recorded=self._is_recorded, scrubs=settings.redact == "store")
        self.past = PastCalls(settings.data_dir)
        self.watchers: list[Callable[[CallLog], None]] = [self.live.watch]
        self.metrics = Metrics()
        self.numbers = CallNumbers()
        self.metrics.collectors += (*self.numbers.collectors, Levels(self))
        self.recent = RecentCalls(clock)
        self.watchers += (self.numbers.watch, self.recent.watch)
        self.lag = LoopLag()
        self.admission = Admission(settings.max_calls, settings.max_loop_lag_ms, self.lag)
        self.tokens = StreamTokens(clock)
        self.carriers = Carriers(settings, clock)
        self.outgoing = OutgoingCalls(
            self.admission, clock, ring_s=settings.ring_s, not_reached=self.metrics.not_reached
        )
        self.audiohook_signatures = UsedSignatures(clock, 2 * AUDIOHOOK_MAX_AGE_S)
        self.acs_keys = KeySet(settings.acs_keys_url, clock)
        self.client_secrets = ClientSecrets(clock)
        self.rtc_calls = CallBook()
        self.started_at = clock.utc()
        self.pacer = Pacer(clock)
        self.phrases = Phrases()
        self.writer = FileWriter()
        self._sessions: set[Session] = set()
        self._sources: dict[int, ToolSource] = {}
        self._failovers: dict[int, FailoverChatClient] = {}
        self._speech_models: dict[str, S2S] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._measure()

    def connections(self) -> dict[str, int]:
        """How many sessions are live, by protocol."""
        return dict(Counter(session.carrier for session in self._sessions))

    def availability(self) -> list[tuple[str, str, bool]]:
        """Of models that stand in for each other: role, name, and whether it can be had."""
        chains: list[tuple[str, object]] = [("llm", llm) for llm in self._failovers.values()]
        if self.models is not None:
            chains += [("stt", self.models.stt), ("tts", self.models.tts)]
        return [
            (role, name, is_well)
            for role, chain in chains
            if isinstance(chain, (FailoverChatClient, FailoverSTT, FailoverTTS))
            for name, is_well in chain.available().items()
        ]

    def pools(self) -> list[AnyPool]:
        """The connections to providers that are kept open."""
        heard_and_said = [] if self.models is None else [self.models.stt, self.models.tts]
        return [pool for provider in (*heard_and_said, *self._speech_models.values()) for pool in pools_of(provider)]

    def ringing(self, call_id: str, told: Mapping[str, str]) -> None:
        """A call is about to come: a model that is to hold it may connect now.

        Args:
            call_id: The carrier's.
            told: Which ``agent`` and ``scenario`` it is for, where that is said.

        Raises:
            ConfigurationError: The agent names a model that is not there.
        """
        agent = self.agents.pick(told.get("agent"), scenario=told.get("scenario"))
        speech = self.speech_model(agent) if agent is not None and call_id else None
        reserve: Callable[[str], None] | None = getattr(speech, "reserve", None)
        if reserve is not None:
            reserve(call_id)

    def live_sessions(self, carrier: str) -> int:
        """How many sessions of a protocol are live."""
        return sum(session.carrier == carrier for session in self._sessions)

    def open_session(
        self,
        carrier: str,
        *,
        agent_name: str | None,
        authorized: bool,
        scenario: str | None = None,
        outgoing: OutgoingCall | None = None,
    ) -> Session:
        """A session for a connection that has a slot; ``outgoing`` is the call that we have made, where it is one."""
        session = Session(
            self, carrier, agent_name=agent_name, scenario=scenario, authorized=authorized, outgoing=outgoing
        )
        self._sessions.add(session)
        self._idle.clear()
        return session

    async def close_session(self, session: Session) -> None:
        """The connection is over: finish the session's files and give its slot back."""
        try:
            await session.close()
        finally:
            self._sessions.discard(session)
            self.admission.leave()
            if not self._sessions:
                self._idle.set()
        await self.close_unused_sources()

    def models_ready(self, models: Models) -> None:
        """Take calls from now on."""
        self.models = models
        self.admission.has_room = lambda: models.has_room
        self._note(models.llm)
        del self.waiting_for["models"]
        self.lag.start()  # Not before: what kept the loop while models were loaded will not come again.
        self.admission.ready = True

    def models_for(self, agent: Agent) -> Models | None:
        """The models for an agent's call; None while nothing is loaded."""
        return self.with_own_llm(self.models, agent) if self.models is not None else None

    def with_own_llm(self, models: Models, agent: Agent) -> Models:
        """The models, with the agent's own language model where it has one; one that only speaks writes by ours.

        Raises:
            AntiphonException: The agent names a model that is not there.
        """
        if agent.model is None:
            return models
        if isinstance(agent.model, str):
            name = parts_of(agent.model)[1]
            if name is None:
                return models
            llm = chat_client(name, self.settings)
        else:
            llm = agent.model
        self._note(llm)
        return replace(models, llm=llm)

    def speech_model(self, agent: Agent, call_id: str = "") -> S2S | None:
        """The model that holds the agent's phone calls, where it has one.

        Args:
            agent: The agent.
            call_id: The carrier's, of a call that a connection may have been opened for.

        Raises:
            ConfigurationError: There is no such model, or its key or address is not set.
        """
        name = parts_of(agent.model)[0] if isinstance(agent.model, str) else None
        if name is None:
            return None
        if name not in self._speech_models:
            self._speech_models[name] = speech_model(name, self.settings, clock=self.clock)
        model = self._speech_models[name]
        for_call: Callable[[str], S2S] | None = getattr(model, "for_call", None)
        return for_call(call_id) if for_call is not None and call_id else model

    def writes(self, agent: Agent) -> bool:
        """Whether the agent has a model besides the one that speaks."""
        return not isinstance(agent.model, str) or parts_of(agent.model)[1] is not None

    def _note(self, llm: ChatClient) -> None:
        if isinstance(llm, FailoverChatClient):
            self._failovers[id(llm)] = llm

    async def open_sources(self, agents: Iterable[Agent]) -> None:
        """Ask the agents' sources of tools for what they have, so that they are connected when a caller comes.

        Raises:
            IntegrationUnavailableException: A source that is required cannot be reached.
        """
        for agent in agents:
            for source in agent.sources:
                self._sources[id(source)] = source
                await source.list_tools()

    async def close_unused_sources(self) -> None:
        """Close the sources of agents that nobody can reach any more: those of an earlier version of their file."""
        if not self._sources:
            return
        # Team by team: two versions of an agent have the same name.
        teams = [*self.agents.teams, *(session.team for session in self._sessions if session.team)]
        members = [agent for team in teams for agent in team_of(team[0], team[1:]).values()]
        used = {id(source) for agent in members for source in agent.sources}
        await self._close_sources([key for key in self._sources if key not in used])

    async def _close_sources(self, keys: Iterable[int]) -> None:
        closing = [self._sources.pop(key) for key in keys]
        if not closing:
            return
        try:
            async with asyncio.timeout(CLOSE_SOURCES_S):
                results = await asyncio.gather(*(source.aclose() for source in closing), return_exceptions=True)
        except TimeoutError:
            _log.warning("sources_not_closed", waited_s=CLOSE_SOURCES_S)
            return
        for source, result in zip(closing, results, strict=True):
            if isinstance(result, Exception):
                _log.warning("source_not_closed", source=source.name, error=str(result))

    def call_of(self, log: CallLog) -> AnyCall | None:
        """The call that writes this log, while it is on."""
        calls = (session.call for session in self._sessions)
        return next((call for call in calls if call is not None and call.log is log), None)

    def drain(self) -> None:
        """Take no call any more; the running ones go on."""
        self.admission.draining = True
        self.outgoing.cancel_all("draining")
        self.waiting_for["server"] = "it is draining"

    def end_calls(self, reason: EndReason) -> None:
        """Ask all running calls to end, politely."""
        for session in tuple(self._sessions):
            session.end(reason)

    async def all_over(self) -> None:
        """Wait until no session is left, and nothing rings."""
        await self.outgoing.all_over()
        await self._idle.wait()

    async def aclose(self) -> None:
        """Free everything; the calls are over, or get a moment to be."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_CALLS_S):
                await self.all_over()
        await self.outgoing.aclose()
        await self.rtc_calls.aclose()
        self.lag.stop()
        try:
            async with asyncio.timeout(CLOSE_MODELS_S):
                if self.models is not None:
                    await self.models.aclose()
                await asyncio.gather(*(model.aclose() for model in self._speech_models.values()))
                await close_clients()
        except TimeoutError:
            _log.warning("models_not_closed", waited_s=CLOSE_MODELS_S)
        await self._close_sources(tuple(self._sources))
        await self.carriers.aclose()
        await asyncio.to_thread(self.writer.close)

    def _folder_of(self, session_id: str) -> Path | None:
        return next((session.folder for session in self._sessions if session.id == session_id), None)

    def _is_recorded(self, session_id: str) -> bool:
        return any(session.is_recorded for session in self._sessions if session.id == session_id)

    def _measure(self) -> None:
        self.metrics.gauges |= {
            "calls_live": lambda: self.admission.live,
            "slots": lambda: self.admission.max_calls,
            "draining": lambda: float(self.admission.draining),
            "loop_lag_p50_ms": lambda: self.lag.p50_ms,
            "loop_lag_p95_ms": lambda: self.lag.p95_ms,
            "loop_lag_p99_ms": lambda: self.lag.p99_ms,
            "loop_lag_max_ms": lambda: self.lag.max_ms,
            "pacer_late_max_ms": lambda: self.pacer.late_max_s * 1000,
            "streams_open": lambda: self.live.streams,
        }
        self.metrics.counters["file_items_dropped"] = lambda: self.writer.dropped
        self.metrics.counters["stream_items_dropped"] = lambda: self.live.dropped
