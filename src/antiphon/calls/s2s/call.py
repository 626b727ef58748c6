"""One conversation that a single model holds: it hears, thinks and speaks, and also finds the turns.

    line ─ hear ─▶ model ─ events ─▶ S2SCall ─▶ Answers ─▶ Speaking ─▶ line

The call keeps what is the call's: what was heard to the word, the agent's tools, the log, the limits, and that nobody
is left in silence. The phrases for that come from the server's own voice, since they are said when the model fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.runner import ToolRunner
from antiphon.agents.session import AgentSession
from antiphon.audio.convert import to_pcm
from antiphon.calls import events, floor
from antiphon.calls.call import Caller
from antiphon.calls.errands import Errands
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.floor import Phase
from antiphon.calls.history import History
from antiphon.calls.line import AudioTap, Line
from antiphon.calls.log import CallLog
from antiphon.calls.pacer import Pacer
from antiphon.calls.playout import Playout
from antiphon.calls.policy import CallPolicy
from antiphon.calls.reply import Reply
from antiphon.calls.s2s.answers import Answers
from antiphon.calls.s2s.ears import Ears
from antiphon.calls.s2s.functions import Functions
from antiphon.calls.s2s.keypad import Keypad
from antiphon.calls.s2s.persona import Persona
from antiphon.calls.s2s.utterances import Utterance, Utterances
from antiphon.calls.s2s.vigil import Deed, Vigil
from antiphon.calls.speaking import Speaking
from antiphon.calls.speech import Speaker, Speech
from antiphon.calls.tasks import CallTasks
from antiphon.calls.tracing import CallTrace
from antiphon.calls.turns import TurnRecord, Turns
from antiphon.calls.voice import Phrases, Voice
from antiphon.calls.watcher import Unwatched
from antiphon.calls.wording import Wording
from antiphon.clock import Clock
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import ApprovalResponse, HandedOff
from antiphon.models.s2s.contract import (
    S2S,
    AnswerAudio,
    AnswerDone,
    AnswerText,
    Failed,
    FunctionCalled,
    S2SEvent,
    S2SSession,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from antiphon.models.tts.contract import TTS
from antiphon.models.vad.contract import VAD

_log = structlog.get_logger(__name__)

_AGENT_STATES: dict[Phase, events.AgentState] = {
    Phase.OPENING: "initializing",
    Phase.IDLE: "listening",
    Phase.HEARING: "listening",
    Phase.THINKING: "thinking",
    Phase.SPEAKING: "speaking",
    Phase.ENDING: "speaking",
    Phase.ENDED: "idle",
}
_AGENTS = frozenset({Phase.THINKING, Phase.SPEAKING})
_MOST_ASIDES = 16
_CLOSE_S = 2.0
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

    Attributes:
        agent: Who answers now.
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
    ) -> None:
        self.agent = agent
        self.log = log
        self.history = History()
        self._line = line
        self._model = model
        self._live: S2SSession | None = None
        self._clock = clock
        self._policy = policy
        self._caller = caller
        self._tap = tap
        self._names = {"s2s": model.name, "vad": vad.name, "tts": tts.name}
        self._ears = Ears(vad, line.audio, log.seconds)
        self._utterances = Utterances(self.history)
        self._caller_speaks = False
        self._speech_at = 0.0
        self._speech_s = 0.0
        self._tokens_in = self._tokens_out = 0
        self._phase = Phase.OPENING
        self._agent_state: events.AgentState = "initializing"
        self._open = False
        self._over = asyncio.Event()
        self._ending: EndReason | None = None
        self._reason: EndReason = "error"
        self._asides: list[str] = []  # texts that wait until they may be said
        self._told_turn = 0  # of the caller, the last whose words were told
        self._trace = CallTrace()
        self._tasks = CallTasks(caller.call_id, context=self._trace.context, failed=self._task_failed)
        self._wording = Wording(policy, caller.parameters)
        self._turns = Turns(self._tell_turn, log.seconds)
        self._keypad = Keypad(clock, self._keys_pressed)
        self._vigil = Vigil(policy.turn, clock, log.seconds, self._timed_out)
        self._session = AgentSession(caller.session_id, agents=team, variables=caller.parameters, clock=clock)
        self._persona = Persona(agent, self._session)
        self._tools = self._tool_runner(data_dir)
        self._errands = Errands(
            self._session, self._tools, log=log, clock=clock, news=self._look_for_news, spawn=self._tasks.spawn
        )
        self._voice = Voice(
            tts,
            line.audio,
            Phrases() if phrases is None else phrases,
            speaker=Speaker(agent.name),  # its voice and language are the model's, not those of our phrases
            timeout_s=policy.tts_timeout_s,
            phrase_timeout_s=_PHRASE_SHARE * policy.turn.max_dead_air_s,
        )
        self._speaking = self._mouth(pacer)
        self._answers = Answers(
            self._speaking, unasked=self._unasked, next_speech=self._next_speech, overlong=self._overlong
        )
        self._functions = self._hands()
        self.mark_played = self._speaking.mark_played

    def _tool_runner(self, data_dir: Path | None) -> ToolRunner:
        return ToolRunner(
            self._clock,
            session_id=self._caller.session_id,
            values={**self._caller.parameters, "data_dir": data_dir},
            state=self._session.state,
            on_result=lambda call, result: self._functions.note(call, result),
            on_late=lambda call, result: self._errands.late(call, result),
            on_request=self._tool_request,
        )

    def _mouth(self, pacer: Pacer) -> Speaking:
        return Speaking(
            self._line,
            self._voice,
            history=self.history,
            log=self.log,
            report=self._on_speech,
            over=self._turns.heard,
            failed=self._fail,
            spawn=self._tasks.spawn,
            watcher=Unwatched(),
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

    def _hands(self) -> Functions:
        return Functions(
            self._persona,
            self._session,
            self._tools,
            errands=self._errands,
            history=self.history,
            log=self.log,
            model=lambda: self._live,
            say_filler=self._say_filler,
            handed_over=self._handed_over,
            spawn=self._tasks.spawn,
        )

    # What comes in over the line.

    def hear(self, payload: bytes) -> None:
        """Take a frame of the caller, in the line's format. The frame path: no task."""
        if not self._open:
            return
        if self._tap is not None:
            self._tap.caller(self.log.seconds(), payload)
        self._ears.feed(payload)
        if self._live is not None:
            self._live.feed(to_pcm(payload, self._line.audio))

    def line_cleared(self) -> None:
        """The line has dropped what it still held. Nothing waits for this: a clear takes effect when it is sent."""

    def digit(self, digit: str) -> None:
        """A key was pressed, which takes the floor. The log does not say which: it may be part of a PIN."""
        if not self._open or self._ending is not None:
            return
        self._tell(events.UserDtmf("•" * len(digit)))
        self._take_floor()
        self._keypad.press(digit)

    def commit(self) -> None:
        """The line says that the caller's turn is over; the model finds out by itself."""

    def listen_for(self, language: str) -> None:
        """The caller speaks another language; the model hears which."""

    def line_lost(self, reason: EndReason = "user_hangup") -> None:
        """The other side ended, or the connection died."""
        self._hang_up(reason)

    # What the application may ask for, beside the caller.

    @property
    def session(self) -> AgentSession:
        """What the conversation's tools and approvals keep."""
        return self._session

    @property
    def is_over(self) -> bool:
        """Whether nothing is said or heard any more."""
        return self._over.is_set()

    @property
    def caller_has_floor(self) -> bool:
        """Whether it is the caller's turn, which has begun."""
        return self._phase is Phase.HEARING

    @property
    def agent_is_silent(self) -> bool:
        """Whether nothing of the agent is owed or heard."""
        return self._phase in {Phase.HEARING, Phase.IDLE}

    def end(self, reason: EndReason) -> None:
        """End the call from our side, with the goodbye that fits."""
        if self._ending is None and not self._over.is_set():
            self._end(reason, self._wording.goodbye(reason))

    def say(self, text: str) -> None:
        """Say this behind what is being said, and not while the caller has the floor.

        Before and after the call nothing is said; of too many texts that wait the oldest are dropped.
        """
        if self._open:
            self._asides = [*self._asides, text][-_MOST_ASIDES:]
            self._speak_if_free()

    def tell(self, event: events.CallEvent) -> None:
        """Write something that happened around the call into its log, while it is on."""
        if self._open:
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
        self._tell_start()
        caller = self._caller
        self._trace.begin(
            session_id=caller.session_id, call_id=caller.call_id, carrier=caller.carrier, agent=self.agent.name
        )
        limit = self._clock.call_at(self._clock.now() + self._policy.max_call_s, self.end, "time_limit")
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks.open(tasks)
                self._open = not self._over.is_set()
                await self._begin()
                await self._over.wait()
                self._stop_answer()
                self._line.hang_up(self._reason)
                await self._finish_tools()
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
        if not self._open or self._ending is not None:
            return
        self._live = self._model.open(brief, self._line.audio.rate_hz, self._take)
        if self._wording.greeting:
            self._turns.begin(agent_first=True)
            self._ask("greeting", self._wording.greeting)
        else:
            self._rest()

    async def _finish_tools(self) -> None:
        """Calls with an effect go on to their end, for a moment."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                while self._tools.pending():
                    await self._clock.sleep(0.02)
        except TimeoutError:
            _log.warning("tools_cut_at_end", call_id=self._caller.call_id)

    async def _finish(self) -> events.SessionEnded:
        self._vigil.close()
        self._keypad.close()
        self._hang_up("error")
        self._stop_answer()
        self._line.hang_up(self._reason)
        self._ears.close()
        for part in (self._tools, self._session, *((self._live,) if self._live is not None else ())):
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await part.aclose()
            except Exception:  # The call's own root: a provider that does not close must not keep the line's owner.
                _log.exception("close_failed", call_id=self._caller.call_id, part=type(part).__name__)
        self._tell(
            events.SessionUsage(self._tokens_in, self._tokens_out, self._voice.characters, round(self._speech_s, 2))
        )
        ended = events.SessionEnded(self._reason, round(self.log.seconds(), 3), self._turns.count)
        self._tell(ended)
        self._trace.end(reason=self._reason, turns=self._turns.count)
        return ended

    # What the model tells.

    def _take(self, event: S2SEvent) -> None:
        handler = _HANDLERS.get(type(event))
        if handler is not None and self._open:
            handler(self, event)

    def _caller_started(self, event: SpeechStarted) -> None:
        if self._caller_speaks:
            return
        self._caller_speaks = True
        self._speech_at = self._ears.speech_at()
        self._utterances.begin(event.item_id)
        self._tell(events.UserSpeechStarted(round(self._speech_at, 3)))
        self._tell(events.UserStateChanged("listening", "speaking"))
        if self._ending is None:
            self._take_floor()

    def _take_floor(self) -> None:
        self._stop_answer()
        self._vigil.hear_caller()
        self._enter(Phase.HEARING)

    def _caller_stopped(self, event: SpeechStopped) -> None:
        if not self._caller_speaks:
            return
        silence_at = self._note_silence()
        if self._ending is not None:
            return
        turn = self._turns.begin()
        turn.silence_at, turn.committed_at = silence_at, self.log.seconds()
        self._owe(turn)
        self._note_words(self._utterances.end(event.item_id, turn))

    def _note_silence(self) -> float:
        """The caller is silent; since when, in call seconds."""
        self._caller_speaks = False
        silence_at = self._ears.silence_at(self._speech_at)
        duration_s = max(0.0, silence_at - self._speech_at)
        self._speech_s += duration_s
        self._tell(events.UserSpeechStopped(round(silence_at, 3), round(duration_s * 1000)))
        self._tell(events.UserStateChanged("speaking", "listening"))
        return silence_at

    def _words(self, event: UserTranscript) -> None:
        utterance = self._utterances.hear(event.item_id, event.text, is_final=event.is_final)
        if event.text:
            self._tell(events.UserTranscription(event.text, event.is_final, utterance.number))
        self._note_words(utterance)

    def _note_words(self, utterance: Utterance) -> None:
        """The words of a turn are known. Where there are none, no answer is waited for; one may come all the same."""
        turn = utterance.turn
        if turn is None or not utterance.is_final or turn is not self._turns.current:
            return
        turn.final_at = self.log.seconds()
        self._tell_user_turn(turn.number, utterance.text)
        if not utterance.text and not self._answers.has_begun:
            self._answers.done(more=False)

    def _answer_sounds(self, event: AnswerAudio) -> None:
        if self._answers.take_sound(event):
            self._note_begun()

    def _answer_reads(self, event: AnswerText) -> None:
        if self._answers.take_words(event):
            self._note_begun()

    def _note_begun(self) -> None:
        reply = self._turns.current.reply if self._turns.current is not None else None
        if reply is not None and reply.first_token_at is None:
            reply.first_token_at = self._clock.now()

    def _answer_done(self, event: AnswerDone) -> None:
        self._tokens_in += event.input_tokens
        self._tokens_out += event.output_tokens
        if event.status != "completed" or self._phase is Phase.HEARING:
            self._functions.let_go()  # of an answer that nobody waits for
        elif self._functions.run():
            self._answers.done(more=True)
            return
        if event.status == "failed":
            return  # the failure itself is told as well
        if event.status == "cancelled" and not self._answers.has_begun:
            return  # an earlier one, which was stopped
        if event.status == "incomplete" and self._answers.is_owed and not self._answers.has_begun:
            self._lose_turn()
            return
        self._answers.done(more=False)

    def _failed(self, event: Failed) -> None:
        self._fail("s2s_unavailable", event.error)
        if event.is_final and self._ending is None:
            self._end("error", self._wording.goodbye("error"))
        elif self._phase in _AGENTS and self._answers.is_owed:
            self._lose_turn()

    def _unasked(self, item_id: str) -> bool:
        """The model speaks by itself: it may, unless the caller speaks or the call ends."""
        if self._phase is not Phase.IDLE:
            if self._live is not None:
                self._live.interrupt(item_id, 0.0)
            return False
        self._owe(self._turns.begin(agent_first=True))
        return True

    def _next_speech(self, speech: Speech) -> None:
        reply = self._turns.current.reply if self._turns.current is not None else None
        if reply is not None:
            reply.speeches.append(speech)

    def _overlong(self) -> None:
        self._fail("s2s_overlong", AntiphonException("The model's answer does not end: it was cut."))
        self._lose_turn()

    # The agent's turn.

    def _owe(self, turn: TurnRecord) -> None:
        """The model is to answer this turn."""
        speech = self._answers.expect("reply", turn.number)
        turn.reply = Reply(turn.user_text, speech, speculative=False, begun_at=self._clock.now())
        self._enter(Phase.THINKING)
        self._vigil.await_agent(None if turn.agent_first else turn.silence_at)

    def _ask(self, kind: SpeechKind, text: str) -> None:
        """Have the model say this word for word."""
        if self._live is not None:
            self._answers.expect(kind, self._turns.count)
            self._enter(Phase.THINKING)
            self._vigil.await_agent()
            self._live.say(text)

    def _stop_answer(self) -> None:
        """Say no more, and tell the model what was heard. The turn is over."""
        self._functions.let_go()
        for item_id, heard_ms in self._answers.stop():
            if self._live is not None:
                self._live.interrupt(item_id, heard_ms)
        self._turns.close(interrupted=True)

    def _lose_turn(self) -> None:
        """The answer is lost: apologise, or end the call after too many of these."""
        may_apologise = self._vigil.lose_turn() and self._ending is None
        if self._phase is Phase.SPEAKING:
            self._functions.let_go()
            self._answers.done(more=False)  # what came of it is still said
        else:
            self._stop_answer()
        if self._ending is not None or self._over.is_set():
            return
        if not may_apologise:
            self._end("error", self._wording.goodbye("error"))
            return
        self._speaking.say("apology", self._policy.apology, self._turns.count)
        if self._phase is not Phase.SPEAKING:
            self._enter(Phase.THINKING)
            self._vigil.await_agent()

    def _on_speech(self, event: floor.Event) -> None:
        """The playout tells that sound begins, or that all of it was heard."""
        if isinstance(event, floor.SpeechStarted):
            self._vigil.hear_agent(is_reply=event.kind == "reply")
            if self._phase in {Phase.IDLE, Phase.THINKING}:
                self._enter(Phase.SPEAKING)
        elif isinstance(event, floor.SpeechFinished):
            if event.more and self._phase is Phase.SPEAKING:
                self._enter(Phase.THINKING)
                self._vigil.await_agent()
            elif not event.more and self._ending is not None:
                self._hang_up(self._ending)
            elif not event.more and self._phase in _AGENTS:
                self._rest()

    def _say_filler(self, text: str) -> None:
        """Fill a silence; not where there is none."""
        if self._phase is Phase.THINKING:
            self._speaking.say("filler", text, self._turns.count)

    def _look_for_caller(self) -> None:
        """The caller has had the floor for long: a silence that the model has missed ends that."""
        if self._ears.hears():
            self._vigil.hear_caller()
            return
        if self._caller_speaks:
            self._note_silence()
        self._rest()

    def _rest(self) -> None:
        """Nobody speaks, and nothing is owed."""
        self._enter(Phase.IDLE)
        self._vigil.await_caller()
        self._speak_if_free()

    def _speak_if_free(self) -> None:
        if self._phase is Phase.IDLE and self._asides:
            self._ask("say", self._asides.pop(0))
        else:
            self._look_for_news()

    def _look_for_news(self) -> None:
        """Have late results told when nobody speaks."""
        if self._phase is not Phase.IDLE or self._live is None or not self._session.late:
            return
        results = [(late.call.name, late.result.text) for late in self._session.late]
        self.history.keep(self._session.take_late())
        self._owe(self._turns.begin(agent_first=True))
        told = "\n".join(f"[Result of {name}, which took longer: {text}]" for name, text in results)
        self._live.write(f"{told}\nTell the caller.")

    def _keys_pressed(self, keys: str) -> bool:
        """Have the keys answered, unless the caller speaks."""
        if self._ending is not None:
            return True
        if self._caller_speaks or self._live is None:
            return False
        self._stop_answer()
        turn = self._turns.begin()
        turn.user_text = "•" * len(keys)
        turn.silence_at = turn.committed_at = self.log.seconds()
        self.history.hear_user(turn.user_text, turn.user_text)
        self._tell_user_turn(turn.number, turn.user_text, trigger="dtmf")
        self._owe(turn)
        self._live.write(f"[The caller pressed these keys of the telephone: {keys}]")
        return True

    def _timed_out(self, deed: Deed) -> None:
        """Nothing has happened for too long."""
        if deed == "hang_up":
            self._hang_up(self._ending or "error")
        elif deed == "fill":
            self._say_filler(self._wording.phrase("filler", self.agent))
        elif deed == "look_for_caller":
            self._look_for_caller()
        elif deed == "give_up":
            self._fail("s2s_silent", TimeoutError("The model was silent for too long."))
            self._lose_turn()
        elif deed == "remind":
            self._tell(events.UserIdle(self._vigil.reminders, "no_response"))
            self._ask("reminder", self._policy.reminder)
        else:
            self._tell(events.UserIdle(self._vigil.reminders, "max_retries_exhausted"))
            self.end("idle_timeout")

    # The end.

    def _tool_request(self, name: str, details: Mapping[str, Any]) -> None:
        if name == "hang_up" and self._phase is Phase.HEARING:
            _log.info("hang_up_overtaken", call_id=self._caller.call_id)  # the caller has spoken since
        elif name == "hang_up" and self._ending is None:
            self._end("agent_hangup", "")
        elif name != "hang_up":
            _log.warning("unknown_tool_request", call_id=self._caller.call_id, request=name, keys=sorted(details))

    def _end(self, reason: EndReason, goodbye: str) -> None:
        """End when what is being said has been said, and the goodbye behind it."""
        if self._over.is_set():
            return
        self._ending = reason
        if not goodbye and self._phase not in _AGENTS:
            self._stop_answer()
            self._hang_up(reason)
            return
        self._vigil.end()
        if not goodbye:
            return
        if self._phase is Phase.SPEAKING and reason != "error":
            self._functions.let_go()
            self._answers.done(more=False)  # what came of it is still said
        else:
            self._stop_answer()
        self._speaking.say("goodbye", goodbye, self._turns.count)
        self._enter(Phase.ENDING)

    def _hang_up(self, reason: EndReason) -> None:
        if self._over.is_set():
            return
        self._reason = reason
        self._open = False
        self._enter(Phase.ENDED)
        self._vigil.close()
        self._keypad.close()
        self._over.set()

    # Telling.

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        state = _AGENT_STATES[phase]
        if state != self._agent_state:
            self._tell(events.AgentStateChanged(self._agent_state, state))
            self._agent_state = state

    def _handed_over(self, record: HandedOff, agent: Agent) -> None:
        """Whatever is said from here on is the new agent's."""
        self.agent = agent
        self._voice.speaker = Speaker(agent.name)
        if record.handoff_type == "discrete":
            self._answers.drop()
        self._tell(events.AgentHandoff(record.target, record.source, record.handoff_type, record.reason))

    def _tell(self, event: events.CallEvent) -> None:
        self.log.append(event)

    def _tell_turn(self, event: events.CallEvent) -> None:
        """What is told of a turn that is over; its words, if they are known by now, come before that."""
        if isinstance(event, events.TurnCompleted) and not event.agent_first:
            self._tell_user_turn(event.turn, event.user_text)
        self._tell(event)

    def _tell_user_turn(self, number: int, text: str, *, trigger: Literal["silence", "dtmf"] = "silence") -> None:
        if number > self._told_turn:
            self._told_turn = number
            self._tell(events.UserTurnCompleted(number, text, trigger))

    def _tell_start(self) -> None:
        audio, caller = self._line.audio, self._caller
        self._tell(
            events.SessionStarted(
                session_id=caller.session_id,
                call_id=caller.call_id,
                agent=self.agent.name,
                carrier=caller.carrier,
                audio=f"{audio.encoding}/{audio.rate_hz}",
                started_at=self.log.started_at.isoformat(timespec="milliseconds"),
                models=self._names,
                manners=self._policy.turn.to_dict(),
            )
        )

    def _fail(self, code: str, error: Exception) -> None:
        """A part failed; the call goes on."""
        _log.warning("part_failed", call_id=self._caller.call_id, code=code, error=str(error))
        self._tell(events.SessionError(code, str(error)))

    def _task_failed(self, name: str, error: Exception) -> None:
        self._tell(events.SessionError("internal", f"{name}: {type(error).__name__}"))


_HANDLERS: dict[type, Callable[[S2SCall, Any], None]] = {
    SpeechStarted: S2SCall._caller_started,
    SpeechStopped: S2SCall._caller_stopped,
    UserTranscript: S2SCall._words,
    AnswerAudio: S2SCall._answer_sounds,
    AnswerText: S2SCall._answer_reads,
    AnswerDone: S2SCall._answer_done,
    FunctionCalled: lambda call, event: call._functions.called(event),
    Failed: S2SCall._failed,
}
