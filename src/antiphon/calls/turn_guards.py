"""What is known about the floor, and the questions about it that tell cases apart.

Nothing here changes the ``Floor``: that is done by the effects in ``turn_rules``, and the table in ``turn_taking``
says which apply when.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from antiphon.calls.endpointing import is_backchannel, is_command, words_of
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.expected import Expected
from antiphon.calls.floor import (
    KEY_MARK,
    Action,
    EndRequested,
    Heard,
    KeyPressed,
    KeysTyped,
    Opened,
    Phase,
    SpeechFinished,
    StartTimer,
    StopTimer,
    Timeout,
    TimerName,
    Trigger,
    VoiceStarted,
)
from antiphon.calls.phrases import is_one_of
from antiphon.calls.policy import TurnPolicy

_EARLY_ANSWER_S = 1.0
"""A "yes" this shortly before the end of a question answers it."""
_GUESSED_WORDS = 2
"""A first guess at a short sound holds no more words than this."""
_WHOLE: frozenset[SpeechKind] = frozenset({"tones", "announcement"})
"""What is heard to its end: keys that were cut would be others."""
_SLACK_S = 0.001
"""Detectors add up windows; a sum of floats may fall short of the time that it stands for."""


class Floor:
    """What is known about the floor of one call, for guards and effects.

    Attributes:
        phase: Where the conversation stands.
        policy: The manners.
        caller_speaks: Whether the caller makes sound now.
        speech_at: When the caller's latest sound began.
        silence_at: When the caller's last voiced sound was over.
        final_at: When the last final words came; None before that.
        said: The words of the turn that is not committed yet.
        timers: What was asked for and has not run out.
        ending: Why the call is to end, once it is.
    """

    def __init__(self, policy: TurnPolicy) -> None:
        self.policy = policy
        self.phase = Phase.OPENING
        self.caller_speaks = False
        self.said: list[str] = []
        self.actions: list[Action] = []
        self.timers: set[TimerName] = set()
        self.finished = 0  # utterances below this have been asked for; this one is being spoken, or is the next
        self.ended = 0  # utterances below this have been ended by the application
        self.settled = 0  # utterances below this have their final words
        self.partials: dict[int, str] = {}  # the words so far of the others
        self.committed = ""  # words of a turn whose answer has not been heard yet
        self.speech_at = self.silence_at = 0.0
        self.final_at: float | None = None
        self.lost_words = False  # the recogniser failed on a part of this turn
        self.forced: Trigger | None = None
        self.overrun = False  # the caller still makes the sound during which the turn was ended for its length
        self.probability: float | None = None
        self.speculated: str | None = None
        self.speech: SpeechKind = "reply"
        self.speech_began = 0.0
        self.sounding = False  # something of the agent was being heard when it was held
        self.aside = ""  # what the caller last said over this speech without taking the floor
        self.patience = 1.0
        self.keys_until = 0.0  # a number that is being typed will be whole by then
        self.expected: Expected | None = None  # what the agent's last words asked for
        self.told_expected: Expected | None = None  # what a tool has said that is asked for
        self.lost_turns = 0  # turns in a row that got an apology for an answer
        self.strikes = 0  # fillers and apologies in this silence
        self.reminders = 0
        self.idle_at = 0.0  # when the caller will have been silent for long; loudness alone does not put it off
        self.ending: EndReason | None = None
        self.reply_owed = False  # the application has asked for an answer that cannot begin yet
        self.turns_kept = False  # turns that were kept beside an answer wait for theirs
        self.detects = True  # the detector finds pauses; else only the application ends turns

    @property
    def text(self) -> str:
        """All final words of the turn so far, with those of the last turn if its answer was not heard."""
        return join([self.committed, *self.said])

    @property
    def is_quiet(self) -> bool:
        """Whether nothing that the caller says, or has said, waits to be a turn."""
        return not self.caller_speaks and not self.said and self.settled >= self.finished

    @property
    def partial(self) -> str:
        """The words that may still change."""
        return join(list(self.partials.values()))

    def act(self, action: Action) -> None:
        """Add an action to what this event leads to."""
        self.actions.append(action)

    def start(self, timer: TimerName, when: float) -> None:
        """Ask for a timeout."""
        self.timers.add(timer)
        self.actions.append(StartTimer(timer, when))

    def stop(self, *timers: TimerName) -> None:
        """Forget timers, as far as they run."""
        for timer in timers:
            if timer in self.timers:
                self.timers.remove(timer)
                self.actions.append(StopTimer(timer))


def join(parts: list[str]) -> str:
    """Words in one line; empty parts leave no gap."""
    return " ".join(part for part in parts if part)


# Guards.


def all_heard(floor: Floor, _event: Any) -> bool:
    """No final words are outstanding."""
    return floor.settled >= floor.finished


def stale(floor: Floor, event: Heard) -> bool:
    """Words that came after their time-out, or of an utterance that has not begun."""
    return not floor.settled <= event.utterance <= floor.finished


def caller_speaking(floor: Floor, _event: Any) -> bool:
    """The caller makes sound."""
    return floor.caller_speaks


def ended_by_client(floor: Floor, _event: Any) -> bool:
    """The application has ended the turn, and its words are still to come."""
    return floor.settled < floor.ended


def pause_was_found(floor: Floor, _event: Any) -> bool:
    """The detector has found the end of what was said: its words are asked for already."""
    return floor.detects and floor.forced is None and not floor.caller_speaks


def owes_reply(floor: Floor, _event: Any) -> bool:
    """The application waits for an answer, or turns that were kept do."""
    return floor.reply_owed or floor.turns_kept


def keeps_turns(floor: Floor, _event: Any) -> bool:
    """Words beside an answer are a turn."""
    return floor.policy.keeps_turns


def final_due_for_kept(floor: Floor, event: Timeout) -> bool:
    """The recogniser owes words that are a turn beside an answer."""
    return event.timer == "final" and floor.policy.keeps_turns


def yields(floor: Floor, event: VoiceStarted) -> bool:
    """The first sound of the caller takes the floor."""
    return floor.policy.yields_at_once and interruptible(floor, event)


def sounds(floor: Floor) -> bool:
    """Whether the agent is being heard, or was when it was held."""
    return floor.sounding if floor.phase is Phase.HELD else floor.phase in {Phase.SPEAKING, Phase.OVERLAP}


def interruptible(floor: Floor, event: Any) -> bool:
    """Whether the caller may take the floor from the agent now."""
    policy = floor.policy
    if floor.ending is not None or floor.overrun:
        return False
    if floor.speech == "greeting" and not policy.greeting_interruptible:
        return False
    if floor.speech in _WHOLE and sounds(floor):
        return False
    if not sounds(floor) and floor.committed and not policy.keeps_turns:
        return True  # nothing of the answer was heard: the caller only goes on
    if policy.interruption == "off":
        return False
    if floor.speech == "greeting" and sounds(floor):
        late_words = type(event) is Heard and not floor.caller_speaks  # they come some time after their sound
        spoke_until = floor.silence_at if late_words else event.at
        return bool(spoke_until >= floor.speech_began + policy.greeting_deaf_s)
    return True


def keys_take_floor(floor: Floor, event: KeyPressed | KeysTyped) -> bool:
    """Whether the keypad takes the floor from the agent now."""
    if floor.ending is not None or (floor.speech == "greeting" and not floor.policy.greeting_interruptible):
        return False
    if floor.speech == "announcement" and sounds(floor):
        return False
    return event.interrupts or (not sounds(floor) and bool(floor.committed))


def keys_interrupt(floor: Floor, event: KeyPressed) -> bool:
    """Whether a key stops what is being heard."""
    return event.interrupts and keys_take_floor(floor, event)


def was_typed(floor: Floor) -> bool:
    """The turn holds a number that was typed whole."""
    return any(words.startswith(KEY_MARK) for words in floor.said)


def says_goodbye(floor: Floor) -> bool:
    """All that the caller has said since the last turn is one of the words that end the call."""
    return floor.policy.answers and is_one_of(join(floor.said), floor.policy.stop_words)


def is_aside(floor: Floor, text: str) -> bool:
    """Whether words only show that someone listens. Who heard nothing of an answer yet has nothing to listen to."""
    unheard = floor.committed and floor.strikes == 0 and not sounds(floor)
    return not unheard and is_backchannel(text, floor.policy.backchannels)


def is_echo(floor: Floor) -> bool:
    """Whether what was heard last lies in the first moment of the greeting."""
    return (
        floor.speech == "greeting"
        and sounds(floor)
        and floor.speech_began <= floor.speech_at
        and floor.silence_at < floor.speech_began + floor.policy.greeting_deaf_s
    )


def takes_floor(floor: Floor, event: Heard) -> bool:
    """Whether these words take the floor from the agent."""
    policy = floor.policy
    if not interruptible(floor, event) or is_aside(floor, event.text):
        return False
    if is_command(event.text, policy.commands):
        return True
    return len(words_of(event.text)) >= (max(1, policy.min_words) if sounds(floor) else 1)


def takes_floor_at_once(floor: Floor, event: Heard) -> bool:
    """Whether these words take the floor while the agent sounds.

    A recogniser's first guess at a short sound is often something else: "hi" or "if I" for "uh-huh". So short a guess,
    which may still change and is no command, waits until the sound has lasted as long as an interruption must.
    """
    return takes_floor(floor, event) and not is_first_guess(floor, event)


def is_first_guess(floor: Floor, event: Heard) -> bool:
    """Whether this is a word or two that may still change, of a sound that has only just begun."""
    policy = floor.policy
    return (
        not event.final
        and policy.interruption == "vad"
        and len(words_of(event.text)) <= _GUESSED_WORDS
        and not is_command(event.text, policy.commands)
        and event.at < floor.speech_at + policy.min_interruption_s - _SLACK_S
    )


def is_timer(name: TimerName) -> Callable[[Floor, Timeout], bool]:
    """Guard: this timer has run out."""
    return lambda _floor, event: event.timer == name


def final(_floor: Floor, event: Heard) -> bool:
    """These words stay."""
    return event.final


def final_taking_floor(floor: Floor, event: Heard) -> bool:
    """Final words that take the floor."""
    return event.final and takes_floor(floor, event)


def last_words(floor: Floor, event: Heard) -> bool:
    """The caller is silent, and with these words all is known."""
    return event.final and not floor.caller_speaks and event.utterance + 1 >= floor.finished


def final_due_in_silence(floor: Floor, event: Timeout) -> bool:
    """The recogniser owes words, and the caller is silent."""
    return event.timer == "final" and not floor.caller_speaks


def forced(floor: Floor, _event: Any) -> bool:
    """The turn was ended for its length."""
    return floor.forced is not None


def ending(floor: Floor, _event: Any) -> bool:
    """The call is to end."""
    return floor.ending is not None


def more(_floor: Floor, event: SpeechFinished) -> bool:
    """The agent's reply is not complete."""
    return event.more


def more_and_interruptible(floor: Floor, event: SpeechFinished) -> bool:
    """The agent's reply is not complete, and the caller may take the floor meanwhile."""
    return event.more and interruptible(floor, event)


def words_left(floor: Floor, event: Any) -> bool:
    """Words that did not interrupt wait for an answer, or may still come."""
    return bool(floor.said) or not all_heard(floor, event)


def answered_early(floor: Floor, event: SpeechFinished) -> bool:
    """The agent's question ends just behind a "yes" that was taken for a listener's."""
    asked = event.text.rstrip().endswith("?")
    return asked and bool(floor.aside) and event.at <= floor.silence_at + _EARLY_ANSWER_S


def greets(_floor: Floor, event: Opened) -> bool:
    """The agent speaks first."""
    return event.greet


def with_goodbye(_floor: Floor, event: EndRequested) -> bool:
    """Words are to be said at the end."""
    return event.goodbye


def verify_by_sound(floor: Floor, event: Timeout) -> bool:
    """Long sound over a held reply takes the floor, unless its words so far say otherwise."""
    return (
        event.timer == "verify"
        and (floor.policy.interruption == "vad" or not floor.sounding)
        and not is_aside(floor, floor.partial)
    )


def fillers_left(floor: Floor, event: Timeout) -> bool:
    """Silence in the agent's turn, for which there is a filler."""
    return event.timer == "dead_air" and floor.strikes < floor.policy.dead_air_fillers


def apology_left(floor: Floor, _event: Any) -> bool:
    """The agent may still apologise in this silence."""
    return floor.ending is None and floor.strikes <= floor.policy.dead_air_fillers


def gives_up(floor: Floor, event: Any) -> bool:
    """Another apology would be one too many."""
    return apology_left(floor, event) and floor.lost_turns >= floor.policy.max_lost_turns - 1


def due_end(floor: Floor, event: Timeout) -> bool:
    """Silence in the agent's turn once more, after turns that were lost already."""
    return event.timer == "dead_air" and gives_up(floor, event)


def due_apology(floor: Floor, event: Timeout) -> bool:
    """Silence in the agent's turn, and fillers do not help any more."""
    return event.timer == "dead_air" and apology_left(floor, event)


def dead_end(floor: Floor, event: Timeout) -> bool:
    """Silence where the call was to end anyway."""
    return event.timer == "dead_air" and floor.ending is not None


def reminders_left(floor: Floor, event: Timeout) -> bool:
    """Nobody speaks, and the caller may be reminded."""
    return event.timer == "idle" and floor.reminders < floor.policy.idle_reminders


def long_enough(floor: Floor, event: VoiceStarted) -> bool:
    """The detector's own start window already was as long as an interruption must be."""
    return (
        floor.policy.interruption == "vad"
        and interruptible(floor, event)
        and event.at >= event.speech_at + floor.policy.min_interruption_s - _SLACK_S
    )


def due_interrupt(floor: Floor, event: Timeout) -> bool:
    """The caller has spoken over the agent long enough."""
    return event.timer == "interrupt" and event.voiced and interruptible(floor, event)


def due_in_a_gap(name: TimerName) -> Callable[[Floor, Timeout], bool]:
    """The sound that this timer measures has just stopped, perhaps for good: a short "uh-huh" must not count."""
    return lambda floor, event: event.timer == name and not event.voiced and interruptible(floor, event)
