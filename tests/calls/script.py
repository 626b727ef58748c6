"""A call for turn-taking alone, in virtual time: scripted sound and words in, decisions out.

``Script`` stands in for everything around the floor: the detector, the recogniser, the clock, and an agent that speaks
some time after it is asked to. ``Referee`` watches every step for what must never happen.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from antiphon.calls import floor as f
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.floor import Action, Event, Phase
from antiphon.calls.policy import TurnPolicy
from antiphon.calls.turn_taking import TABLE, Row, TurnTaking

A = TypeVar("A", bound=Action)

NEVER = math.inf


@dataclass(frozen=True)
class Answer:
    """How the agent speaks when it is asked to.

    Attributes:
        after: Seconds until its first sound.
        seconds: Length of that sound.
        rest: Where a stall follows: its seconds, and the seconds of sound behind it.
        fails: Seconds until it breaks off.
        text: What it says.
    """

    after: float = 0.3
    seconds: float = 3.0
    rest: tuple[float, float] | None = None
    fails: float | None = None
    text: str = "We open at nine."


@dataclass(eq=False)
class _Speech:
    kind: SpeechKind
    text: str
    parts: deque[tuple[float, float]]  # (when it can be heard, how long it is)
    started: bool = False


@dataclass(frozen=True)
class Step:
    """An event, the phase after it, and what was to be done."""

    at: float
    event: Event
    phase: Phase
    actions: list[Action]
    row: Row | None


@dataclass
class Script:
    """One scripted call; write down what happens with ``at``, then ``run``.

    Attributes:
        policy: The manners under test.
        greet: Whether the agent speaks first.
        answers: How it answers each turn; the last one is used again.
        phrases: How it says fixed phrases, where not at once and for a second.
        hears_after: Seconds from ``FinishUtterance`` to the final words.
    """

    policy: TurnPolicy = field(default_factory=lambda: manners())
    greet: bool = False
    answers: Sequence[Answer] = (Answer(),)
    phrases: dict[SpeechKind, Answer] = field(default_factory=dict)
    hears_after: float = 0.15
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = 0.0
        self.floor = TurnTaking(self.policy)
        self.referee = Referee(self.floor)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._timers: dict[str, float] = {}
        self._inbox: deque[Event] = deque()
        self._busy = False
        self._voiced = False
        self._hearings = 0
        self._utterances: deque[tuple[str, float | None, bool]] = deque()
        self._finished = 0
        self._known_at = 0.0
        self._answered = 0
        self._queue: list[_Speech] = []
        self._playing: tuple[_Speech, float] | None = None  # and when its part is over
        self._silent = True
        self._paused = False
        self._play = 0
        self._deeds: dict[type, Callable[[Any], None]] = {
            f.StartTimer: lambda action: self._timers.__setitem__(action.timer, action.when),
            f.StopTimer: lambda action: self._timers.__delitem__(action.timer),
            f.FinishUtterance: self._finish_utterance,
            f.Commit: self._commit,
            f.Say: self._say_phrase,
            f.TellNews: self._answer,
            f.Respond: self._answer,
            f.SayGoodbye: self._say_goodbye,
            f.Pause: self._pause,
            f.Resume: self._resume,
            f.Interrupt: self._stop,
            f.CancelReply: self._stop,
            f.HangUp: self._hang_up,
        }
        self.at(0.0).happens(f.Opened(0.0, self.greet))

    def at(self, when: float) -> Moment:
        """Say what happens then."""
        return Moment(self, when)

    def plan(self, when: float, deed: Callable[[], None]) -> None:
        """Do this then."""
        self._count += 1
        heapq.heappush(self._agenda, (when, self._count, deed))

    def run(self, until: float = 60.0) -> Script:
        """Let time pass."""
        while True:
            timer = min(self._timers, key=lambda name: self._timers[name], default=None)
            timer_at = NEVER if timer is None else self._timers[timer]
            agenda_at = self._agenda[0][0] if self._agenda else NEVER
            if min(timer_at, agenda_at) > until:
                self.now = until
                return self
            if agenda_at <= timer_at:
                when, _, deed = heapq.heappop(self._agenda)
                self.now = max(self.now, when)
                deed()
            else:
                assert timer is not None
                del self._timers[timer]
                self.now = max(self.now, timer_at)
                self.tell(f.Timeout(self.now, timer, self._voiced))  # type: ignore[arg-type]

    # What was decided.

    @property
    def phase(self) -> Phase:
        return self.floor.phase

    def acts(self, *kinds: type) -> list[Action]:
        """What was to be done, of these kinds; of all but timers, if none are named."""
        return [action for _, action in self.timed(*kinds)]

    def timed(self, *kinds: type) -> list[tuple[float, Action]]:
        """The same with times."""
        skipped = () if kinds else (f.StartTimer, f.StopTimer)
        return [
            (round(step.at, 3), action)
            for step in self.steps
            for action in step.actions
            if (not kinds or isinstance(action, kinds)) and not isinstance(action, skipped)
        ]

    def when(self, kind: type, index: int = 0) -> float:
        """When this was decided."""
        return self.timed(kind)[index][0]

    def only(self, kind: type[A]) -> A:
        """The one action of this kind."""
        (action,) = self.acts(kind)
        assert isinstance(action, kind)
        return action

    def commits(self) -> list[str]:
        """The turns that were to be answered."""
        return [action.text for action in self.acts(f.Commit) if isinstance(action, f.Commit)]

    def story(self) -> str:
        """The names of what was done, without timers and the recogniser's."""
        skipped = (f.StartTimer, f.StopTimer, f.FinishUtterance, f.Speculate, f.DropSpeculation)
        return " ".join(
            type(action).__name__ for step in self.steps for action in step.actions if not isinstance(action, skipped)
        )

    def phases(self) -> str:
        """The phases in order, without repetition."""
        names = [step.phase.value for step in self.steps]
        return " ".join(name for index, name in enumerate(names) if index == 0 or names[index - 1] != name)

    # The floor and the deeds.

    def tell(self, event: Event) -> None:
        """An event, and what comes of it; events that this causes wait their turn."""
        self._inbox.append(event)
        if self._busy:
            return
        self._busy = True
        while self._inbox:
            self._step(self._inbox.popleft())
        self._busy = False

    def _step(self, event: Event) -> None:
        row = row_for(self.floor, event)
        if row is not None:
            TAKEN.add(TABLE.index(row))
        actions = self.floor.on(event)
        self.steps.append(Step(self.now, event, self.floor.phase, actions, row))
        self.referee.watch(event, actions)
        for action in actions:
            deed = self._deeds.get(type(action))
            if deed is not None:
                deed(action)

    def _finish_utterance(self, _action: Action) -> None:
        number, self._finished = self._finished, self._finished + 1
        text, after, failed = self._utterances.popleft() if self._utterances else ("", self.hears_after, False)
        if after is not None:
            self._known_at = max(self._known_at, self.now + after)  # recognisers keep the order
            self.plan(
                self._known_at,
                lambda: self.tell(f.Heard(self.now, "" if failed else text, True, number, failed)),
            )

    def _commit(self, action: f.Commit) -> None:
        if action.answer:
            self._answer(action)

    def _answer(self, _action: Action) -> None:
        answer = self.answers[min(self._answered, len(self.answers) - 1)]
        self._answered += 1
        self._say("reply", answer)

    def _say_phrase(self, action: Any) -> None:
        self._say(action.kind, self.phrases.get(action.kind, Answer(0.1, 1.0, text=f"({action.kind})")))

    def _say_goodbye(self, _action: Action) -> None:
        self._say("goodbye", self.phrases.get("goodbye", Answer(0.1, 1.0, text="Goodbye.")))

    def _say(self, kind: SpeechKind, answer: Answer) -> None:
        begins = self.now + answer.after
        parts = [(begins, answer.seconds)]
        if answer.rest is not None:
            stall, seconds = answer.rest
            parts.append((begins + answer.seconds + stall, seconds))
        speech = _Speech(kind, answer.text, deque(parts))
        self._queue.insert(0 if kind == "filler" else len(self._queue), speech)
        for ready, _ in parts:
            if ready < NEVER:
                self.plan(ready, self._pump)
        if answer.fails is not None:
            self.plan(self.now + answer.fails, lambda: self._fail(speech))

    def _fail(self, speech: _Speech) -> None:
        if speech not in self._queue:
            return
        while speech.parts and not (speech.started and len(speech.parts) == 1 and speech.parts[0][0] <= self.now):
            speech.parts.pop()
        if not speech.parts:
            self._queue.remove(speech)
        self.tell(f.ReplyFailed(self.now))
        if self._silent and not self._paused:
            self.tell(f.SpeechFinished(self.now, bool(self._queue)))

    def _pump(self) -> None:
        """Sound what is due, unless something sounds."""
        if self._paused or self._playing is not None:
            return
        due = (speech for speech in self._queue if speech.parts and speech.parts[0][0] <= self.now)
        speech = next(due, None)
        if speech is not None:
            self._sound(speech)

    def _sound(self, speech: _Speech) -> None:
        over = self.now + speech.parts[0][1]
        self._playing = (speech, over)
        self._play += 1
        play = self._play
        self.plan(over, lambda: self._part_over(speech, play))
        if self._silent or not speech.started:
            self._silent, speech.started = False, True
            self.tell(f.SpeechStarted(self.now, speech.kind))

    def _part_over(self, speech: _Speech, play: int) -> None:
        if play != self._play or self._playing is None:
            return  # it was held or stopped
        self._playing = None
        speech.parts.popleft()
        if not speech.parts:
            self._queue.remove(speech)
        self._pump()
        if self._playing is None:
            self._silent = True
            self.tell(f.SpeechFinished(self.now, bool(self._queue), speech.text))

    def _pause(self, _action: Action) -> None:
        self._paused = True
        if self._playing is not None:
            speech, over = self._playing
            speech.parts[0] = (self.now, over - self.now)
            self._playing = None

    def _resume(self, _action: Action) -> None:
        self._paused = False
        self._pump()

    def _stop(self, _action: Action) -> None:
        self._queue.clear()
        self._playing = None
        self._paused = False
        self._silent = True

    def _hang_up(self, action: Action) -> None:
        self._stop(action)
        self._timers.clear()

    # The caller's sound.

    def sound(self, when: float, until: float, gap: tuple[float, float] | None) -> None:
        """The caller makes sound between these times, as the detector tells it."""
        start, stop = when + self.policy.start_s, until + self.policy.stop_s
        hearing = self._hearings
        for begin, end in ((when, until),) if gap is None else ((when, gap[0]), (gap[1], until)):
            self.plan(begin, lambda: self._set_voiced(True))
            self.plan(end, lambda: self._set_voiced(False))
        self.plan(start, lambda: self.tell(f.VoiceStarted(self.now, when)))
        self.plan(stop, lambda: self.tell(f.VoiceStopped(self.now, until)) if hearing == self._hearings else None)

    def _set_voiced(self, voiced: bool) -> None:
        self._voiced = voiced

    def expect(self, when: float, finals: Sequence[tuple[str, float | None, bool]]) -> None:
        """What the recogniser will say when it is asked from then on."""
        self.plan(when, lambda: self._utterances.extend(finals))

    def partial(self, when: float, text: str) -> None:
        """The recogniser's words so far, of what is spoken or was last."""
        self.plan(
            when, lambda: self.tell(f.Heard(self.now, text, False, self._finished - (not self.floor.caller_speaks)))
        )

    def clear(self) -> None:
        """The application throws away what was not committed; the detector forgets the sound that goes on."""
        self._hearings += 1
        self._voiced = False
        self.tell(f.InputCleared(self.now))

    def speak(self, answer: Answer) -> None:
        """The application has the agent say something."""
        self.tell(f.SpeakRequested(self.now))
        self._say("say", answer)


HOURS = "What time do you open?"
HANGS = Answer(after=NEVER)


def manners(**changes: Any) -> TurnPolicy:
    """The default manners with a round figure for the silence that ends an utterance: scripts count with it."""
    return TurnPolicy(**{"stop_s": 0.25, **changes})


def asked(policy: TurnPolicy | None = None, **options: Any) -> Script:
    """The caller asks from 1.0 to 2.0; the answer is heard from 2.7 on, for three seconds."""
    return Script(policy or manners(), **options).at(1.0).voice(until=2.0, words=HOURS)


@dataclass(frozen=True)
class Moment:
    """A time in a script, for saying what happens then."""

    script: Script
    when: float

    def voice(
        self,
        until: float,
        words: str | Sequence[str] = "",
        *,
        partials: dict[float, str] | None = None,
        final_after: float | None = -1.0,
        failed: bool = False,
        gap: tuple[float, float] | None = None,
    ) -> Script:
        """The caller makes sound.

        Args:
            until: When it is over.
            words: What the recogniser makes of it; several, if it will be asked several times.
            partials: Its words on the way, by time.
            final_after: Seconds until its final words; None: they never come.
            failed: It cannot say.
            gap: A silence in between, too short for the detector.
        """
        script = self.script
        after = script.hears_after if final_after == -1.0 else final_after
        texts = [words] if isinstance(words, str) else words
        script.expect(self.when, [(text, after, failed) for text in texts])
        script.sound(self.when, until, gap)
        for when, text in (partials or {}).items():
            script.partial(when, text)
        return script

    def happens(self, event: Event) -> Script:
        """An event, as it is."""
        self.script.plan(self.when, lambda: self.script.tell(event))
        return self.script

    def score(self, probability: float) -> Script:
        """The end-of-turn model's opinion."""
        return self.happens(f.TurnScored(self.when, probability))

    def key(self, *, interrupts: bool = True) -> Script:
        """The caller presses a key."""
        return self.happens(f.KeyPressed(self.when, interrupts, 1.5))

    def types(self, count: int, *, over: float = 0.9, interrupts: bool = True) -> Script:
        """The caller types a number of so many keys, and the sharp sign behind it."""
        for place in range(count):
            Moment(self.script, self.when + place * over / count).key(interrupts=interrupts)
        whole = f.KeysTyped(self.when + over, f.KEY_MARK * count, self.when + over, interrupts)
        return Moment(self.script, self.when + over).happens(whole)

    def end(self, reason: EndReason = "agent_hangup", *, goodbye: bool = False) -> Script:
        """The call is to end."""
        return self.happens(f.EndRequested(self.when, reason, goodbye))

    def line_lost(self) -> Script:
        """The caller hangs up."""
        return self.happens(f.LineLost(self.when))

    def commit(self, words: str | None = None) -> Script:
        """The application ends the turn; ``words`` are what the recogniser makes of its sound."""
        if words is not None:
            self.script.expect(self.when, [(words, self.script.hears_after, False)])
        return self.happens(f.CommitRequested(self.when))

    def ask(self) -> Script:
        """The application asks for an answer."""
        return self.happens(f.ReplyRequested(self.when))

    def cancel(self) -> Script:
        """The application wants silence."""
        return self.happens(f.CancelRequested(self.when))

    def clear(self) -> Script:
        """The application throws away what was not committed."""
        self.script.plan(self.when, self.script.clear)
        return self.script

    def speak(self, answer: Answer | None = None) -> Script:
        """The application has the agent say something."""
        self.script.plan(self.when, lambda: self.script.speak(answer or Answer(0.1, 2.0, text="By the way.")))
        return self.script


TAKEN: set[int] = set()
"""The rows of the table that the scripts of this process have taken; a test asks for them all."""


def row_for(floor: TurnTaking, event: Event) -> Row | None:
    """The row that an event will take."""
    if isinstance(event, f.Timeout) and event.timer not in floor.timers:
        return None
    candidates = _ROWS.get((floor.phase, type(event)), [])
    return next((row for row in candidates if row.when is None or row.when(floor, event)), None)


_ROWS: dict[tuple[Phase, type], list[Row]] = {}
for _row in TABLE:
    _ROWS.setdefault((_row.phase, _row.event), []).append(_row)


class Referee:
    """Watches the decisions of a floor, whatever happens to it."""

    def __init__(self, floor: TurnTaking) -> None:
        self.floor = floor
        self.timers: set[str] = set()
        self.paused = False
        self.hung_up = False
        self.finished = 0
        self.tried = ""
        self.words_since_commit = False
        self._checks: dict[type, Callable[[Any], None]] = {
            f.StartTimer: self._start_timer,
            f.StopTimer: self._stop_timer,
            f.FinishUtterance: self._finish,
            f.Pause: self._pause,
            f.Resume: self._resume,
            f.Interrupt: self._stop,
            f.CancelReply: self._stop,
            f.Speculate: self._speculate,
            f.DropSpeculation: self._drop,
            f.Commit: self._commit,
            f.HangUp: self._hang_up,
        }

    def watch(self, event: Event, actions: list[Action]) -> None:
        """Check one step."""
        assert not (self.hung_up and actions), "something was done after the end"
        if isinstance(event, f.Timeout):
            self.timers.discard(event.timer)
        if isinstance(event, f.Heard):
            self.words_since_commit = True
        for action in actions:
            assert not self.hung_up, "something was to be done behind the end"
            check = self._checks.get(type(action))
            if check is not None:
                check(action)
        self._standing()

    def _start_timer(self, action: f.StartTimer) -> None:
        self.timers.add(action.timer)

    def _stop_timer(self, action: f.StopTimer) -> None:
        assert action.timer in self.timers, f"{action.timer} was stopped, but did not run"
        self.timers.remove(action.timer)

    def _finish(self, _action: f.FinishUtterance) -> None:
        self.finished += 1

    def _pause(self, _action: f.Pause) -> None:
        assert not self.paused, "paused twice"
        self.paused = True

    def _resume(self, _action: f.Resume) -> None:
        assert self.paused, "resumed what was not paused"
        self.paused = False

    def _stop(self, _action: f.Interrupt | f.CancelReply) -> None:
        self.paused = False

    def _speculate(self, action: f.Speculate) -> None:
        assert action.fresh, "an answer to nothing new was tried"
        assert action.text.endswith(action.fresh)
        assert action.text != self.tried, "the same answer was tried twice"
        assert self.words_since_commit, "an answer was tried again without new words"
        self.tried = action.text

    def _drop(self, _action: f.DropSpeculation) -> None:
        assert self.tried, "nothing had been tried"
        self.tried = ""

    def _commit(self, action: f.Commit) -> None:
        assert action.text.strip(), "there is nothing to answer"
        assert action.text.endswith(action.fresh)
        assert action.trigger in ("max_duration", "client") or not self.floor.caller_speaks, "the caller was cut"
        after = {Phase.THINKING} if action.answer else {Phase.IDLE, Phase.HEARING, Phase.THINKING, Phase.ENDING}
        assert self.floor.phase in after
        self.tried = ""
        self.words_since_commit = False

    def _hang_up(self, _action: f.HangUp) -> None:
        self.hung_up = True

    def _standing(self) -> None:
        """What must hold between two steps: above all that something leads out of where we are."""
        floor, timers = self.floor, self.timers
        assert timers == floor.timers
        assert self.finished == floor.finished
        assert self.hung_up == (floor.phase is Phase.ENDED)
        if self.hung_up:
            return
        assert self.paused == (floor.phase is Phase.HELD)
        outstanding = floor.settled < floor.finished
        speaks = floor.caller_speaks
        leads_out = {
            Phase.OPENING: not timers,
            Phase.IDLE: not speaks and not outstanding and ("idle" in timers or floor.policy.idle_s == 0),
            Phase.HEARING: speaks and "turn_limit" in timers,
            Phase.PAUSING: ("final" in timers or (not outstanding and "endpoint" in timers))
            and ("turn_limit" in timers or floor.forced is not None),
            Phase.THINKING: "dead_air" in timers,
            Phase.SPEAKING: not speaks and (not outstanding or "final" in timers),
            Phase.OVERLAP: speaks,
            Phase.HELD: ("verify" if speaks else "final") in timers,
            Phase.ENDING: "ending" in timers,
        }[floor.phase]
        assert leads_out, f"stuck in {floor.phase}: speaks {speaks}, outstanding {outstanding}, timers {timers}"
        assert floor.ending is None or "ending" in timers
