"""One conversation: owns its parts and their tasks, and turns the decisions of turn-taking into deeds.

    line ─ hear ─▶ Listening ─▶ TurnTaking ─▶ Responding ─▶ Speaking ─▶ line

All parts report to ``_on``, which asks the floor what is to be done and does it, one event after the other. Nothing
that fails in a part leaves the call: it costs an utterance, a clause or a turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.session import AgentSession
from antiphon.calls import events, floor
from antiphon.calls.asides import Asides
from antiphon.calls.caller import Caller, announce
from antiphon.calls.closing import finish_tools
from antiphon.calls.conduct import Conduct
from antiphon.calls.deeds import Deeds
from antiphon.calls.desk import Desk, Hooks
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.expected import WHATS
from antiphon.calls.floor import Phase
from antiphon.calls.history import History
from antiphon.calls.keypad import TypedNumbers
from antiphon.calls.line import AudioTap, KeyLine, Line
from antiphon.calls.listening import Listening
from antiphon.calls.log import CallLog
from antiphon.calls.manners import policy_for
from antiphon.calls.models import CallModels
from antiphon.calls.opening import Opening
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.calls.presence import AgentPresence, CallerPresence
from antiphon.calls.recording import CallRecording
from antiphon.calls.reply import Reply, ReplyTerms
from antiphon.calls.responding import Responding
from antiphon.calls.sounds import CallSounds
from antiphon.calls.speaking import Speaking
from antiphon.calls.speech import Speaker, Speech
from antiphon.calls.timers import Timers
from antiphon.calls.transferring import CarrierControl
from antiphon.calls.turn_taking import TurnTaking
from antiphon.calls.turns import Turns
from antiphon.calls.vocabulary import vocabulary
from antiphon.calls.voice import Phrases, Voice
from antiphon.calls.watcher import ReplyWatcher
from antiphon.calls.wording import Wording
from antiphon.clock import Clock
from antiphon.errors import AgentException, AntiphonException, ConfigurationError, IntegrationException
from antiphon.models.llm.content import (
    AgentToolEnded,
    AgentToolStarted,
    ApprovalRequest,
    ApprovalResponse,
    HandedOff,
)
from antiphon.models.llm.contract import ChatClient
from antiphon.tools.transfer import Transfer

_log = structlog.get_logger(__name__)

_FREE_TO_SPEAK = frozenset({Phase.IDLE, Phase.THINKING, Phase.SPEAKING})
_THE_CALLERS = frozenset({Phase.HEARING, Phase.PAUSING})
_BEGINNINGS = frozenset({floor.VoiceStarted, floor.CommitRequested})
_PHRASE_SHARE = 0.2
"""Part of ``max_dead_air_s`` that the voice has for the phrase that ends a silence; then a chime ends it."""


class Call:
    """A live conversation. Make it, let it ``run``, and give it what comes in over the line.

    Args:
        agent: Who answers.
        line: The way to the caller.
        models: What hears, thinks and speaks.
        pacer: The process's metronome.
        clock: The process's time.
        policy: Manners and limits.
        log: Where everything is told.
        caller: Who calls.
        tap: Who records.
        data_dir: Where tools may keep files; they find it as ``values["data_dir"]``.
        phrases: The process's fixed phrases.
        client_for: Gives the language model of an agent that a handoff leads to; that of ``models`` unless given.
        team: Further agents that handoffs may name.
        history: Keeps what was said; a new one unless given.
        watcher: Told how replies come about.
        greets: Whether the agent speaks first, where it has a greeting.
        control: Commands to the carrier; None where there are none.
    """

    def __init__(
        self,
        agent: Agent,
        line: Line,
        models: CallModels,
        *,
        pacer: Pacer,
        clock: Clock,
        policy: CallPolicy,
        log: CallLog,
        caller: Caller,
        tap: AudioTap | None = None,
        data_dir: Path | None = None,
        phrases: Phrases | None = None,
        client_for: Callable[[Agent], ChatClient] | None = None,
        team: Sequence[Agent] = (),
        history: History | None = None,
        watcher: ReplyWatcher | None = None,
        greets: bool = True,
        control: CarrierControl | None = None,
    ) -> None:
        self.agent = agent
        self.log = log
        self.history = History() if history is None else history
        self._watcher = watcher or ReplyWatcher()
        self._greets = greets
        self._caller = caller
        self._line = line
        self._models = models
        self._clock = clock
        self._policy = policy
        own = policy_for(agent, policy)
        self._floor = TurnTaking(own.turn)
        self._inbox: deque[floor.Event] = deque()
        self._busy = False
        self._has_begun = False  # the caller, with something that may be a turn
        self._timers = Timers(clock, log.seconds, self._timed_out)
        self._open = False
        self._over = asyncio.Event()
        self._reason: EndReason = "error"
        self._wording = Wording(own, caller.parameters)
        self._desk = Desk(
            self._hooks(),
            agent,
            caller,
            line=line,
            clock=clock,
            policy=policy,
            log=log,
            history=self.history,
            team=team,
            tap=tap,
            data_dir=data_dir,
            control=control,
            wording=self._wording,
        )
        tagged = self._desk.collecting.tagged
        self._turns = Turns(lambda event: self._tell(tagged(event)), log.seconds, self._desk.ledger)
        self._typed = TypedNumbers()
        self._key_at = 0.0
        self._asides = Asides(
            is_free=lambda: self._floor.phase in _FREE_TO_SPEAK,
            announce=lambda: self._on(floor.SpeakRequested(self.log.seconds())),
        )
        self._agent_presence = AgentPresence(log)
        self._presence = CallerPresence(log)
        self._opening = Opening(
            log,
            clock,
            is_free=lambda: self._floor.phase is Phase.IDLE,
            greet=lambda: self._put_aside(lambda: self._deeds.do(floor.Say("greeting"))),
            over=lambda: self._conduct.answer_as_usual(),
        )
        self._client_for = client_for or (lambda _: models.llm)
        self._pace = 1.0
        self._voice = Voice(
            models.tts,
            line.audio,
            Phrases() if phrases is None else phrases,
            speaker=Speaker.of(agent),
            timeout_s=policy.tts_timeout_s,
            phrase_timeout_s=_PHRASE_SHARE * policy.turn.max_dead_air_s,
            ledger=self._desk.ledger,
        )
        self._speaking = self._mouth(pacer)
        self.sounds = self._sound_desk()
        self._responding = self._mind()
        self._listening = self._ears(own)
        self._conduct = Conduct(
            own,
            policy,
            turn_taking=self._floor,
            listening=self._listening,
            wording=self._wording,
            tell=self.tell,
        )
        self._deeds = Deeds(
            self._timers,
            self._listening,
            self._responding,
            speaking=self._speaking,
            turn_taking=self._floor,
            turns=self._turns,
            history=self.history,
            typed=self._typed,
            wording=self._wording,
            watcher=self._watcher,
            presence=self._presence,
            log=log,
            agent=lambda: self.agent,
            hang_up=self._hang_up,
        )

    def _hooks(self) -> Hooks:
        return Hooks(
            agent=lambda: self.agent,
            tools=lambda: self.agent.toolset.values(),
            sounds=lambda: self.sounds,
            is_idle=lambda: self._floor.phase is Phase.IDLE,
            caller_has_floor=lambda: self.caller_has_floor,
            say=self.say,
            press=self.press,
            end=self.end,
            end_now=self._end_now,
            line_over=lambda reason: self._on(floor.LineLost(self.log.seconds(), reason)),
            number=self._number_typed,
            elsewhere=lambda: None,
            expect=self._expect,
            result=lambda call, result: self._responding.note_result(call, result),
            deed=lambda: self._responding.note_deed(),
            news=self._look_for_news,
            give_up=self.respond,
            fall_silent=self._fall_silent,
        )

    def _held(self, on_hold: bool) -> None:
        if on_hold:
            return
        if "idle" in self._floor.timers:
            self._timers.start(floor.StartTimer("idle", self.log.seconds() + self._floor.policy.idle_s))
        self._look_for_news()

    def _mouth(self, pacer: Pacer) -> Speaking:
        return Speaking(
            self._line,
            self._voice,
            history=self.history,
            log=self.log,
            report=self._on,
            over=self._turns.heard,
            failed=self._desk.fail,
            spawn=self._desk.tasks.spawn,
            watcher=self._watcher,
            pacer=pacer,
            clock=self._clock,
            policy=self._policy,
            tap=self._desk.tap,
        )

    def _sound_desk(self) -> CallSounds:
        return CallSounds(
            self._speaking,
            self._line.audio,
            background=self.agent.background,
            log=self.log,
            turn=lambda: self._turns.count,
            aside=self._put_aside,
            held=self._held,
            failed=self._desk.fail,
            spawn=self._desk.tasks.spawn,
        )

    def _mind(self) -> Responding:
        return Responding(
            self.agent,
            self._client_for,
            self._desk.tools,
            stall_s=self._policy.llm_stall_s,
            voice=self._voice,
            history=self.history,
            log=self.log,
            clock=self._clock,
            session=self._desk.session,
            handed_over=self._handed_over,
            next_speech=self._next_speech,
            dropped=self._speaking.drop,
            asked=self._approval_asked,
            new_speech=lambda: self._speaking.new("reply", self._turns.count),
            failed=self._reply_failed,
            say_filler=lambda text: self._speaking.say("filler", text, self._turns.count),
            spawn=self._desk.tasks.spawn,
            watcher=self._watcher,
            ledger=self._desk.ledger,
        )

    def _ears(self, policy: CallPolicy) -> Listening:
        return Listening(
            self._line.audio,
            vad=self._models.vad,
            stt=self._models.stt,
            turn=self._models.turn,
            policy=policy,
            report=self._on,
            failed=lambda error: self._desk.fail("stt_unavailable", error),
            spawn=self._desk.tasks.spawn,
            clock=self._clock,
            now=self.log.seconds,
            ledger=self._desk.ledger,
            language=self.agent.language,
            phrases=vocabulary(self.agent, self._desk.session),
        )

    # What comes in.

    def hear(self, payload: bytes) -> None:
        """Take a frame of the caller, in the line's format. The frame path: no queue, no task."""
        if not self._open:
            return
        self._listening.hear(self._desk.hear(payload))

    def mark_played(self, name: str) -> None:
        """The line has played up to this mark."""
        self._speaking.mark_played(name)

    def line_cleared(self) -> None:
        """The line has dropped what it still held. Nothing waits for this: a clear takes effect when it is sent."""

    def digit(self, digit: str) -> None:
        """A key was pressed. Which one is nobody's business: it may be part of a PIN."""
        keys = self._desk.keys_of(digit) if self._open else ""
        if not keys:
            return
        manner = self.agent.keypad
        self._presence.show_life()
        self._key_at = self.log.seconds()
        self._on(floor.KeyPressed(self._key_at, manner.interrupts, manner.submit_after_s))
        self._desk.keys.press(keys)

    def listen_for(self, language: str) -> None:
        """The caller speaks another language, from the next utterance on."""
        if self._open:
            self._listening.listen_for(language)

    def line_lost(self, reason: EndReason = "user_hangup") -> None:
        """The other side ended, or the connection died."""
        if not self._desk.transferring.takes_end(reason):
            self._on(floor.LineLost(self.log.seconds(), reason))

    def end(self, reason: EndReason) -> None:
        """End the call from our side, with the goodbye that fits."""
        self._end_with(reason, has_goodbye=bool(self._wording.goodbye(reason)))

    def say(self, text: str) -> None:
        """Say this behind what is being said, and not while the caller has the floor.

        Before and after the call nothing is said; of too many texts that wait the oldest are dropped.
        """
        self._put_aside(lambda: self._speaking.say("say", text, self._turns.count))

    def press(self, keys: str) -> None:
        """Press keys of the telephone, by the carrier's command or by their tones behind what is being said."""
        if self._open and not (isinstance(self._line, KeyLine) and self._line.send_keys(keys)):
            self._put_aside(lambda: self._speaking.press(keys, self._turns.count))

    def transfer(self, transfer: Transfer) -> None:
        """Bring the caller to somebody else, behind what is being said; then the call is over.

        Raises:
            IntegrationInvalidRequestException: It cannot be; the sentence says why.
        """
        self._desk.transferring.ask(transfer)

    # What the application may ask for, beside the caller.

    @property
    def session(self) -> AgentSession:
        """What the conversation's tools, providers and approvals keep."""
        return self._desk.session

    @property
    def recording(self) -> CallRecording:
        """What is kept of the sound."""
        return self._desk.recording

    @property
    def is_over(self) -> bool:
        """Whether nothing is said or heard any more."""
        return self._over.is_set()

    @property
    def caller_has_floor(self) -> bool:
        """Whether it is the caller's turn, which has begun."""
        return self._floor.phase in _THE_CALLERS

    @property
    def caller_pauses(self) -> bool:
        """Whether the caller may have ended the turn, which is not decided yet."""
        return self._floor.phase is Phase.PAUSING

    @property
    def agent_is_silent(self) -> bool:
        """Whether nothing of the agent is owed or heard."""
        return self._floor.phase in _THE_CALLERS or self._floor.phase is Phase.IDLE

    @property
    def utterance(self) -> int:
        """Number of the caller's utterance that is being spoken, or is the next."""
        return self._floor.finished

    def adopt(self, turn: TurnPolicy, *, detects: bool = True, threshold: float | None = None) -> None:
        """Go on by other manners, from now on by these alone: those of agents do not count any more.

        Args:
            turn: The manners.
            detects: Whether the detector finds the caller's speech; else ``commit`` ends each turn.
            threshold: The detector's score that counts as speech; its own unless given.
        """
        self._conduct.adopt(turn, detects=detects, threshold=threshold)

    def go_by(self, terms: ReplyTerms, *, voice: str | None = None, speed: float = 1.0) -> None:
        """What replies go by, the voice that speaks them and the pace of all voices, from the next one on."""
        self._responding.terms = terms
        self._pace = speed
        self._voice.speaker = replace(Speaker.of(self.agent, pace=speed), voice=voice)

    def commit(self) -> None:
        """The caller's turn is over."""
        self._on(floor.CommitRequested(self.log.seconds()))

    def respond(self, terms: ReplyTerms | None = None) -> None:
        """Answer the conversation as it stands, as soon as the floor is free; ``terms`` hold for this answer."""
        self._deeds.ask(terms)
        self._on(floor.ReplyRequested(self.log.seconds()))

    def cancel(self) -> None:
        """Say no more of what is being said or made."""
        self._on(floor.CancelRequested(self.log.seconds()))

    def clear_input(self) -> None:
        """Forget what the caller said since the last turn."""
        self._listening.clear()
        self._on(floor.InputCleared(self.log.seconds()))

    def tell(self, event: events.CallEvent) -> None:
        """Write something that happened around the call into its log, while it is on."""
        if self._open:
            self._tell(event)

    def decide(self, response: ApprovalResponse) -> None:
        """Answer a ``ToolApprovalRequested``: the call runs now, or does not, and the agent tells in the next pause.

        Raises:
            AgentInvalidRequestException: The request is not known, was answered before, or the call is over.
        """
        self._desk.errands.decide(response)

    def _look_for_news(self) -> None:
        """Let the agent tell late results when nobody speaks."""
        session = self._desk.session
        is_wanted = session.late and session.interview is None  # news are for the agent that waits for that
        if is_wanted and not self._inbox and self._desk.waits_for_caller:
            self._on(floor.AgentHasNews(self.log.seconds()))

    def _put_aside(self, speak: Callable[[], None]) -> None:
        if self._open:
            self._asides.put(speak)

    # The life of the call.

    async def run(self) -> events.SessionEnded:
        """Be the call, until it is over. Raises nothing but ``CancelledError``."""
        caller = self._caller
        announce(
            caller,
            self.log,
            agent=self.agent.name,
            audio=self._line.audio,
            models=self._models.names(),
            manners=self._floor.policy.to_dict(),
        )
        limit = self._clock.call_at(self._clock.now() + self._policy.max_call_s, self.end, "time_limit")
        try:
            async with asyncio.TaskGroup() as tasks:
                self._desk.tasks.open(tasks)
                self._open = not self._over.is_set()
                self._conduct.begin()
                if self._open:
                    self.sounds.open()
                self._prepare_greeting()
                greets = self._greets and bool(self._wording.greeting)
                waits = greets and bool(caller.called) and self._desk.voicemail.listens
                if waits:
                    self._conduct.let_speak_first()
                    self._opening.begin()
                self._on(floor.Opened(self.log.seconds(), greet=greets and not waits))
                if self._desk.voicemail.listens:
                    self._on(floor.InputExpected(self.log.seconds(), "announcement"))
                await self._over.wait()
                self._deeds.stop_reply(over=True)
                self._desk.close()
                self._line.hang_up(self._reason)
                await finish_tools(self._desk.tools, self._clock, caller.call_id)
                self._desk.tasks.close()
        finally:
            limit.cancel()
            self._desk.tasks.close()
            ended = await self._finish()
        return ended

    def _prepare_greeting(self) -> None:
        """None is said where its template is wrong."""
        try:
            self._wording.render_greeting(self.agent)
        except ConfigurationError as error:
            self._desk.fail("bad_greeting", error)

    async def _finish(self) -> events.SessionEnded:
        self._timers.close()
        self._opening.close()
        self._desk.close()
        self._open = False
        self._over.set()
        self._deeds.stop_reply(over=True)
        self._line.hang_up(self._reason)
        return await self._desk.finish((self._listening,), self._reason, self._turns.count)

    # Decisions into deeds.

    def _on(self, event: floor.Event) -> None:
        """Ask the floor what is to be done about an event, and do it. Events that this causes wait their turn."""
        if self._over.is_set():
            return
        self._inbox.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._inbox:
                self._step(self._inbox.popleft())
        finally:
            self._busy = False

    def _step(self, event: floor.Event) -> None:
        note = _NOTES.get(type(event))
        if note is not None:
            note(self, event)
        actions = self._floor.on(event)
        if self._policy.log_decisions:
            done = [floor.describe(action) for action in actions]
            self._tell(events.FloorDecision(floor.describe(event), done, self._floor.phase.value))
        self._note_turn(event, actions)
        for action in actions:
            self._deeds.do(action)
        self._agent_presence.enter(self._floor.phase)
        self._asides.flush()
        if self._desk.session.late:
            self._look_for_news()
        self._desk.transferring.look()

    def _note_turn(self, event: floor.Event, actions: Sequence[floor.Action]) -> None:
        """Whatever the caller began becomes a turn, or is told to be none."""
        if type(event) in _BEGINNINGS:
            self._has_begun = True
        if self._has_begun and self._floor.is_quiet:
            self._has_begun = False
            if not any(type(action) in (floor.Commit, floor.KeepTurn) for action in actions):
                self._watcher.turn_dropped()

    def _note_voice(self, event: floor.VoiceStarted) -> None:
        self._tell(events.UserSpeechStarted(round(event.speech_at, 3)))
        self._presence.enter("speaking")
        self._responding.prefill()

    def _note_silence(self, event: floor.VoiceStopped) -> None:
        duration_ms = max(0, round((event.silence_at - self._floor.speech_at) * 1000))
        self._tell(events.UserSpeechStopped(round(event.silence_at, 3), duration_ms))
        self._presence.enter("listening")

    def _note_words(self, event: floor.Heard) -> None:
        self._watcher.heard(event)
        if event.text:
            self._tell(events.UserTranscription(event.text, event.final, event.utterance))

    def _timed_out(self, timer: floor.TimerName) -> None:
        if timer == "idle" and (self.sounds.on_hold or self._floor.policy.idle_s <= 0):
            return  # who waits is not asked to speak, nor who has all the time since this began to run
        self._on(floor.Timeout(self.log.seconds(), timer, self._listening.voiced))

    def _hang_up(self, reason: EndReason) -> None:
        self._reason = reason
        self._open = False
        self._over.set()

    def _reply_failed(self, reply: Reply, error: AntiphonException) -> None:
        if isinstance(error, AgentException) and self._floor.ending is not None:
            return  # nothing more to say before the end
        self._desk.fail("tts_unavailable" if isinstance(error, IntegrationException) else "llm_unavailable", error)
        # Who reads is told in writing, not by a spoken apology; and who was greeted may just speak.
        if not (reply.terms.is_silent or reply.is_only_greeting):
            self._on(floor.ReplyFailed(self.log.seconds()))

    def _handed_over(self, record: HandedOff | AgentToolStarted | AgentToolEnded, agent: Agent) -> None:
        """Whatever is said and heard from here on is the new agent's."""
        self.sounds.adopt(agent.background)
        self.agent = agent
        self._voice.speaker = Speaker.of(agent, pace=self._pace)
        self._listening.listen_for(agent.language, vocabulary(agent, self._desk.session))
        self._conduct.follow(agent)
        if record.type == "handoff":
            self._tell(events.AgentHandoff(record.target, record.source, record.handoff_type, record.reason))
        else:
            self._desk.collecting.note(record)

    def _fall_silent(self) -> None:
        """A machine has answered."""
        self._conduct.meet_machine()
        self.cancel()

    def _end_now(self, reason: EndReason) -> None:
        if reason == "voicemail":
            self.cancel()  # a machine is not spoken to
        self._end_with(reason, has_goodbye=False)

    def _end_with(self, reason: EndReason, *, has_goodbye: bool) -> None:
        if not self._desk.transferring.takes_end(reason):
            self._on(floor.EndRequested(self.log.seconds(), reason, goodbye=has_goodbye))

    def _next_speech(self, kind: SpeechKind) -> Speech:
        speech = self._speaking.new(kind, self._turns.count)
        self._speaking.begin(speech)
        return speech

    def _approval_asked(self, request: ApprovalRequest) -> None:
        self._desk.errands.asked(request, self.agent)

    # What tools ask for, and what is typed.

    def _expect(self, details: Mapping[str, Any]) -> None:
        what = details.get("what")
        if what in WHATS:
            self._on(floor.InputExpected(self.log.seconds(), what, details.get("digits")))
        else:
            _log.warning("unknown_expectation", call_id=self._caller.call_id, what=what)

    def _number_typed(self, keys: str, shown: str) -> bool:
        """A number is whole, and no gate waits for it: it is a turn."""
        masked = self._typed.mask(keys, shown)
        self._on(floor.KeysTyped(self.log.seconds(), masked, self._key_at, interrupts=self.agent.keypad.interrupts))
        return True

    def _tell(self, event: events.CallEvent) -> None:
        self.log.append(event)


_NOTES: dict[type, Callable[[Call, Any], None]] = {
    floor.VoiceStarted: Call._note_voice,
    floor.VoiceStopped: Call._note_silence,
    floor.Heard: Call._note_words,
}
"""What the ears report is told, whatever turn-taking makes of it."""
