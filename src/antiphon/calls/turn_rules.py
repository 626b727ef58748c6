"""The effects of turn-taking: what each step changes in the ``Floor``, and what is to be done for it.

The guards are in ``turn_guards``; the table in ``turn_taking`` says which effects apply when, and in which order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from antiphon.calls.endpointing import judge
from antiphon.calls.events import EndReason
from antiphon.calls.expected import Completeness, Expected, asks_for
from antiphon.calls.floor import (
    AgentHasNews,
    CancelReply,
    Commit,
    DropSpeculation,
    EndRequested,
    FinishUtterance,
    HangUp,
    Heard,
    InputExpected,
    Interrupt,
    KeepTurn,
    KeyPressed,
    KeysTyped,
    LineLost,
    NoteIdle,
    NoteOverlap,
    Opened,
    Pause,
    Phase,
    Respond,
    Resume,
    Say,
    SayGoodbye,
    Speculate,
    SpeechFinished,
    SpeechStarted,
    TellNews,
    Timeout,
    Trigger,
    TurnScored,
    VoiceStarted,
    VoiceStopped,
)
from antiphon.calls.turn_guards import (
    Floor,
    all_heard,
    is_aside,
    is_echo,
    join,
    owes_reply,
    says_goodbye,
    was_typed,
)

_WATCHDOG_SHARE = 0.75
"""Part of ``max_dead_air_s`` after which the watchdog acts; the rest is for making the filler's sound."""
_LOOK_AGAIN_S = 0.06
_SLACK_S = 0.1
"""How much later than it should be a number that was typed may come."""


# The caller.


def voice(floor: Floor, event: VoiceStarted) -> None:
    """The caller makes sound."""
    floor.caller_speaks = True
    floor.speech_at = event.speech_at


def silence(floor: Floor, event: VoiceStopped) -> None:
    """The caller is silent."""
    floor.caller_speaks = floor.overrun = False
    floor.silence_at = event.silence_at


def bound_turn(floor: Floor, event: Any) -> None:
    """The caller has the floor, but not for ever."""
    floor.forced = None
    floor.overrun = False
    floor.start("turn_limit", event.at + floor.policy.max_turn_s)


def open_turn(floor: Floor, event: Any) -> None:
    """The caller has the floor: nothing of the agent is owed or heard."""
    floor.stop("idle")
    bound_turn(floor, event)


def finish(floor: Floor, event: Any) -> None:
    """Ask for the final words of what was just said."""
    floor.finished += 1
    floor.probability = None
    floor.act(FinishUtterance())
    floor.start("final", event.at + floor.policy.final_timeout_s)


def note_words(floor: Floor, event: Heard) -> None:
    """Keep words of the caller."""
    if not event.final:
        floor.partials[event.utterance] = event.text
        return
    settle(floor, event.utterance)  # what came before gets no final words any more
    partial = floor.partials.pop(event.utterance, "")
    text = event.text or (partial if event.failed else "")
    floor.lost_words |= event.failed and not text
    if text:
        floor.said.append(text)
    floor.settled = event.utterance + 1
    floor.final_at = event.at
    if all_heard(floor, event):
        floor.stop("final")


def expect(floor: Floor, event: InputExpected) -> None:
    """A tool knows better than the agent's words what the caller is asked for, in the next turn."""
    floor.told_expected = Expected(event.what, event.digits)


def note_keys(floor: Floor, event: KeysTyped) -> None:
    """Keep what the caller typed."""
    floor.said.append(event.text)
    floor.keys_until = 0.0
    if not floor.caller_speaks:
        floor.silence_at = max(floor.silence_at, event.key_at)


def await_keys(floor: Floor, event: KeyPressed) -> None:
    """The caller types behind what was said: the number belongs to the turn."""
    note_life(floor, event)
    floor.keys_until = event.at + event.more_s + _SLACK_S


def settle(floor: Floor, below: int) -> None:
    """Utterances below this get no final words: go by the last partial ones."""
    for utterance in range(floor.settled, below):
        words = floor.partials.pop(utterance, "")
        if words:
            floor.said.append(words)
        else:
            floor.lost_words = True
    floor.settled = max(floor.settled, below)


def give_up_finals(floor: Floor, _event: Timeout) -> None:
    """The recogniser did not answer in time."""
    settle(floor, floor.finished)


def score(floor: Floor, event: TurnScored) -> None:
    """Keep the end-of-turn model's opinion."""
    floor.probability = event.probability


def drop_speculation(floor: Floor, _event: Any) -> None:
    """The turn is not over after all."""
    if floor.speculated is not None:
        floor.speculated = None
        floor.act(DropSpeculation())


def go_on_listening(floor: Floor, event: VoiceStarted) -> None:
    """The caller speaks on inside the turn."""
    drop_speculation(floor, event)
    floor.stop("endpoint")


# The end of a turn.


def weigh(floor: Floor, event: Any) -> None:
    """Words are known and the caller is silent: decide when the turn is over, and try an answer meanwhile."""
    text = floor.text
    opinion = judge(text, expected=floor.told_expected or floor.expected)
    due = max(floor.silence_at + delay(floor, opinion) * floor.patience, floor.keys_until)
    if floor.forced or was_typed(floor) or event.at >= due:
        commit(floor, event)
        return
    floor.start("endpoint", due)
    if floor.policy.speculate and opinion != "incomplete" and text != floor.speculated and not says_goodbye(floor):
        floor.speculated = text
        floor.act(Speculate(text, join(floor.said)))


def delay(floor: Floor, opinion: Completeness) -> float:
    """Silence that ends the turn: by the words, corrected by the model where the words leave it open."""
    policy = floor.policy
    if floor.probability is not None and opinion != "incomplete":
        if floor.probability >= policy.complete_threshold:
            opinion = "complete"
        elif floor.probability <= policy.incomplete_threshold:
            opinion = "uncertain" if opinion == "complete" else "incomplete"
    return {
        "complete": policy.complete_delay_s,
        "uncertain": policy.uncertain_delay_s,
        "incomplete": policy.incomplete_delay_s,
    }[opinion]


def weigh_known(floor: Floor, event: Any) -> None:
    """Weigh the words, if all are known."""
    if all_heard(floor, event) and floor.said:
        weigh(floor, event)


def after_final(floor: Floor, event: Any) -> None:
    """All words of the pause may be known now: weigh them, or find that it was noise."""
    if not all_heard(floor, event):
        return
    if floor.said:
        weigh(floor, event)
    elif floor.committed:
        # The caller took the floor back but said nothing after all: answer the turn as it was.
        commit(floor, event)
    elif floor.caller_speaks:
        # So much sound, and not a word.
        floor.phase = Phase.HEARING
        bound_turn(floor, event)
    elif floor.lost_words and floor.policy.answers and not owes_reply(floor, event):
        floor.lost_words = False
        floor.phase = Phase.THINKING
        floor.stop("turn_limit")
        apologise(floor, event)
    else:
        no_turn(floor, event)


def no_turn(floor: Floor, event: Any) -> None:
    """There is nothing to answer; what the application has asked for meanwhile begins."""
    floor.forced = None
    floor.lost_words = False
    floor.stop("endpoint", "final", "turn_limit")
    floor.phase = Phase.IDLE
    if floor.policy.idle_s > 0:
        floor.start("idle", max(event.at, floor.idle_at))
    if owes_reply(floor, event):
        respond(floor, event)


def force(floor: Floor, event: Timeout) -> None:
    """The turn is too long: answer what there is."""
    floor.forced = "max_duration"
    if floor.caller_speaks:
        floor.silence_at = event.at


def commit(floor: Floor, event: Any) -> None:
    """The turn is over: have it answered."""
    text, fresh = floor.text, join(floor.said)
    by_ear: Trigger = "model" if floor.probability is not None else "silence"
    trigger = floor.forced or ("dtmf" if was_typed(floor) else by_ear)
    leaves = says_goodbye(floor)
    answer = not leaves and (floor.policy.answers or owes_reply(floor, event))
    floor.stop("endpoint", "final", "turn_limit")
    floor.act(Commit(text, fresh, trigger, floor.probability, answer))
    floor.said = []
    floor.reminders = 0
    floor.lost_words = floor.reply_owed = floor.turns_kept = False
    floor.forced = floor.told_expected = None
    floor.overrun = floor.caller_speaks
    floor.speculated = None
    if not answer:
        floor.committed = ""
        if leaves:
            floor.phase = Phase.ENDING
            end_with("agent_hangup")(floor, event)
        else:
            leave_floor(floor, event)
        return
    floor.phase = Phase.THINKING
    floor.committed = text
    floor.speech = "reply"
    floor.aside = ""
    floor.patience = max(1.0, floor.patience * 0.8)
    watch(floor, event, since=floor.silence_at)


def leave_floor(floor: Floor, event: Any) -> None:
    """Nobody answers: the caller may go on, or does already."""
    if floor.caller_speaks:
        floor.phase = Phase.HEARING
        bound_turn(floor, event)
    else:
        floor.phase = Phase.IDLE
        await_caller(floor, event)


# The agent's turn.


def watch(floor: Floor, event: Any, *, since: float | None = None) -> None:
    """It is the agent's turn, silent since then: do not let it stay so."""
    share = floor.policy.max_dead_air_s * _WATCHDOG_SHARE
    silent_since = event.at if since is None else since
    floor.start("dead_air", max(event.at + 0.25 * share, silent_since + share))


def owe_words(floor: Floor, event: Any) -> None:
    """The agent is to say something: it has the floor."""
    floor.stop("idle")
    floor.strikes = 0
    watch(floor, event)


def greet(floor: Floor, event: Opened) -> None:
    """The agent speaks first."""
    floor.speech = "greeting"
    floor.act(Say("greeting"))
    owe_words(floor, event)


def remind(floor: Floor, event: Timeout) -> None:
    """Ask the caller whether somebody is there."""
    floor.reminders += 1
    floor.act(NoteIdle(floor.reminders, False))
    floor.act(Say("reminder"))
    owe_words(floor, event)


def tell_news(floor: Floor, event: AgentHasNews) -> None:
    """The agent speaks unasked: nobody else does, and it has something to tell."""
    floor.speech = "reply"
    floor.act(TellNews())
    owe_words(floor, event)


def respond(floor: Floor, event: Any) -> None:
    """The agent answers because the application asks for it."""
    floor.phase = Phase.THINKING
    floor.reply_owed = floor.turns_kept = False
    floor.speech = "reply"
    floor.aside = ""
    floor.committed = ""
    floor.act(Respond())
    owe_words(floor, event)


def first_sound(floor: Floor, event: SpeechStarted) -> None:
    """The agent is heard."""
    floor.stop("dead_air", "idle")
    floor.speech = event.kind
    floor.speech_began = event.at
    floor.aside = ""
    if event.kind == "reply":
        floor.committed = ""
        floor.strikes = floor.lost_turns = 0


def said_all(floor: Floor, event: SpeechFinished) -> None:
    """The agent has spoken; the caller is expected."""
    note_life(floor, event)
    floor.committed = ""
    floor.strikes = 0
    floor.speech = "reply"
    floor.expected = asks_for(event.text)
    floor.stop("interrupt", "dead_air")


def stalled(floor: Floor, event: SpeechFinished) -> None:
    """The reply has more to come, but nothing to sound now."""
    floor.stop("interrupt")
    watch(floor, event)


def await_caller(floor: Floor, event: Any) -> None:
    """Nobody speaks: that shall not last for ever."""
    note_life(floor, event)
    if floor.policy.idle_s > 0:
        floor.start("idle", floor.idle_at)


def note_life(floor: Floor, event: Any) -> None:
    """Somebody is there: the silence that ends a call begins anew."""
    floor.idle_at = event.at + floor.policy.idle_s


def restart_idle(floor: Floor, event: Any) -> None:
    """A sign of life."""
    floor.reminders = 0
    await_caller(floor, event)


def note_exhausted(floor: Floor, _event: Any) -> None:
    """Tell that the reminders did not help."""
    floor.act(NoteIdle(floor.reminders, True))


def say_filler(floor: Floor, event: Any) -> None:
    """Fill the silence."""
    floor.strikes += 1
    floor.act(Say("filler"))
    watch(floor, event)


def say_sorry(floor: Floor, _event: Any) -> None:
    """The rest of a reply is lost: say so behind what was made of it. Once: an apology may be lost as well."""
    floor.strikes = floor.policy.dead_air_fillers + 1
    floor.lost_turns += 1
    floor.act(Say("apology"))


def apologise(floor: Floor, event: Any) -> None:
    """The reply is lost: say so in its place."""
    floor.committed = ""
    say_sorry(floor, event)
    watch(floor, event)


def drop_reply(floor: Floor, _event: Any) -> None:
    """Forget the reply; what was heard of it stays."""
    floor.act(CancelReply() if floor.committed else Interrupt())


# Both at once.


def arm_interrupt(floor: Floor, event: VoiceStarted) -> None:
    """Sound over the agent's speech: an interruption if it lasts."""
    if floor.policy.interruption != "vad":
        return
    when = event.speech_at + floor.policy.min_interruption_s
    if floor.speech == "greeting":
        when = max(when, floor.speech_began + floor.policy.greeting_deaf_s)
    floor.start("interrupt", when)


def look_again(floor: Floor, event: Timeout) -> None:
    """See whether the sound goes on, until the detector says that it is over."""
    floor.start(event.timer, event.at + _LOOK_AGAIN_S)


def stop_interrupt(floor: Floor, _event: Any) -> None:
    """The sound over the agent's speech is over."""
    floor.stop("interrupt")


def was_silent(floor: Floor, _event: Any) -> None:
    """Nothing of the agent was heard when it was held."""
    floor.sounding = False


def was_sounding(floor: Floor, _event: Any) -> None:
    """The agent was heard when it was held."""
    floor.sounding = True


def hold(floor: Floor, event: Any) -> None:
    """Stop sounding until it is clear what the caller wants."""
    floor.stop("interrupt", "dead_air")
    floor.act(Pause())
    floor.start("verify", event.at + floor.policy.false_interruption_s)


def stop_verify(floor: Floor, _event: Any) -> None:
    """The sound over the held speech is over."""
    floor.stop("verify")


def verify_again(floor: Floor, event: VoiceStarted) -> None:
    """The caller makes sound again while the agent holds its own."""
    floor.start("verify", event.at + floor.policy.false_interruption_s)


def resume(floor: Floor, event: Any) -> None:
    """It was no interruption: back to where the agent was."""
    floor.stop("verify")
    set_aside(floor, event)
    floor.act(Resume(floor.sounding))
    if floor.sounding:
        floor.phase = Phase.OVERLAP if floor.caller_speaks else Phase.SPEAKING
    else:
        floor.phase = Phase.THINKING
        watch(floor, event, since=floor.silence_at)


def set_aside(floor: Floor, _event: Any) -> None:
    """Words that did not take the floor: a listener's are noted, others wait until the agent has finished."""
    echo = is_echo(floor)
    gone = [words for words in floor.said if echo or is_aside(floor, words)]
    if gone:
        floor.aside = "" if echo else join(gone)
        floor.act(NoteOverlap(join(gone), False))
    floor.said = [words for words in floor.said if words not in gone]
    floor.lost_words = False


def keep_turn(floor: Floor, event: Any) -> None:
    """Words over an answer that goes on are a turn; one answer behind it is for all of these."""
    set_aside(floor, event)
    if floor.said and all_heard(floor, event):
        floor.act(KeepTurn(join(floor.said)))
        floor.said = []
        floor.turns_kept |= floor.policy.answers


def take_aside(floor: Floor, _event: Any) -> None:
    """It was an answer."""
    floor.said.append(floor.aside)
    floor.aside = ""


def take_floor(floor: Floor, event: Any) -> None:
    """The caller has the floor from here on."""
    floor.stop("verify", "interrupt", "dead_air")
    if floor.committed:
        # Nothing of the answer was heard: the caller's words go on with the same turn.
        floor.act(CancelReply())
        floor.patience = min(floor.policy.max_patience, floor.patience * 1.5)
    else:
        floor.act(NoteOverlap(join([*floor.said, floor.partial]), True))
        floor.act(Interrupt())
        floor.expected = None
    note_life(floor, event)
    floor.strikes = 0
    floor.speech = "reply"
    floor.sounding = False
    bound_turn(floor, event)


def listen_or_weigh(floor: Floor, event: Heard) -> None:
    """After the floor was taken by words: the caller speaks on, or has already paused."""
    if floor.caller_speaks:
        floor.phase = Phase.HEARING
        return
    floor.phase = Phase.PAUSING
    weigh_known(floor, event)


# The end of the call.


def end_with(reason: EndReason) -> Callable[[Floor, Any], None]:
    """The call ends for this reason, with a goodbye."""

    def end(floor: Floor, event: Any) -> None:
        floor.ending = reason
        floor.act(SayGoodbye(reason))
        floor.start("ending", event.at + floor.policy.ending_s)

    return end


def end_requested(floor: Floor, event: EndRequested) -> None:
    """End when what is being said has been said."""
    floor.ending = event.reason
    if event.goodbye:
        floor.act(SayGoodbye(event.reason))
    floor.start("ending", event.at + floor.policy.ending_s)


def hang_up(floor: Floor, _event: Any) -> None:
    """Everything is said."""
    floor.act(HangUp(floor.ending or "agent_hangup"))


def hang_up_now(floor: Floor, event: EndRequested | LineLost) -> None:
    """There is nobody to say anything to, or nothing to say."""
    floor.act(HangUp(event.reason))
