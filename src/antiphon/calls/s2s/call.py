"""One conversation that a single model holds: it hears, thinks and speaks, and also finds the turns.

    line ─ hear ─▶ model ─ events ─▶ Dialogue ─▶ Answers ─▶ Speaking ─▶ line

The call keeps what is the call's: what was heard to the word, the agent's tools, the log, the limits, and that nobody
is left in silence. The phrases for that come from the server's own voice, since they are said when the model fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Accepted
from antiphon.agents.interview import seen_by_agent
from antiphon.agents.session import AgentSession
from antiphon.audio.convert import to_pcm
from antiphon.calls import events
from antiphon.calls.caller import Caller, announce
from antiphon.calls.closing import finish_tools
from antiphon.calls.desk import Desk, Hooks
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.floor import Phase
from antiphon.calls.history import History
from antiphon.calls.line import AudioTap, KeyLine, Line
from antiphon.calls.log import CallLog
from antiphon.calls.manners import for_machine, policy_for
from antiphon.calls.opening import Opening
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy
from antiphon.calls.recording import CallRecording
from antiphon.calls.s2s.connections import Connections
from antiphon.calls.s2s.dialogue import Dialogue
from antiphon.calls.s2s.ears import Ears
from antiphon.calls.s2s.functions import Functions
from antiphon.calls.s2s.persona import Persona
from antiphon.calls.sounds import CallSounds
from antiphon.calls.speaking import Speaking
from antiphon.calls.speech import Speaker
from antiphon.calls.transferring import CarrierControl
from antiphon.calls.voice import Phrases, Voice
from antiphon.calls.watcher import ReplyWatcher
from antiphon.calls.wording import Wording
from antiphon.clock import Clock
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import AgentToolEnded, AgentToolStarted, ApprovalResponse
from antiphon.models.s2s.contract import S2S, Brief
from antiphon.models.tts.contract import TTS
from antiphon.models.vad.contract import VAD
from antiphon.tools.transfer import Transfer

_log = structlog.get_logger(__name__)

_WORDS_S = 1.5
"""Longest wait for the caller's words, before another session is told them."""
_PHRASE_SHARE = 0.2
"""Part of ``max_dead_air_s`` that the voice has for a phrase that ends a silence; then a chime ends it."""


class S2SCall:
    """A live conversation with one model. Make it, let it ``run``, and give it what comes in over the line.

    Args:
        agent: Who answers.
        line: The way to the caller.
        model: What hears, thinks and speaks.
        vad: Tells when the caller was heard last, for the log.
        tts: Says what must be said where the model does not.
        pacer: The process's metronome.
        clock: The process's time.
        policy: Manners and limits; turns are found by the model.
        log: Where everything is told.
        caller: Who calls.
        tap: Who records.
        data_dir: Where tools may keep files; they find it as ``values["data_dir"]``.
        phrases: The process's fixed phrases.
        team: Further agents that handoffs may name.
        model_for: Gives the model of an agent that a handoff leads to, where it has one of its own.
        control: Commands to the carrier; None where there are none.

    Attributes:
        history: What was said, as far as it was heard.
    """

    def __init__(
        self,
        agent: Agent,
        line: Line,
        model: S2S,
        *,
        vad: VAD,
        tts: TTS,
        pacer: Pacer,
        clock: Clock,
        policy: CallPolicy,
        log: CallLog,
        caller: Caller,
        tap: AudioTap | None = None,
        data_dir: Path | None = None,
        phrases: Phrases | None = None,
        team: Sequence[Agent] = (),
        control: CarrierControl | None = None,
        model_for: Callable[[Agent], S2S | None] = lambda _: None,
    ) -> None:
        self.log = log
        self.history = History()
        self._line = line
        self._clock = clock
        self._policy = policy
        self._caller = caller
        self._names = {"s2s": model.name, "vad": vad.name, "tts": tts.name}
        self._is_on = False
        own = policy_for(agent, policy)
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
        self._persona = Persona(agent, self._desk.session)
        self._ears = Ears(vad, line.audio, log.seconds)
        self._voice = Voice(
            tts,
            line.audio,
            Phrases() if phrases is None else phrases,
            speaker=Speaker(agent.name),  # its voice and language are the model's, not those of our phrases
            timeout_s=policy.tts_timeout_s,
            phrase_timeout_s=_PHRASE_SHARE * policy.turn.max_dead_air_s,
            ledger=self._desk.ledger,
        )
        self._connections = Connections(
            model,
            model_for,
            rate_hz=line.audio.rate_hz,
            take=lambda event: self._dialogue.take(event),
            spawn=self._desk.tasks.spawn,
        )
        self._dialogue = Dialogue(
            self._persona,
            self._ears,
            history=self.history,
            session=self._desk.session,
            wording=self._wording,
            policy=own,
            log=log,
            clock=clock,
            name=model.name,
            ledger=self._desk.ledger,
            failed=self._desk.fail,
            mouth=lambda dialogue: self._mouth(dialogue, pacer),
            hands=self._hands,
            floor_changed=lambda: self._desk.transferring.look(),
            takes_end=lambda reason: self._desk.transferring.takes_end(reason),
            tagged=self._desk.collecting.tagged,
        )
        self._opening = Opening(
            log,
            clock,
            is_free=lambda: self._dialogue.phase is Phase.IDLE,
            greet=self._dialogue.greet,
            yields=True,  # the model answers what it hears
        )

    def _hooks(self) -> Hooks:
        return Hooks(
            agent=lambda: self.agent,
            tools=lambda: self._persona.box.tools.values(),
            sounds=lambda: self.sounds,
            is_idle=lambda: self._dialogue.phase is Phase.IDLE,
            caller_has_floor=lambda: self.caller_has_floor,
            say=lambda text: self._dialogue.say(text),
            press=self.press,
            end=self.end,
            end_now=self._end_now,
            line_over=lambda reason: self._dialogue.hang_up(reason),
            number=lambda keys, shown: self._dialogue.take_keys(keys, shown),
            elsewhere=lambda: self._dialogue.leave_floor(),
            expect=lambda _: None,  # the model listens as it does
            result=lambda call, result: self._dialogue.functions.note(call, result),
            deed=lambda: None,  # a model that speaks may also just act
            news=lambda: self._dialogue.look_for_news(),
            give_up=lambda: self._dialogue.functions.asking.give_up(),
            fall_silent=self._fall_silent,
        )

    def _mouth(self, dialogue: Dialogue, pacer: Pacer) -> Speaking:
        speaking = Speaking(
            self._line,
            self._voice,
            history=self.history,
            log=self.log,
            report=dialogue.on_speech,
            over=dialogue.turns.heard,
            failed=self._desk.fail,
            spawn=self._desk.tasks.spawn,
            watcher=ReplyWatcher(),
            pacer=pacer,
            clock=self._clock,
            policy=self._policy,
            tap=self._desk.tap,
        )
        self.mark_played = speaking.mark_played
        self.sounds = self._sound_desk(dialogue, speaking)
        return speaking

    def _sound_desk(self, dialogue: Dialogue, speaking: Speaking) -> CallSounds:
        return CallSounds(
            speaking,
            self._line.audio,
            background=self.agent.background,
            log=self.log,
            turn=lambda: dialogue.turns.count,
            aside=dialogue.follow,
            held=lambda on_hold: dialogue.hold() if on_hold else dialogue.resume(),
            failed=self._desk.fail,
            spawn=self._desk.tasks.spawn,
        )

    def _hands(self, dialogue: Dialogue) -> Functions:
        return Functions(
            self._persona,
            self._desk.session,
            self._desk.tools,
            errands=self._desk.errands,
            history=self.history,
            log=self.log,
            model=lambda: dialogue.model,
            say_filler=dialogue.say_filler,
            ready=self._ready_to_hand_over,
            handed_over=self._handed_over,
            asked=self._collector_spoke,
            tell=dialogue.tell,
            spawn=self._desk.tasks.spawn,
        )

    # What comes in over the line.

    def hear(self, payload: bytes) -> None:
        """Take a frame of the caller, in the line's format. The frame path: no task."""
        if not self._is_on or self.is_over:
            return
        payload = self._desk.hear(payload)
        self._ears.feed(payload)
        model = self._dialogue.model
        if model is not None:
            model.feed(to_pcm(payload, self._line.audio))

    def line_cleared(self) -> None:
        """The line has dropped what it still held. Nothing waits for this: a clear takes effect when it is sent."""

    def digit(self, digit: str) -> None:
        """A key was pressed. The log does not say which: it may be part of a PIN."""
        dialogue = self._dialogue
        if not self._is_on or self.is_over or dialogue.ending is not None:
            return
        keys = self._desk.keys_of(digit)
        if not keys:
            return
        if (self.agent.keypad.interrupts and not dialogue.is_announcing) or dialogue.phase is Phase.IDLE:
            dialogue.take_floor()
        self._desk.keys.press(keys)
        if self._desk.keys.is_empty:
            dialogue.leave_floor()

    def commit(self) -> None:
        """The line says that the caller's turn is over; the model finds out by itself."""

    def listen_for(self, language: str) -> None:
        """The caller speaks another language; the model hears which."""

    def line_lost(self, reason: EndReason = "user_hangup") -> None:
        """The other side ended, or the connection died."""
        if not self._desk.transferring.takes_end(reason):
            self._dialogue.hang_up(reason)

    # What the application may ask for, beside the caller.

    @property
    def agent(self) -> Agent:
        """Who answers now."""
        return self._persona.agent

    @property
    def session(self) -> AgentSession:
        """What the conversation's tools and approvals keep."""
        return self._desk.session

    @property
    def recording(self) -> CallRecording:
        """What is kept of the sound."""
        return self._desk.recording

    @property
    def is_over(self) -> bool:
        """Whether nothing is said or heard any more."""
        return self._dialogue.over.is_set()

    @property
    def caller_has_floor(self) -> bool:
        """Whether it is the caller's turn, which has begun."""
        return self._dialogue.phase is Phase.HEARING

    @property
    def agent_is_silent(self) -> bool:
        """Whether nothing of the agent is owed or heard."""
        return self._dialogue.phase in {Phase.HEARING, Phase.IDLE}

    def end(self, reason: EndReason) -> None:
        """End the call from our side, with the goodbye that fits."""
        if self._dialogue.ending is None:
            self._dialogue.end(reason, self._wording.goodbye(reason))

    def say(self, text: str) -> None:
        """Say this behind what is being said, and not while the caller has the floor.

        Before and after the call nothing is said; of too many texts that wait the oldest are dropped.
        """
        if self._is_on and not self.is_over:
            self._dialogue.say(text)

    def press(self, keys: str) -> None:
        """Press keys of the telephone behind what is being said; by the carrier, where it has a command for it."""
        if self._is_on and not self.is_over and not (isinstance(self._line, KeyLine) and self._line.send_keys(keys)):
            self._dialogue.press(keys)

    def transfer(self, transfer: Transfer) -> None:
        """Bring the caller to somebody else, behind what is being said; then the call is over.

        Raises:
            IntegrationInvalidRequestException: It cannot be; the sentence says why.
        """
        self._desk.transferring.ask(transfer)

    def tell(self, event: events.CallEvent) -> None:
        """Write something that happened around the call into its log, while it is on."""
        if self._is_on and not self.is_over:
            self._tell(event)

    def decide(self, response: ApprovalResponse) -> None:
        """Answer a ``ToolApprovalRequested``: the call runs now, or does not, and the agent tells in the next pause.

        Raises:
            AgentInvalidRequestException: The request is not known, was answered before, or the call is over.
        """
        self._desk.errands.decide(response)

    # The life of the call.

    async def run(self) -> events.SessionEnded:
        """Be the call, until it is over. Raises nothing but ``CancelledError``."""
        announce(
            self._caller,
            self.log,
            agent=self.agent.name,
            audio=self._line.audio,
            models=self._names,
            manners=self._wording.policy.turn.to_dict(),
        )
        limit = self._clock.call_at(self._clock.now() + self._policy.max_call_s, self.end, "time_limit")
        try:
            async with asyncio.TaskGroup() as tasks:
                self._desk.tasks.open(tasks)
                self._is_on = True
                if not self.is_over:
                    self.sounds.open()
                await self._begin()
                await self._dialogue.over.wait()
                self._dialogue.stop_answer()
                self._desk.close()
                self._line.hang_up(self._dialogue.reason)
                await finish_tools(self._desk.tools, self._clock, self._caller.call_id)
                self._desk.tasks.close()
        finally:
            limit.cancel()
            self._desk.tasks.close()
            ended = await self._finish()
        return ended

    async def _begin(self) -> None:
        """Open the model's session, and have the greeting said."""
        try:
            brief = await self._persona.become(self.agent)
            self._wording.render_greeting(self.agent)
        except (AntiphonException, TimeoutError) as error:
            self._desk.fail("bad_agent", error)
            self.end("error")
            return
        if not self.is_over and self._dialogue.ending is None:
            waits = bool(self._caller.called) and self._desk.voicemail.listens
            self._dialogue.begin(self._connections.open(brief), greets=not waits)
            if waits and self._wording.greeting:
                self._opening.begin()

    async def _finish(self) -> events.SessionEnded:
        dialogue = self._dialogue
        dialogue.hang_up("error")
        dialogue.stop_answer()
        self._opening.close()
        self._desk.close()
        self._line.hang_up(dialogue.reason)
        self._ears.close()
        return await self._desk.finish(self._connections.sessions, dialogue.reason, dialogue.turns.count)

    # What its parts ask for and tell.

    def _end_now(self, reason: EndReason) -> None:
        if self._dialogue.ending is None:
            self._dialogue.end(reason, "")

    def _fall_silent(self) -> None:
        """A machine has answered."""
        policy = self._wording.policy
        self._dialogue.fall_silent(replace(policy, turn=for_machine(policy.turn)))

    async def _ready_to_hand_over(self, accepted: Accepted) -> None:
        """Another session can only be told what is known by then."""
        if not self._connections.suits(accepted):
            await self._dialogue.words_known(_WORDS_S)

    def _handed_over(self, accepted: Accepted, brief: Brief) -> bool:
        """Whatever is said from here on is the new agent's; whether it has another session."""
        record, agent, session = accepted.record, accepted.target, None
        self.sounds.adopt(agent.background)
        self._voice.speaker = Speaker(agent.name)
        if record.handoff_type == "discrete":
            self._dialogue.drop_unheard()
        if not self._connections.suits(accepted):
            session = self._connections.change(
                accepted, brief, seen_by_agent(self.history.messages, self._desk.session)
            )
        kind: SpeechKind = "greeting" if accepted.greeting else "reply"
        self._dialogue.go_on_as(kind, session, name=self._connections.model.name)
        self._dialogue.adopt(policy_for(agent, self._policy))
        self._tell(events.AgentHandoff(record.target, record.source, record.handoff_type, record.reason))
        return session is not None

    def _collector_spoke(self, record: AgentToolStarted | AgentToolEnded) -> None:
        """A collector asks from here on, or the agent goes on that has waited."""
        self._voice.speaker = Speaker(self.agent.name)
        if not self.agent_is_silent:
            self._dialogue.go_on_as("reply", None, name=self._connections.model.name)
        self._desk.collecting.note(record)

    def _tell(self, event: events.CallEvent) -> None:
        self.log.append(event)
