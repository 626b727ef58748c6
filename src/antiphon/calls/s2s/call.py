"""One conversation that a single model holds: it hears, thinks and speaks, and also finds the turns.

    line ─ hear ─▶ model ─ events ─▶ Dialogue ─▶ Answers ─▶ Speaking ─▶ line

The call keeps what is the call's: what was heard to the word, the agent's tools, the log, the limits, and that nobody
is left in silence. The phrases for that come from the server's own voice, since they are said when the model fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Accepted
from antiphon.agents.interview import seen_by_agent
from antiphon.agents.runner import ToolRunner
from antiphon.agents.session import AgentSession
from antiphon.audio.convert import to_pcm
from antiphon.calls import events, floor
from antiphon.calls.caller import Caller, announce
from antiphon.calls.closing import close_all, finish_tools
from antiphon.calls.collecting import Collecting
from antiphon.calls.errands import Errands
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.floor import Phase
from antiphon.calls.history import History
from antiphon.calls.keypad import keys_in
from antiphon.calls.keys import Keys
from antiphon.calls.ledger import Ledger
from antiphon.calls.line import AudioTap, KeyLine, Line
from antiphon.calls.log import CallLog
from antiphon.calls.manners import for_machine, policy_for
from antiphon.calls.pacer import Pacer
from antiphon.calls.playout import Playout
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
from antiphon.calls.tasks import CallTasks
from antiphon.calls.tracing.trace import CallTrace
from antiphon.calls.transferring import CarrierControl, Transferring
from antiphon.calls.voice import Phrases, Voice
from antiphon.calls.voicemail import VoicemailWatch, voicemail_for
from antiphon.calls.watcher import ReplyWatcher
from antiphon.calls.wording import Wording
from antiphon.clock import Clock
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import AgentToolEnded, AgentToolStarted, ApprovalResponse
from antiphon.models.s2s.contract import S2S, Brief
from antiphon.models.tts.contract import TTS
from antiphon.models.vad.contract import VAD
from antiphon.tools.keypad import ASK_SECRET, EXPECT, SEND_KEYS, SecretNumber, gate_of
from antiphon.tools.prebuilt import HANG_UP
from antiphon.tools.sounds import PAUSE_RECORDING, RESUME_RECORDING
from antiphon.tools.transfer import TRANSFER, Transfer
from antiphon.tools.voicemail import MACHINE_ANSWERED

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
        self.recording = CallRecording(tap, line.audio, log)
        self._tap = self.recording.tap
        self._names = {"s2s": model.name, "vad": vad.name, "tts": tts.name}
        self._is_on = False
        self._trace = CallTrace(log)
        self._ledger = Ledger()
        self._tasks = CallTasks(caller.call_id, context=self._trace.context, failed=self._task_failed)
        own = policy_for(agent, policy)
        self._wording = Wording(own, caller.parameters)
        self._session = AgentSession(caller.session_id, agents=team, variables=caller.parameters, clock=clock)
        self._persona = Persona(agent, self._session)
        self._ears = Ears(vad, line.audio, log.seconds)
        self._tools = self._tool_runner(data_dir)
        self._errands = Errands(
            self._session,
            self._tools,
            log=log,
            clock=clock,
            news=lambda: self._dialogue.look_for_news(),
            spawn=self._tasks.spawn,
        )
        self._voice = Voice(
            tts,
            line.audio,
            Phrases() if phrases is None else phrases,
            speaker=Speaker(agent.name),  # its voice and language are the model's, not those of our phrases
            timeout_s=policy.tts_timeout_s,
            phrase_timeout_s=_PHRASE_SHARE * policy.turn.max_dead_air_s,
            ledger=self._ledger,
        )
        self._connections = Connections(
            model,
            model_for,
            rate_hz=line.audio.rate_hz,
            take=lambda event: self._dialogue.take(event),
            spawn=self._tasks.spawn,
        )
        self._collecting = Collecting(
            self._session,
            self.history,
            log,
            clock=clock,
            request=self._tool_request,
            is_free=lambda: self._dialogue.phase is Phase.IDLE,
            give_up=lambda: self._dialogue.functions.asking.give_up(),
        )
        self._dialogue = Dialogue(
            self._persona,
            self._ears,
            history=self.history,
            session=self._session,
            wording=self._wording,
            policy=own,
            log=log,
            clock=clock,
            name=model.name,
            ledger=self._ledger,
            failed=self._fail,
            mouth=lambda dialogue: self._mouth(dialogue, pacer),
            hands=self._hands,
            floor_changed=lambda: self._transferring.look(),
            tagged=self._collecting.tagged,
        )
        self._transferring = Transferring(
            control,
            log=log,
            language=lambda: self.agent.language or "",
            is_free=lambda: self._dialogue.phase is Phase.IDLE,
            caller_has_floor=lambda: self.caller_has_floor,
            hold=lambda: self.sounds.hold(),
            resume=lambda: self.sounds.resume(),
            over=self._dialogue.hang_up,
            news=self._errands.late,
            spawn=self._tasks.spawn,
        )
        self._keys = Keys(
            lambda: self.agent.keypad,
            log=log,
            clock=clock,
            is_quiet=lambda: self._dialogue.phase is Phase.IDLE,
            gate_of=lambda digits: gate_of(digits, self._persona.box.tools.values(), self._session.state),
            number=self._dialogue.take_keys,
            elsewhere=self._dialogue.leave_floor,
            say=self._dialogue.say,
            too_many=policy.too_many_keys,
            lost=lambda: self.end("error"),
            spawn=self._tasks.spawn,
        )
        self._voicemail = VoicemailWatch(
            voicemail_for(agent.manners.voicemail, caller.parameters),
            line.audio,
            log=log,
            clock=clock,
            found=self._machine_found,
            recording=self._machine_records,
        )
        self._requests: dict[str, Callable[[Mapping[str, Any]], None]] = {
            HANG_UP: lambda _: self._hang_up_asked(),
            SEND_KEYS: lambda details: self.press(str(details["keys"])),
            EXPECT: lambda _: None,  # the model listens as it does
            ASK_SECRET: lambda details: self._ask_secret(details["secret"]),
            MACHINE_ANSWERED: self._machine_told,
            TRANSFER: self._transferring.asked_by_tool,
            PAUSE_RECORDING: lambda details: self.recording.pause(str(details.get("by", "tool"))),
            RESUME_RECORDING: lambda details: self.recording.resume(str(details.get("by", "tool"))),
            **self.sounds.requests,
        }

    def _tool_runner(self, data_dir: Path | None) -> ToolRunner:
        return ToolRunner(
            self._clock,
            session_id=self._caller.session_id,
            values={**self._caller.parameters, "data_dir": data_dir},
            state=self._session.state,
            private=self._session.private,
            on_result=lambda call, result: self._dialogue.functions.note(call, result),
            on_late=lambda call, result: self._errands.late(call, result),
            on_request=self._tool_request,
        )

    def _mouth(self, dialogue: Dialogue, pacer: Pacer) -> Speaking:
        speaking = Speaking(
            self._line,
            self._voice,
            history=self.history,
            log=self.log,
            report=dialogue.on_speech,
            over=dialogue.turns.heard,
            failed=self._fail,
            spawn=self._tasks.spawn,
            watcher=ReplyWatcher(),
            playout=lambda speaking: Playout(
                self._line,
                speaking,
                pacer=pacer,
                clock=self._clock,
                lead_s=self._policy.lead_s,
                frame_ms=self._policy.frame_ms,
                tap=self._tap,
                seconds=self.log.seconds,
            ),
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
            failed=self._fail,
            spawn=self._tasks.spawn,
        )

    def _hands(self, dialogue: Dialogue) -> Functions:
        return Functions(
            self._persona,
            self._session,
            self._tools,
            errands=self._errands,
            history=self.history,
            log=self.log,
            model=lambda: dialogue.model,
            say_filler=dialogue.say_filler,
            ready=self._ready_to_hand_over,
            handed_over=self._handed_over,
            asked=self._collector_spoke,
            tell=dialogue.tell,
            spawn=self._tasks.spawn,
        )

    # What comes in over the line.

    def hear(self, payload: bytes) -> None:
        """Take a frame of the caller, in the line's format. The frame path: no task."""
        if not self._is_on or self.is_over:
            return
        if self._tap is not None:
            self._tap.caller(self.log.seconds(), payload)
        if self._voicemail.listens:
            self._voicemail.hear(payload)
        payload = self.sounds.hears(payload)
        self._ears.feed(payload)
        model = self._dialogue.model
        if model is not None:
            model.feed(to_pcm(payload, self._line.audio))

    def line_cleared(self) -> None:
        """The line has dropped what it still held. Nothing waits for this: a clear takes effect when it is sent."""

    def digit(self, digit: str) -> None:
        """A key was pressed. The log does not say which: it may be part of a PIN."""
        keys = keys_in(digit)
        dialogue = self._dialogue
        if not keys or not self._is_on or self.is_over or dialogue.ending is not None:
            return
        if self._transferring.is_dialling:
            return
        self._tell(events.UserDtmf(floor.KEY_MARK * len(keys)))
        if self._keys.is_spare(keys):
            return
        if (self.agent.keypad.interrupts and not dialogue.is_announcing) or dialogue.phase is Phase.IDLE:
            dialogue.take_floor()
        self._keys.press(keys)
        if self._keys.is_empty:
            dialogue.leave_floor()

    def commit(self) -> None:
        """The line says that the caller's turn is over; the model finds out by itself."""

    def listen_for(self, language: str) -> None:
        """The caller speaks another language; the model hears which."""

    def line_lost(self, reason: EndReason = "user_hangup") -> None:
        """The other side ended, or the connection died."""
        if not self._transferring.takes_end(reason):
            self._dialogue.hang_up(reason)

    # What the application may ask for, beside the caller.

    @property
    def agent(self) -> Agent:
        """Who answers now."""
        return self._persona.agent

    @property
    def session(self) -> AgentSession:
        """What the conversation's tools and approvals keep."""
        return self._session

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
        if self._dialogue.ending is None and not self._transferring.takes_end(reason):
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
        self._transferring.ask(transfer)

    def tell(self, event: events.CallEvent) -> None:
        """Write something that happened around the call into its log, while it is on."""
        if self._is_on and not self.is_over:
            self._tell(event)

    def decide(self, response: ApprovalResponse) -> None:
        """Answer a ``ToolApprovalRequested``: the call runs now, or does not, and the agent tells in the next pause.

        Raises:
            AgentInvalidRequestException: The request is not known, was answered before, or the call is over.
        """
        self._errands.decide(response)

    # The life of the call.

    async def run(self) -> events.SessionEnded:
        """Be the call, until it is over. Raises nothing but ``CancelledError``."""
        announce(
            self._caller,
            self.log,
            agent=self.agent.name,
            audio=self._line.audio,
            models=self._names,
            manners=self._policy.turn.to_dict(),
        )
        limit = self._clock.call_at(self._clock.now() + self._policy.max_call_s, self.end, "time_limit")
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks.open(tasks)
                self._is_on = True
                if not self.is_over:
                    self.sounds.open()
                await self._begin()
                await self._dialogue.over.wait()
                self._dialogue.stop_answer()
                self.sounds.close()
                self._line.hang_up(self._dialogue.reason)
                await finish_tools(self._tools, self._clock, self._caller.call_id)
                self._tasks.close()
        finally:
            limit.cancel()
            self._tasks.close()
            ended = await self._finish()
        return ended

    async def _begin(self) -> None:
        """Open the model's session, and have the greeting said."""
        try:
            brief = await self._persona.become(self.agent)
            self._wording.render_greeting(self.agent)
        except (AntiphonException, TimeoutError) as error:
            self._fail("bad_agent", error)
            self.end("error")
            return
        if not self.is_over and self._dialogue.ending is None:
            self._dialogue.begin(self._connections.open(brief))

    async def _finish(self) -> events.SessionEnded:
        dialogue = self._dialogue
        dialogue.hang_up("error")
        dialogue.stop_answer()
        self._keys.close()
        self.sounds.close()
        self._voicemail.close()
        self._collecting.close()
        self._line.hang_up(dialogue.reason)
        self._ears.close()
        model = () if dialogue.model is None else (dialogue.model,)
        await close_all((self._tools, self._session, *model), self._caller.call_id)
        self._tell(self._ledger.usage())
        ended = events.SessionEnded(dialogue.reason, round(self.log.seconds(), 3), dialogue.turns.count)
        self._tell(ended)
        return ended

    # What its parts ask for and tell.

    def _tool_request(self, name: str, details: Mapping[str, Any]) -> None:
        request = self._requests.get(name)
        if request is None:
            _log.warning("unknown_tool_request", call_id=self._caller.call_id, request=name, keys=sorted(details))
        else:
            request(details)

    def _hang_up_asked(self) -> None:
        if self.caller_has_floor:
            _log.info("hang_up_overtaken", call_id=self._caller.call_id)  # the caller has spoken since
        elif self._dialogue.ending is None:
            self._dialogue.end("agent_hangup", "")

    def _machine_found(self) -> None:
        """A machine has answered: it gets no reply. A message for it waits for its beep."""
        policy = self._wording.policy
        self._dialogue.fall_silent(replace(policy, turn=for_machine(policy.turn)))
        if self._voicemail.hangs_up and not self._wording.goodbye("voicemail"):
            self.end("voicemail")

    def _machine_records(self) -> None:
        if self._wording.goodbye("voicemail"):
            self.end("voicemail")

    def _machine_told(self, details: Mapping[str, Any]) -> None:
        self._voicemail.suspect(str(details["transcript"]))
        if details["at_once"]:
            self._dialogue.end("voicemail", "")

    async def _ready_to_hand_over(self, accepted: Accepted) -> None:
        """Another session can only be told what is known by then."""
        if not self._connections.suits(accepted):
            await self._dialogue.words_known(_WORDS_S)

    def _ask_secret(self, secret: SecretNumber) -> None:
        self.recording.pause_until(secret.opened, "secret")
        self._keys.ask_secret(secret)

    def _handed_over(self, accepted: Accepted, brief: Brief) -> bool:
        """Whatever is said from here on is the new agent's; whether it has another session."""
        record, agent, session = accepted.record, accepted.target, None
        self.sounds.adopt(agent.background)
        self._voice.speaker = Speaker(agent.name)
        if record.handoff_type == "discrete":
            self._dialogue.drop_unheard()
        if not self._connections.suits(accepted):
            session = self._connections.change(accepted, brief, seen_by_agent(self.history.messages, self._session))
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
        self._collecting.note(record)

    def _tell(self, event: events.CallEvent) -> None:
        self.log.append(event)

    def _fail(self, code: str, error: Exception) -> None:
        """A part failed; the call goes on."""
        _log.warning("part_failed", call_id=self._caller.call_id, code=code, error=str(error))
        self._tell(events.SessionError(code, str(error)))

    def _task_failed(self, name: str, error: Exception) -> None:
        self._tell(events.SessionError("internal", f"{name}: {type(error).__name__}"))
