"""The floor: who may speak. A pure, table-driven state machine with no clock, no task and no I/O in it.

``TurnTaking.on(event)`` takes what happened and returns what is to be done. Every transition is a row of ``TABLE``;
the first row of a (phase, event) pair whose guard holds is taken, and an event without a row changes nothing. Time
comes in as ``event.at`` (call seconds); timers are actions that ask for an event later.

    idle ──voice──▶ hearing ──silence──▶ pausing ──end of turn──▶ thinking ──first sound──▶ speaking ──▶ idle
                       ▲  ◀──voice──────────┘                       │ voice                   │ voice
                       │                                            ▼                         ▼
                       └────────── the caller takes the floor ─── held ◀──long enough── overlap
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from antiphon.calls import turn_application as application
from antiphon.calls import turn_guards as guards
from antiphon.calls import turn_rules as rules
from antiphon.calls.floor import (
    Action,
    AgentHasNews,
    CancelRequested,
    CommitRequested,
    EndRequested,
    Event,
    Heard,
    InputCleared,
    InputExpected,
    KeyPressed,
    KeysTyped,
    LineLost,
    Opened,
    Phase,
    ReplyFailed,
    ReplyRequested,
    SpeakRequested,
    SpeechFinished,
    SpeechStarted,
    Timeout,
    TurnScored,
    VoiceStarted,
    VoiceStopped,
)
from antiphon.calls.turn_guards import Floor


@dataclass(frozen=True, slots=True)
class Row:
    """One transition.

    Attributes:
        phase: Where it applies.
        event: What happens.
        then: The phase that follows; None stays. An effect may decide otherwise.
        do: Effects, in order.
        when: Guard; None always holds.
    """

    phase: Phase
    event: type
    then: Phase | None
    do: tuple[Callable[[Floor, Any], None], ...]
    when: Callable[[Floor, Any], bool] | None = None


OPENING, IDLE, HEARING, PAUSING = Phase.OPENING, Phase.IDLE, Phase.HEARING, Phase.PAUSING
THINKING, SPEAKING, OVERLAP, HELD = Phase.THINKING, Phase.SPEAKING, Phase.OVERLAP, Phase.HELD
ENDING, ENDED = Phase.ENDING, Phase.ENDED

TAKE_FLOOR = (rules.note_words, rules.take_floor, rules.listen_or_weigh)
TAKE_FLOOR_BY_KEYS = (rules.note_keys, rules.take_floor, rules.listen_or_weigh)
ANSWER_KEPT = (rules.said_all, rules.bound_turn, rules.weigh_known)

TABLE: tuple[Row, ...] = (
    # The start.
    Row(OPENING, Opened, THINKING, (rules.greet,), when=guards.greets),
    Row(OPENING, Opened, THINKING, (rules.respond,), when=guards.owes_reply),
    Row(OPENING, Opened, IDLE, (rules.await_caller,)),
    # Words too late to count.
    *(
        Row(phase, Heard, None, (), when=guards.stale)
        for phase in (HEARING, PAUSING, THINKING, SPEAKING, OVERLAP, HELD)
    ),
    # Nobody speaks.
    Row(IDLE, VoiceStarted, HEARING, (rules.voice, rules.open_turn)),
    Row(IDLE, SpeakRequested, THINKING, (rules.owe_words,)),
    Row(IDLE, AgentHasNews, THINKING, (rules.tell_news,)),
    Row(IDLE, SpeechStarted, SPEAKING, (rules.first_sound,)),
    Row(IDLE, KeyPressed, None, (rules.restart_idle,)),
    Row(IDLE, Timeout, THINKING, (rules.remind,), when=guards.reminders_left),
    Row(IDLE, Timeout, ENDING, (rules.note_exhausted, rules.end_with("idle_timeout")), when=guards.is_timer("idle")),
    # The caller speaks.
    Row(HEARING, Heard, None, (rules.note_words,)),
    Row(HEARING, VoiceStopped, PAUSING, (rules.silence, rules.finish)),
    Row(HEARING, Timeout, PAUSING, (rules.force, rules.finish), when=guards.is_timer("turn_limit")),
    # The caller paused: is the turn over?
    Row(PAUSING, VoiceStarted, None, (rules.voice,), when=guards.forced),
    Row(PAUSING, VoiceStarted, HEARING, (rules.voice, rules.go_on_listening)),
    Row(PAUSING, VoiceStopped, None, (rules.silence, rules.finish), when=guards.caller_speaking),
    Row(PAUSING, Heard, None, (rules.note_words, rules.after_final), when=guards.final),
    Row(PAUSING, Heard, None, (rules.note_words,)),
    Row(PAUSING, TurnScored, None, (rules.score, rules.weigh_known)),
    Row(PAUSING, Timeout, None, (rules.commit,), when=guards.is_timer("endpoint")),
    Row(PAUSING, Timeout, None, (rules.give_up_finals, rules.after_final), when=guards.is_timer("final")),
    Row(PAUSING, Timeout, None, (rules.force, rules.weigh_known), when=guards.is_timer("turn_limit")),
    # The agent owes words and nothing of it is heard.
    Row(THINKING, SpeechStarted, OVERLAP, (rules.first_sound,), when=guards.caller_speaking),
    Row(THINKING, SpeechStarted, SPEAKING, (rules.first_sound,)),
    Row(THINKING, VoiceStarted, HEARING, (rules.voice, rules.take_floor), when=guards.yields),
    Row(THINKING, VoiceStarted, HELD, (rules.voice, rules.was_silent, rules.hold), when=guards.interruptible),
    Row(THINKING, VoiceStarted, None, (rules.voice,)),
    Row(THINKING, VoiceStopped, None, (rules.silence, rules.finish), when=guards.caller_speaking),
    Row(THINKING, ReplyFailed, ENDING, (rules.drop_reply, rules.end_with("error")), when=guards.gives_up),
    Row(THINKING, ReplyFailed, None, (rules.apologise,), when=guards.apology_left),
    Row(THINKING, SpeechFinished, None, (), when=guards.more),
    Row(THINKING, SpeechFinished, ENDED, (rules.hang_up,), when=guards.ending),
    Row(THINKING, SpeechFinished, HEARING, (rules.said_all, rules.open_turn), when=guards.caller_speaking),
    Row(THINKING, Timeout, None, (rules.say_filler,), when=guards.fillers_left),
    Row(THINKING, Timeout, ENDING, (rules.drop_reply, rules.end_with("error")), when=guards.due_end),
    Row(THINKING, Timeout, None, (rules.drop_reply, rules.apologise), when=guards.due_apology),
    Row(THINKING, Timeout, ENDED, (rules.hang_up,), when=guards.dead_end),
    Row(THINKING, Timeout, ENDING, (rules.drop_reply, rules.end_with("error")), when=guards.is_timer("dead_air")),
    # The agent is heard.
    Row(SPEAKING, VoiceStarted, HEARING, (rules.voice, rules.take_floor), when=guards.yields),
    Row(SPEAKING, VoiceStarted, HELD, (rules.voice, rules.was_sounding, rules.hold), when=guards.long_enough),
    Row(SPEAKING, VoiceStarted, OVERLAP, (rules.voice, rules.arm_interrupt)),
    Row(SPEAKING, ReplyFailed, None, (rules.say_sorry,), when=guards.apology_left),
    Row(SPEAKING, SpeechStarted, None, (rules.first_sound,)),
    Row(SPEAKING, SpeechFinished, THINKING, (rules.stalled,), when=guards.more),
    Row(SPEAKING, SpeechFinished, ENDED, (rules.hang_up,), when=guards.ending),
    # The agent has the floor, the caller is silent, and words over the agent's speech come in.
    *(
        row
        for phase in (THINKING, SPEAKING)
        for row in (
            Row(phase, Heard, PAUSING, TAKE_FLOOR, when=guards.final_taking_floor),
            Row(phase, Heard, None, (rules.note_words, rules.keep_turn), when=guards.keeps_turns),
            Row(phase, Heard, None, (rules.note_words, rules.set_aside)),
            Row(phase, Timeout, None, (rules.give_up_finals, rules.keep_turn), when=guards.final_due_for_kept),
            Row(phase, Timeout, None, (rules.give_up_finals, rules.set_aside), when=guards.is_timer("final")),
            Row(phase, SpeechFinished, PAUSING, ANSWER_KEPT, when=guards.words_left),
            Row(phase, SpeechFinished, PAUSING, (rules.take_aside, *ANSWER_KEPT), when=guards.answered_early),
            Row(phase, SpeechFinished, THINKING, (rules.said_all, rules.respond), when=guards.owes_reply),
            Row(phase, SpeechFinished, IDLE, (rules.said_all, rules.await_caller)),
        )
    ),
    # Both are heard, too short to count.
    Row(OVERLAP, Heard, HEARING, (rules.note_words, rules.take_floor), when=guards.takes_floor_at_once),
    Row(OVERLAP, Heard, None, (rules.note_words, rules.set_aside)),
    Row(OVERLAP, Timeout, HELD, (rules.was_sounding, rules.hold), when=guards.due_interrupt),
    Row(OVERLAP, Timeout, None, (rules.look_again,), when=guards.due_in_a_gap("interrupt")),
    Row(OVERLAP, VoiceStopped, SPEAKING, (rules.silence, rules.stop_interrupt, rules.finish)),
    Row(OVERLAP, ReplyFailed, None, (rules.say_sorry,), when=guards.apology_left),
    Row(OVERLAP, SpeechStarted, None, (rules.first_sound,)),
    Row(OVERLAP, SpeechFinished, HELD, (rules.was_silent, rules.hold), when=guards.more_and_interruptible),
    Row(OVERLAP, SpeechFinished, THINKING, (rules.stalled,), when=guards.more),
    Row(OVERLAP, SpeechFinished, ENDED, (rules.hang_up,), when=guards.ending),
    Row(OVERLAP, SpeechFinished, HEARING, (rules.said_all, rules.open_turn)),
    # The agent holds its sound: interruption or not?
    Row(HELD, Heard, HEARING, TAKE_FLOOR, when=guards.takes_floor),
    Row(HELD, Heard, None, (rules.note_words, rules.resume), when=guards.last_words),
    Row(HELD, Heard, None, (rules.note_words,)),
    Row(HELD, VoiceStopped, None, (rules.silence, rules.stop_verify, rules.finish), when=guards.caller_speaking),
    Row(HELD, VoiceStarted, None, (rules.voice, rules.verify_again)),
    Row(HELD, ReplyFailed, None, (rules.say_sorry,), when=guards.apology_left),
    Row(HELD, Timeout, None, (rules.look_again,), when=guards.due_in_a_gap("verify")),
    Row(HELD, Timeout, HEARING, (rules.take_floor,), when=guards.verify_by_sound),
    Row(HELD, Timeout, None, (rules.resume,), when=guards.is_timer("verify")),
    Row(HELD, Timeout, None, (rules.give_up_finals, rules.resume), when=guards.final_due_in_silence),
    # The caller types. A key stops what is heard of the agent; a number that is whole ends the turn.
    Row(IDLE, KeysTyped, PAUSING, (rules.open_turn, rules.note_keys, rules.weigh_known)),
    Row(HEARING, KeyPressed, None, (rules.await_keys,)),
    Row(HEARING, KeysTyped, None, (rules.note_keys,)),
    Row(PAUSING, KeyPressed, None, (rules.await_keys, rules.weigh_known)),
    Row(PAUSING, KeysTyped, None, (rules.note_keys, rules.weigh_known)),
    *(
        Row(phase, KeyPressed, None, (application.cancel,), when=guards.keys_interrupt)
        for phase in (SPEAKING, OVERLAP, HELD)
    ),
    *(
        row
        for phase in (THINKING, SPEAKING, OVERLAP, HELD)
        for row in (
            Row(phase, KeysTyped, None, TAKE_FLOOR_BY_KEYS, when=guards.keys_take_floor),
            Row(phase, KeysTyped, None, (rules.note_keys,)),
        )
    ),
    # A tool asks for something that is said in pieces.
    *(Row(phase, InputExpected, None, (rules.expect,)) for phase in Phase if phase is not ENDED),
    # The application has its say: it ends the caller's turn, asks for an answer or calls it off, and clears the input.
    Row(IDLE, CommitRequested, PAUSING, (rules.open_turn, application.force_by_client, application.end_utterance)),
    Row(HEARING, CommitRequested, PAUSING, (application.force_by_client, application.end_utterance)),
    Row(PAUSING, CommitRequested, None, (application.force_by_client, rules.weigh_known), when=guards.pause_was_found),
    Row(PAUSING, CommitRequested, None, (application.force_by_client, application.end_utterance)),
    *(Row(phase, CommitRequested, None, (application.end_utterance,)) for phase in (THINKING, SPEAKING, OVERLAP, HELD)),
    *(Row(phase, ReplyRequested, THINKING, (rules.respond,)) for phase in (IDLE, HEARING)),
    *(
        Row(phase, ReplyRequested, None, (application.owe_reply,))
        for phase in (OPENING, PAUSING, THINKING, SPEAKING, OVERLAP, HELD)
    ),
    Row(PAUSING, CancelRequested, None, (application.call_off,)),
    *(
        Row(phase, CancelRequested, ENDED, (rules.hang_up,), when=guards.ending)
        for phase in (THINKING, SPEAKING, OVERLAP)
    ),
    *(Row(phase, CancelRequested, None, (application.cancel,)) for phase in (THINKING, SPEAKING, OVERLAP, HELD)),
    Row(HEARING, InputCleared, PAUSING, (application.hush,), when=guards.ended_by_client),
    *(
        Row(phase, InputCleared, None, (application.hush,), when=guards.ended_by_client)
        for phase in (PAUSING, THINKING, SPEAKING)
    ),
    Row(OVERLAP, InputCleared, SPEAKING, (application.hush, rules.stop_interrupt), when=guards.ended_by_client),
    Row(HELD, InputCleared, None, (application.hush, rules.resume), when=guards.ended_by_client),
    *(Row(phase, InputCleared, None, (application.forget_turn,)) for phase in (HEARING, PAUSING)),
    *(Row(phase, InputCleared, None, (application.forget_words,)) for phase in (THINKING, SPEAKING)),
    Row(OVERLAP, InputCleared, SPEAKING, (application.forget_words,)),
    Row(HELD, InputCleared, None, (application.forget_words, rules.resume)),
    # The end. The agent is heard out; a caller in the middle of a turn is not waited for.
    Row(PAUSING, EndRequested, ENDING, (rules.drop_speculation, rules.end_requested), when=guards.with_goodbye),
    *(
        Row(phase, EndRequested, ENDING, (rules.end_requested,), when=guards.with_goodbye)
        for phase in (OPENING, IDLE, HEARING)
    ),
    *(Row(phase, EndRequested, ENDED, (rules.hang_up_now,)) for phase in (OPENING, IDLE, HEARING, PAUSING)),
    *(
        row
        for phase in (THINKING, SPEAKING, OVERLAP)
        for row in (
            Row(phase, EndRequested, None, (), when=guards.ending),
            Row(phase, EndRequested, None, (rules.end_requested,)),
        )
    ),
    Row(HELD, EndRequested, None, (rules.resume, rules.end_requested)),
    *(
        Row(phase, Timeout, ENDED, (rules.hang_up,), when=guards.is_timer("ending"))
        for phase in (THINKING, SPEAKING, OVERLAP, ENDING)
    ),
    Row(ENDING, SpeechFinished, None, (), when=guards.more),
    Row(ENDING, SpeechFinished, ENDED, (rules.hang_up,)),
    Row(ENDING, ReplyFailed, ENDED, (rules.hang_up,)),
    *(Row(phase, LineLost, ENDED, (rules.hang_up_now,)) for phase in Phase if phase is not ENDED),
)
"""Every transition of the floor."""


_ROWS: dict[tuple[Phase, type], tuple[Row, ...]] = {}
for _row in TABLE:
    _ROWS[_row.phase, _row.event] = (*_ROWS.get((_row.phase, _row.event), ()), _row)


class TurnTaking(Floor):
    """The floor of one call."""

    def on(self, event: Event) -> list[Action]:
        """Take an event; what is to be done, in order."""
        actions: list[Action] = []
        self.actions = actions
        if type(event) is Timeout:
            if event.timer not in self.timers:
                return actions  # stopped while it was on its way
            self.timers.remove(event.timer)
        for row in _ROWS.get((self.phase, type(event)), ()):
            if row.when is None or row.when(self, event):
                if row.then is not None:
                    self.phase = row.then
                for effect in row.do:
                    effect(self, event)
                break
        return actions
