"""One caller's session: the call, its log, its files and its numbers, from the first message to the last byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog

from antiphon.calls.call import Call
from antiphon.calls.caller import Caller
from antiphon.calls.contract import AnyCall
from antiphon.calls.events import (
    EndReason,
    LlmAvailabilityChanged,
    SessionEnded,
    SessionError,
    SttAvailabilityChanged,
    TtsAvailabilityChanged,
    TurnMetrics,
)
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.s2s.call import S2SCall
from antiphon.calls.transferring import CarrierControl
from antiphon.errors import IntegrationException
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.failover import FailoverChatClient
from antiphon.models.stt.failover import FailoverSTT
from antiphon.models.tts.failover import FailoverTTS
from antiphon.store.calllog import call_folder, keep_log
from antiphon.store.recording import Recording
from antiphon.telemetry import Metrics

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.calls.line import Line
    from antiphon.calls.policy import CallPolicy
    from antiphon.models.catalog import Models
    from antiphon.models.s2s.contract import S2S
    from antiphon.server.outgoing import OutgoingCall
    from antiphon.server.switchboard import Switchboard
    from antiphon.store.files import Feed
    from antiphon.transports.phone import PhoneLine, Refusal
    from antiphon.wire.contract import Started

CLOSE_FILES_S = 5.0
_SPARE_S = 0.15
"""How long before it must sound a message is sent, where messages are long."""

Change = type[LlmAvailabilityChanged | SttAvailabilityChanged | TtsAvailabilityChanged]
_CHANGES: Mapping[type, Change] = {
    FailoverChatClient: LlmAvailabilityChanged,
    FailoverSTT: SttAvailabilityChanged,
    FailoverTTS: TtsAvailabilityChanged,
}
"""What is told when one of several models that stand in for each other fails, or is well again."""

_YES = frozenset({"yes", "true", "1"})

_log = structlog.get_logger(__name__)


class Session:
    """What belongs to one connection; ``answer`` makes its call, ``close`` finishes its files.

    Args:
        board: What all calls share.
        carrier: The protocol's name.
        agent_name: The agent that the address asks for.
        scenario: The scenario that it asks for.
        authorized: The upgrade already had a good credential; else the stream's start must bring a token.
        outgoing: The call that we have made, where it is one.

    Attributes:
        is_recorded: Its sound is kept.
    """

    def __init__(
        self,
        board: Switchboard,
        carrier: str,
        *,
        agent_name: str | None,
        authorized: bool,
        scenario: str | None = None,
        outgoing: OutgoingCall | None = None,
    ) -> None:
        self.id = f"ses_{uuid4().hex[:24]}" if outgoing is None else outgoing.session_id
        self.is_recorded = False
        self._outgoing = outgoing
        self.call: AnyCall | None = None
        self.control: CarrierControl | None = None
        self._moves = False  # the caller, to another server, where this one ends as drained
        self.folder: Path | None = None
        self.team: tuple[Agent, ...] = ()
        self._watched: dict[object, Callable[[], None]] = {}
        self._board = board
        self.carrier = carrier
        self._agent_name = agent_name
        self._scenario = scenario
        self._authorized = authorized
        self._feeds: list[Feed] = []

    def open_call(
        self,
        agent: Agent,
        line: Line,
        models: Models,
        *,
        call_id: str,
        parameters: Mapping[str, Any],
        policy: CallPolicy | None = None,
        **more: Any,
    ) -> tuple[Call, CallLog]:
        """Make the call of this session, with its log, its files and whoever watches.

        Args:
            agent: Who answers.
            line: The way to the caller.
            models: What the call uses.
            call_id: The carrier's id of the call.
            parameters: What the carrier passed on.
            policy: Manners; those of all calls unless given.
            more: What else the ``Call`` takes.
        """
        board = self._board
        log, tap = self._begin(agent, line, call_id, parameters=parameters)
        self._watch(models.llm, models.stt, models.tts)
        call = self.call = Call(
            agent,
            line,
            models,
            pacer=board.pacer,
            clock=board.clock,
            policy=policy or board.policy,
            log=log,
            caller=self._caller(call_id, parameters),
            tap=tap,
            data_dir=board.settings.data_dir,
            phrases=board.phrases,
            client_for=lambda agent: self.client_for(agent, models),
            team=self.team,
            control=self.control,
            **more,
        )
        return call, log

    def open_s2s_call(
        self,
        speech: S2S,
        agent: Agent,
        line: Line,
        models: Models,
        *,
        call_id: str,
        parameters: Mapping[str, Any],
        policy: CallPolicy | None = None,
    ) -> tuple[S2SCall, CallLog]:
        """The same for a call that one model holds; of ``models`` it uses the detector and the voice for phrases."""
        board = self._board
        log, tap = self._begin(agent, line, call_id, parameters=parameters)
        self._watch(models.tts)
        call = self.call = S2SCall(
            agent,
            line,
            speech,
            vad=models.vad,
            tts=models.tts,
            pacer=board.pacer,
            clock=board.clock,
            policy=policy or board.policy,
            log=log,
            caller=self._caller(call_id, parameters),
            tap=tap,
            data_dir=board.settings.data_dir,
            phrases=board.phrases,
            team=self.team,
            control=self.control,
            model_for=board.speech_model,
        )
        return call, log

    def _caller(self, call_id: str, parameters: Mapping[str, Any]) -> Caller:
        agents = self._board.agents
        scenario = agents.find(self._scenario) if self._scenario else agents.scenario
        name = scenario.name if scenario is not None else ""
        to = "" if self._outgoing is None else self._outgoing.order.target
        return Caller(self.id, call_id, self.carrier, parameters, name, called=to)

    def _begin(
        self, agent: Agent, line: Line, call_id: str, *, parameters: Mapping[str, Any]
    ) -> tuple[CallLog, Recording | None]:
        """The log of a call, read by whoever watches, and its recording."""
        board = self._board
        log = CallLog(call_id, board.clock)
        tap = self._keep_files(log, line, agrees=parameters.get("record_consent", "").lower() in _YES)
        self.is_recorded = tap is not None
        self.team = (agent, *board.agents.team(self._scenario))
        log.subscribe(_counter(board.metrics))
        for watcher in board.watchers:
            watcher(log)
        if self._outgoing is not None:
            self._outgoing.read(log)
        return log, tap

    def answer(self, started: Started, line: PhoneLine) -> tuple[AnyCall, CallLog] | Refusal:
        """Make the call for a stream that has started, or say why it may not be answered."""
        board = self._board
        parameters: dict[str, Any] = dict(started.parameters)
        token = parameters.pop("token", None)
        if self._outgoing is not None:
            parameters |= self._outgoing.order.parameters()
        if not self._authorized and not board.tokens.redeem(token):
            board.metrics.refused["unauthorized"] += 1
            return "not authorized"
        self._scenario = parameters.get("scenario") or self._scenario
        agent = board.agents.pick(parameters.get("agent") or self._agent_name, scenario=self._scenario)
        models = board.models_for(agent) if agent is not None else None
        if agent is None or models is None:
            board.metrics.refused["unknown_agent"] += 1
            return "not authorized"
        speech = board.speech_model(agent, started.call_id)
        if not (models.has_room and getattr(speech, "has_room", True)):
            board.metrics.refused["full"] += 1
            return "full"
        policy = fit_to_line(board.policy, line.frame_ms)
        self._moves = line.carrier_moves
        chosen = {"agent": agent.name, "scenario": self._scenario or ""}
        self.control = board.carriers.control(
            self.carrier, started.call_id, {**parameters, **chosen}, leaves=line.leaves
        )
        open_call = self.open_call if speech is None else partial(self.open_s2s_call, speech)
        return open_call(agent, line, models, call_id=started.call_id, parameters=parameters, policy=policy)

    def end(self, reason: EndReason) -> None:
        """End the call from our side, with the goodbye that fits; without one where the caller only moves on."""
        if self.call is None:
            return
        if reason == "drained" and self._moves:
            self.call.line_lost(reason)
        else:
            self.call.end(reason)

    async def hang_up(self, ended: SessionEnded | None, *, is_over: bool) -> None:
        """End the call at its carrier, unless it is over there, or the caller was brought to somebody else."""
        if self.control is None or is_over or (ended is not None and ended.reason == "transferred"):
            return
        try:
            await self.control.hang_up()
        except IntegrationException as error:
            _log.error("not_hung_up", session_id=self.id, carrier=self.carrier, error=str(error))

    async def close(self) -> None:
        """Wait until the files are whole."""
        for unwatch in self._watched.values():
            unwatch()
        self._watched.clear()
        try:
            async with asyncio.timeout(CLOSE_FILES_S):
                for feed in self._feeds:
                    await feed.aclose()
        except TimeoutError:
            _log.warning("files_not_finished", session_id=self.id, folder=str(self.folder))

    def client_for(self, agent: Agent, models: Models) -> ChatClient:
        """The language model of an agent of this session."""
        client = self._board.with_own_llm(models, agent).llm
        self._watch(client)
        return client

    def _watch(self, *models: object) -> None:
        """What happens to the models that stand in for each other belongs into the log of the calls that use them."""
        for model in models:
            changed = _CHANGES.get(type(model))
            if changed is not None and model not in self._watched:
                assert isinstance(model, (FailoverChatClient, FailoverSTT, FailoverTTS))
                self._watched[model] = model.watch(partial(self._availability_changed, changed))

    def _availability_changed(self, changed: Change, name: str, available: bool, reason: str) -> None:
        if self.call is not None:
            self.call.tell(changed(name, available, reason))

    def _keep_files(self, log: CallLog, line: Line, *, agrees: bool) -> Recording | None:
        board = self._board
        if not board.keep_files:
            return None
        made = self._outgoing
        name, day = (log.call_id, log.started_at) if made is None else (made.session_id, made.initiated_at)
        folder = call_folder(board.settings.data_dir, name, day)
        if folder.exists():  # A carrier, or a test, that uses an id twice.
            folder = folder.with_name(f"{folder.name}-{self.id[-8:]}")
        self.folder = folder
        settings = board.settings
        feed, _ = keep_log(log, folder, board.writer, scrubs=settings.redact == "store")
        self._feeds.append(feed)
        asked = None if made is None else made.order.record
        wanted = settings.record if asked is None else asked
        if not wanted or (settings.record_consent and not agrees):
            return None
        recording = Recording(line.audio, folder, board.writer)
        self._feeds.append(recording.feed)
        return recording


def fit_to_line(policy: CallPolicy, frame_ms: int | None) -> CallPolicy:
    """The manners on a line that wants messages of ``frame_ms``: the next one is sent well before it must sound."""
    if frame_ms is None:
        return policy
    return replace(policy, frame_ms=frame_ms, lead_s=max(policy.lead_s, frame_ms / 1000 + _SPARE_S))


def _counter(metrics: Metrics) -> Callable[[Entry], None]:
    """A reader of a call's log that counts."""

    def ended(event: SessionEnded) -> None:
        metrics.calls_ended[event.reason] += 1

    def failed(event: SessionError) -> None:
        metrics.errors[event.code] += 1

    def turn(event: TurnMetrics) -> None:
        metrics.turns += 1
        if event.first_audio_ms is not None:
            metrics.observe_first_audio(event.first_audio_ms / 1000)

    count: dict[type, Callable[[Any], None]] = {SessionEnded: ended, SessionError: failed, TurnMetrics: turn}

    def read(entry: Entry) -> None:
        handler = count.get(type(entry.event))
        if handler is not None:
            handler(entry.event)

    return read
