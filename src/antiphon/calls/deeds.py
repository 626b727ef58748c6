"""What the decisions of turn-taking do: each ``floor.Action`` is carried out by the part that it concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from antiphon.agents.agent import Agent
from antiphon.calls import events, floor
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.history import History
from antiphon.calls.keypad import TypedNumbers
from antiphon.calls.listening import Listening
from antiphon.calls.log import CallLog
from antiphon.calls.presence import CallerPresence
from antiphon.calls.reply import Reply, ReplyTerms
from antiphon.calls.responding import Responding
from antiphon.calls.speaking import Speaking
from antiphon.calls.timers import Timers
from antiphon.calls.turn_taking import TurnTaking
from antiphon.calls.turns import TurnRecord, Turns
from antiphon.calls.watcher import ReplyWatcher
from antiphon.calls.wording import Wording


class Deeds:
    """Carries out decisions.

    Args:
        timers: Those of turn-taking.
        listening: The ears.
        responding: The mind.
        speaking: The mouth.
        turn_taking: Knows the times of the turn that is decided.
        turns: Notes each turn.
        history: Keeps what was said.
        typed: Puts typed numbers back into the words that the model reads.
        wording: The fixed phrases.
        watcher: Told how replies come about.
        presence: Told that the caller seems to be away.
        log: Where everything is told.
        agent: Gives who answers now.
        hang_up: Ends the call.
    """

    def __init__(
        self,
        timers: Timers,
        listening: Listening,
        responding: Responding,
        *,
        speaking: Speaking,
        turn_taking: TurnTaking,
        turns: Turns,
        history: History,
        typed: TypedNumbers,
        wording: Wording,
        watcher: ReplyWatcher,
        presence: CallerPresence,
        log: CallLog,
        agent: Callable[[], Agent],
        hang_up: Callable[[EndReason], None],
    ) -> None:
        self._responding = responding
        self._speaking = speaking
        self._floor = turn_taking
        self._turns = turns
        self._history = history
        self._typed = typed
        self._wording = wording
        self._watcher = watcher
        self._presence = presence
        self._log = log
        self._agent = agent
        self._asked_terms: ReplyTerms | None = None
        self._reminders = 0  # in this silence
        self._by_action: dict[type, Callable[[Any], None]] = {
            floor.StartTimer: timers.start,
            floor.StopTimer: timers.stop,
            floor.FinishUtterance: lambda _: listening.finish_utterance(),
            floor.Speculate: lambda action: responding.speculate(*self._revealed(action)),
            floor.DropSpeculation: lambda _: responding.drop(),
            floor.Commit: self._commit,
            floor.KeepTurn: self._keep_turn,
            floor.TellNews: lambda _: self._tell_news(),
            floor.Respond: lambda _: self._respond(),
            floor.Pause: lambda _: speaking.pause(),
            floor.Resume: lambda action: speaking.resume(false_interruption=action.false_interruption),
            floor.Interrupt: lambda _: self.stop_reply(over=True),
            floor.CancelReply: lambda _: self.stop_reply(over=False),
            floor.NoteOverlap: lambda action: log.append(events.UserBackchannel(action.text, action.is_interruption)),
            floor.NoteIdle: self._note_idle,
            floor.Say: lambda action: self._say(action.kind),
            floor.SayGoodbye: self._say_goodbye,
            floor.HangUp: lambda action: hang_up(action.reason),
        }

    def do(self, action: floor.Action) -> None:
        """Carry out one decision."""
        self._by_action[type(action)](action)

    def ask(self, terms: ReplyTerms | None) -> None:
        """What the next answer goes by; it alone."""
        self._asked_terms = terms

    def stop_reply(self, *, over: bool) -> None:
        """Say no more; the turn is ``over``, or goes on because nothing of the reply was heard."""
        self._responding.drop()
        self._speaking.stop()
        self._watcher.reply_stopped()
        if over:
            self._turns.close(interrupted=True)

    def _revealed(self, action: floor.Speculate | floor.Commit) -> tuple[str, str]:
        """The words of a turn as the model reads them: with what was typed."""
        return self._typed.reveal(action.text), self._typed.reveal(action.fresh)

    def _commit(self, action: floor.Commit) -> None:
        turn = self._turns.current
        if action.fresh == action.text or turn is None:
            turn = self._turns.begin()
        turn.user_text = action.text
        turn.silence_at = self._floor.silence_at
        turn.committed_at = self._log.seconds()
        turn.anchor = "turn_start" if action.trigger in ("text", "dtmf") else "vad_end"
        # What was written or typed has no recogniser; the words before it are an older turn's.
        turn.final_at = self._floor.final_at if turn.anchor == "vad_end" else None
        self._log.append(events.UserTurnCompleted(turn.number, action.text, action.trigger, action.probability))
        if not action.answer:
            self._responding.drop()
            self._history.hear_user(*self._revealed(action))
            return
        self._answer(turn, self._responding.commit(*self._revealed(action), self._take_terms()))

    def _keep_turn(self, action: floor.KeepTurn) -> None:
        text = self._typed.reveal(action.text)
        self._history.hear_user(text, text)

    def _tell_news(self) -> None:
        self._answer(self._turns.begin(agent_first=True), self._responding.tell_news())

    def _respond(self) -> None:
        """A turn that only got its words is answered; without one, the agent speaks unasked."""
        turn = self._turns.current
        if turn is None or turn.reply is not None:
            turn = self._turns.begin(agent_first=True)
        self._answer(turn, self._responding.respond(self._take_terms()))

    def _answer(self, turn: TurnRecord, reply: Reply) -> None:
        turn.reply = reply
        reply.speech.turn = turn.number
        self._watcher.reply_began(reply)
        self._speaking.begin(reply.speech)

    def _take_terms(self) -> ReplyTerms | None:
        terms, self._asked_terms = self._asked_terms, None
        return terms

    def _say(self, kind: SpeechKind) -> None:
        if kind == "greeting" and self._turns.current is None:  # else it answers the other side's first words
            self._turns.begin(agent_first=True)
        is_reminder = kind == "reminder"
        text = self._wording.reminder(self._reminders) if is_reminder else self._wording.phrase(kind, self._agent())
        self._speaking.say(kind, text, self._turns.count)

    def _say_goodbye(self, action: floor.SayGoodbye) -> None:
        turn = self._turns.current
        of_turn = turn.number if turn is not None and turn.reply is None else 0  # it is all the answer that it gets
        self._speaking.say("goodbye", self._wording.goodbye(action.reason), of_turn)

    def _note_idle(self, action: floor.NoteIdle) -> None:
        self._presence.enter("away")
        self._reminders = action.retry_count
        reason: Literal["no_response", "max_retries_exhausted"]
        reason = "max_retries_exhausted" if action.exhausted else "no_response"
        self._log.append(events.UserIdle(action.retry_count, reason))
