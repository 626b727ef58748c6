"""Who speaks in a call that one model holds: what it tells becomes turns, speeches and silences that end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from antiphon.agents.keypad import typed_text
from antiphon.agents.session import AgentSession
from antiphon.calls import events, floor
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.floor import Phase
from antiphon.calls.history import History
from antiphon.calls.ledger import Ledger
from antiphon.calls.log import CallLog
from antiphon.calls.phrases import is_one_of
from antiphon.calls.policy import CallPolicy
from antiphon.calls.presence import AgentPresence, CallerPresence
from antiphon.calls.reply import Reply
from antiphon.calls.s2s.answers import Answers
from antiphon.calls.s2s.ears import Ears
from antiphon.calls.s2s.functions import Functions
from antiphon.calls.s2s.persona import Persona
from antiphon.calls.s2s.utterances import Utterance, Utterances
from antiphon.calls.s2s.vigil import Deed, Vigil
from antiphon.calls.speaking import Speaking
from antiphon.calls.speech import Speech
from antiphon.calls.turns import TurnRecord, Turns
from antiphon.calls.wording import Wording
from antiphon.clock import Clock
from antiphon.errors import AntiphonException
from antiphon.models.prices import Used
from antiphon.models.s2s.contract import (
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

_AGENTS = frozenset({Phase.THINKING, Phase.SPEAKING})
_MOST_ASIDES = 16
_LOOK_AGAIN_S = 0.05


class Dialogue:
    """The floor of one call. The model finds the turns; this says what they come to.

    Args:
        persona: Who the model is.
        ears: Know when the caller was heard last.
        history: Gets what was said, as far as it was heard.
        session: Keeps results that wait to be told.
        wording: Fixed phrases.
        policy: Limits and phrases.
        log: Where everything is told.
        clock: The call's time.
        name: The model's.
        ledger: Told what it uses.
        failed: Told of faults.
        mouth: Makes what speaks, and reports to ``on_speech``.
        hands: Makes what runs functions.
        floor_changed: Told when the caller takes the floor, and when nobody has it any more.
        takes_end: Whether somebody else has the caller by now, and ends the call.
        tagged: Puts to what is told of a turn which collector it was for.

    Attributes:
        model: The model's session, once it is open.
        phase: Where the conversation stands.
        ending: Why the call is to end, once it is.
        over: Set when nothing is said or heard any more, for the ``reason``.
        functions: Runs what the model calls.
        turns: The turns.
    """

    def __init__(
        self,
        persona: Persona,
        ears: Ears,
        *,
        history: History,
        session: AgentSession,
        wording: Wording,
        policy: CallPolicy,
        log: CallLog,
        clock: Clock,
        name: str,
        ledger: Ledger,
        failed: Callable[[str, Exception], None],
        mouth: Callable[[Dialogue], Speaking],
        hands: Callable[[Dialogue], Functions],
        floor_changed: Callable[[], None],
        takes_end: Callable[[EndReason], bool],
        tagged: Callable[[events.CallEvent], events.CallEvent],
    ) -> None:
        self.model: S2SSession | None = None
        self.phase = Phase.OPENING
        self.ending: EndReason | None = None
        self.over = asyncio.Event()
        self.reason: EndReason = "error"
        self._tagged = tagged
        self.turns = Turns(self._tell_turn, log.seconds, ledger)
        self._name = name
        self._ledger = ledger
        self._persona = persona
        self._ears = ears
        self._history = history
        self._session = session
        self._wording = wording
        self._policy = policy
        self._log = log
        self._clock = clock
        self._fail = failed
        self._floor_changed = floor_changed
        self._takes_end = takes_end
        self._holds = False  # the caller, for somebody else
        self._utterances = Utterances(history)
        self._caller_speaks = False
        self._is_silent = False  # for good, towards a machine
        self._speech_at = 0.0
        self._agent_presence = AgentPresence(log)
        self._presence = CallerPresence(log)
        self._asides: list[Callable[[], None]] = []  # what waits until it may sound
        self._greeted_turn = 0  # the last in which an agent that took over has greeted
        self._told_turn = 0  # of the caller, the last whose words were told
        self._vigil = Vigil(policy.turn, clock, log.seconds, self._timed_out)
        self._speaking = mouth(self)
        self._answers = Answers(
            self._speaking, unasked=self._unasked, next_speech=self._next_speech, overlong=self._overlong
        )
        self.functions = hands(self)

    def adopt(self, policy: CallPolicy) -> None:
        """Go on by the manners of another agent."""
        self._policy = self._wording.policy = policy
        self._vigil.adopt(policy.turn)

    def fall_silent(self, policy: CallPolicy) -> None:
        """A machine has answered: from here on it gets no reply, and is not asked to speak."""
        if self.ending is not None:
            return  # the last words are said to whomever
        self._is_silent = True
        self.adopt(policy)
        self.stop_answer()
        if not self._caller_speaks:
            self._rest()

    def begin(self, model: S2SSession, *, greets: bool) -> None:
        """The model's session is open: have the greeting said, or wait for the caller."""
        self.model = model
        if greets and self._wording.greeting:
            self.greet()
        else:
            self._rest()

    def greet(self) -> None:
        """Have the greeting said."""
        self.turns.begin(agent_first=True)
        self._ask("greeting", self._wording.greeting)

    def say(self, text: str) -> None:
        """Have this said when nobody speaks; of too many texts the oldest are dropped."""
        self._put_aside(lambda: self._ask("say", text))

    def press(self, keys: str) -> None:
        """Press keys of the telephone: their tones sound on the line, behind what is being said."""
        self.follow(lambda: self._speaking.press(keys, self.turns.count))

    def follow(self, deed: Callable[[], None]) -> None:
        """Have something sound behind what is being said, and what waits to be."""
        if self.phase in _AGENTS and not self._asides:
            deed()
        else:
            self._put_aside(deed)

    def _put_aside(self, deed: Callable[[], None]) -> None:
        self._asides = [*self._asides, deed][-_MOST_ASIDES:]
        self._speak_if_free()

    # What the model tells.

    def take(self, event: S2SEvent) -> None:
        """The model tells something."""
        handler = _HANDLERS.get(type(event))
        if handler is not None and not self.over.is_set():
            handler(self, event)

    def _caller_started(self, event: SpeechStarted) -> None:
        if self._caller_speaks:
            return
        self._caller_speaks = True
        self._speech_at = self._ears.speech_at()
        self._utterances.begin(event.item_id)
        self._tell(events.UserSpeechStarted(round(self._speech_at, 3)))
        self._presence.enter("speaking")
        if self.ending is None and not self.is_announcing:
            self.take_floor(is_sure=False)

    @property
    def is_announcing(self) -> bool:
        """Whether a file is heard that nobody interrupts."""
        return self._speaking.is_announcing

    def take_floor(self, *, is_sure: bool = True) -> None:
        """The caller has the floor from here on; ``is_sure``: by keys, and not by sound that may be noise."""
        self.stop_answer()
        if is_sure:
            self._presence.show_life()
            self._vigil.note_life()
        self._vigil.hear_caller()
        self._enter(Phase.HEARING)
        self._floor_changed()

    def leave_floor(self) -> None:
        """The caller has taken the floor by keys, and nothing comes of it."""
        if self.phase is Phase.HEARING and not self._caller_speaks:
            self._rest()

    def _caller_stopped(self, event: SpeechStopped) -> None:
        if not self._caller_speaks:
            return
        silence_at = self._note_silence()
        if self.ending is not None:
            return
        if self._is_silent:
            self._rest()
            return
        turn = self._begin_turn()
        turn.silence_at, turn.committed_at = silence_at, self._log.seconds()
        self._owe(turn)
        self._note_words(self._utterances.end(event.item_id, turn))

    def _begin_turn(self) -> TurnRecord:
        """The caller's."""
        self.functions.heard_caller()
        return self.turns.begin()

    def _note_silence(self) -> float:
        """The caller is silent; since when, in call seconds."""
        self._caller_speaks = False
        silence_at = self._ears.silence_at(self._speech_at)
        duration_s = max(0.0, silence_at - self._speech_at)
        self._ledger.note("s2s", self._name, Used(audio_s=duration_s))
        self._tell(events.UserSpeechStopped(round(silence_at, 3), round(duration_s * 1000)))
        self._presence.enter("listening")
        return silence_at

    def _words(self, event: UserTranscript) -> None:
        utterance = self._utterances.hear(event.item_id, event.text, is_final=event.is_final)
        if event.text:
            self._vigil.note_life()
            self._tell(events.UserTranscription(event.text, event.is_final, utterance.number))
        self._note_words(utterance)

    def _note_words(self, utterance: Utterance) -> None:
        """The words of a turn are known. Where there are none, no answer is waited for; one may come all the same."""
        turn = utterance.turn
        if turn is None or not utterance.is_final:
            return
        is_last = turn.number == self.turns.count
        if is_last and self.ending is None and is_one_of(utterance.text, self._policy.turn.stop_words):
            self.end("agent_hangup", "")  # behind the model's own goodbye
        if turn is not self.turns.current:
            return
        turn.final_at = self._log.seconds()
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
        reply = self.turns.current.reply if self.turns.current is not None else None
        if reply is not None and reply.first_token_at is None:
            reply.first_token_at = self._clock.now()

    def _note_made(self) -> None:
        """The model has done its part of the turn that goes on, or a step of it."""
        reply = self.turns.current.reply if self.turns.current is not None else None
        if reply is not None:
            reply.last_token_at = self._clock.now()
            reply.thought_s = reply.last_token_at - reply.begun_at

    def _answer_done(self, event: AnswerDone) -> None:
        used = Used(input_tokens=event.input_tokens, output_tokens=event.output_tokens)
        self._ledger.note("s2s", self._name, used)
        self._note_made()
        if event.status != "completed" or self.phase is Phase.HEARING:
            self.functions.let_go()  # of an answer that nobody waits for
        elif self.functions.is_endless:
            self.functions.forget()
            self._lose_turn()
            return
        elif self.functions.run():
            self._answers.done(more=True)
            return
        elif self.functions.go_on():
            self._answers.done(more=True, kind="reply")
            self._greeted_turn = self.turns.count
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
        if event.is_final and self.ending is None:
            self.end("error", self._wording.goodbye("error"))
        elif self.phase in _AGENTS and self._answers.is_owed:
            if self._greeted_turn == self.turns.count and not self._answers.has_begun:
                self._answers.done(more=False)  # who was greeted may just speak
            else:
                self._lose_turn()

    def _unasked(self, item_id: str) -> bool:
        """The model speaks by itself: it may, unless the caller speaks or the call ends."""
        if self.phase is not Phase.IDLE or self._is_silent:
            if self.model is not None:
                self.model.interrupt(item_id, 0.0)
            return False
        self._owe(self.turns.begin(agent_first=True))
        return True

    def _next_speech(self, speech: Speech) -> None:
        reply = self.turns.current.reply if self.turns.current is not None else None
        if reply is not None:
            reply.speeches.append(speech)

    def _overlong(self) -> None:
        self._fail("s2s_overlong", AntiphonException("The model's answer does not end: it was cut."))
        self.stop_answer()
        self._enter(Phase.THINKING)
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
        if self.model is not None:
            self._answers.expect(kind, self.turns.count)
            self._enter(Phase.THINKING)
            self._vigil.await_agent()
            self.model.say(text)

    def stop_answer(self) -> None:
        """Say no more, and tell the model what was heard. The turn is over."""
        self.functions.let_go()
        for item_id, heard_ms in self._answers.stop():
            if self.model is not None:
                self.model.interrupt(item_id, heard_ms)
        self.turns.close(interrupted=True)

    def _lose_turn(self) -> None:
        """The answer is lost: apologise, or end the call after too many of these."""
        may_apologise = self._vigil.lose_turn() and self.ending is None
        if self.phase is Phase.SPEAKING:
            self.functions.let_go()
            self._answers.done(more=False)  # what came of it is still said
        else:
            self.stop_answer()
        if self.ending is not None or self.over.is_set():
            return
        if not may_apologise:
            self.end("error", self._wording.goodbye("error"))
            return
        self._speaking.say("apology", self._policy.apology, self.turns.count)
        if self.phase is not Phase.SPEAKING:
            self._enter(Phase.THINKING)
            self._vigil.await_agent()

    def on_speech(self, event: floor.Event) -> None:
        """The playout tells that sound begins, or that all of it was heard."""
        if isinstance(event, floor.SpeechStarted):
            self._vigil.hear_agent(is_reply=event.kind == "reply")
            if self.phase in {Phase.IDLE, Phase.THINKING}:
                self._enter(Phase.SPEAKING)
        elif isinstance(event, floor.SpeechFinished):
            if event.more and self.phase is Phase.SPEAKING:
                self._enter(Phase.THINKING)
                self._vigil.await_agent()
            elif not event.more and self.ending is not None:
                self.hang_up(self.ending)
            elif not event.more and self.phase in _AGENTS:
                self._rest()

    def say_filler(self, text: str) -> None:
        """Fill a silence; not where there is none."""
        if self.phase is Phase.THINKING:
            self._speaking.say("filler", text, self.turns.count)

    def _look_for_caller(self) -> None:
        """The caller has had the floor for long: a silence that the model has missed ends that."""
        if self._ears.hears():
            self._vigil.hear_caller()
            return
        if self._caller_speaks:
            self._note_silence()
        self._vigil.note_life()
        self._rest()

    def _rest(self) -> None:
        """Nobody speaks, and nothing is owed."""
        self._enter(Phase.IDLE)
        self._vigil.await_caller()
        if self._holds:
            self._vigil.leave_alone()
        self._speak_if_free()

    def _speak_if_free(self) -> None:
        if self.phase is Phase.IDLE and self._asides:
            self._asides.pop(0)()
        else:
            self.look_for_news()
            self._floor_changed()

    def hold(self) -> None:
        """The caller waits for somebody else: is not asked to speak, and told no news."""
        self._holds = True
        self._vigil.leave_alone()

    def resume(self) -> None:
        """The caller is with us again."""
        self._holds = False
        self._vigil.note_life()
        if self.phase is Phase.IDLE:
            self._rest()

    def look_for_news(self) -> None:
        """Have late results told when nobody speaks."""
        is_free = self.phase is Phase.IDLE and not self._holds and not self._is_silent
        is_free = is_free and self._session.interview is None
        if not is_free or self.model is None or not self._session.late:
            return
        results = [(late.call.name, late.result.text) for late in self._session.late]
        self._history.keep(self._session.take_late())
        told = "\n".join(f"[Result of {name}, which took longer: {text}]" for name, text in results)
        self.tell(f"{told}\nTell the caller.")

    def tell(self, text: str) -> None:
        """Tell the model something in writing, and have it answered."""
        self._owe(self.turns.begin(agent_first=True))
        if self.model is not None:
            self.model.write(text)

    def take_keys(self, keys: str, shown: str) -> bool:
        """Have keys answered, read by the model as ``shown``, unless somebody speaks whom they must not interrupt."""
        if self.ending is not None:
            return True
        waits = self.phase in _AGENTS and (self.is_announcing or not self._persona.agent.keypad.interrupts)
        if waits or self._caller_speaks or self.model is None:
            return False
        self.stop_answer()
        self._log.hide(keys)
        turn = self._begin_turn()
        turn.user_text, turn.anchor = floor.KEY_MARK * len(keys), "turn_start"
        turn.silence_at = turn.committed_at = self._log.seconds()
        self._history.hear_user(turn.user_text, turn.user_text)
        self._tell_user_turn(turn.number, turn.user_text, trigger="dtmf")
        self._owe(turn)
        self.model.write(typed_text(shown))
        return True

    def _timed_out(self, deed: Deed) -> None:
        """Nothing has happened for too long."""
        if deed == "hang_up":
            self.hang_up(self.ending or "error")
        elif deed == "fill":
            self.say_filler(self._wording.phrase("filler", self._persona.agent))
        elif deed == "look_for_caller":
            self._look_for_caller()
        elif deed == "give_up":
            self._fail("s2s_silent", TimeoutError("The model was silent for too long."))
            self._lose_turn()
        elif deed == "remind":
            self._presence.enter("away")
            self._tell(events.UserIdle(self._vigil.reminders, "no_response"))
            self._ask("reminder", self._wording.reminder(self._vigil.reminders))
        else:
            self._presence.enter("away")
            self._tell(events.UserIdle(self._vigil.reminders, "max_retries_exhausted"))
            self.end("idle_timeout", self._wording.goodbye("idle_timeout"))

    # The end.

    def end(self, reason: EndReason, goodbye: str) -> None:
        """End when what is being said has been said, and the goodbye behind it."""
        if self.over.is_set() or self._takes_end(reason):
            return
        self.ending = reason
        if not goodbye and self.phase not in _AGENTS:
            self.stop_answer()
            self.hang_up(reason)
            return
        self._vigil.end()
        if not goodbye:
            return
        if self.phase is Phase.SPEAKING and reason != "error":
            self.functions.let_go()
            self._answers.done(more=False)  # what came of it is still said
        else:
            self.stop_answer()
        self._speaking.say("goodbye", goodbye, self.turns.count)
        self._enter(Phase.ENDING)

    def hang_up(self, reason: EndReason) -> None:
        """The call is over, at once."""
        if self.over.is_set():
            return
        self.reason = reason
        self._enter(Phase.ENDED)
        self._vigil.close()
        self.over.set()

    # Telling.

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._agent_presence.enter(phase)

    def _tell(self, event: events.CallEvent) -> None:
        self._log.append(event)

    def _tell_turn(self, event: events.CallEvent) -> None:
        """What is told of a turn that is over; its words, if they are known by now, come before that."""
        if isinstance(event, events.TurnCompleted) and not event.agent_first:
            self._tell_user_turn(event.turn, event.user_text)
        self._tell(self._tagged(event))

    def _tell_user_turn(self, number: int, text: str, *, trigger: Literal["silence", "dtmf"] = "silence") -> None:
        if number > self._told_turn:
            self._told_turn = number
            self._tell(events.UserTurnCompleted(number, text, trigger))

    def drop_unheard(self) -> None:
        """What was not heard of the answer so far is not said; what is still to come is."""
        self._answers.drop()

    def go_on_as(self, kind: SpeechKind, model: S2SSession | None, *, name: str) -> None:
        """What is said from here on is another agent's, and first of this kind; perhaps of another model's session."""
        if model is not None:
            self.model, self._name = model, name
            self._answers.change_model()
        self._answers.go_on_as(kind)

    async def words_known(self, wait_s: float) -> None:
        """Wait until the caller's words are known, for so long at most."""
        until = self._clock.now() + wait_s
        while self._clock.now() < until:
            turn = self.turns.current
            if turn is None or turn.agent_first or self.over.is_set():
                return
            if turn.final_at is not None or floor.KEY_MARK in turn.user_text:
                return
            await self._clock.sleep(_LOOK_AGAIN_S)


_HANDLERS: dict[type, Callable[[Dialogue, Any], None]] = {
    SpeechStarted: Dialogue._caller_started,
    SpeechStopped: Dialogue._caller_stopped,
    UserTranscript: Dialogue._words,
    AnswerAudio: Dialogue._answer_sounds,
    AnswerText: Dialogue._answer_reads,
    AnswerDone: Dialogue._answer_done,
    FunctionCalled: lambda dialogue, event: dialogue.functions.called(event),
    Failed: Dialogue._failed,
}
