"""The effects of what the application asks for: it ends turns, has answers begun or called off, clears the input."""

from __future__ import annotations

from antiphon.calls.floor import CancelRequested, CommitRequested, InputCleared, Interrupt, Phase, ReplyRequested
from antiphon.calls.turn_guards import Floor
from antiphon.calls.turn_rules import after_final, bound_turn, drop_speculation, finish, no_turn, note_life


def force_by_client(floor: Floor, event: CommitRequested) -> None:
    """The application ends the turn: what is known of it counts."""
    floor.forced = "client"
    floor.silence_at = event.at


def end_utterance(floor: Floor, event: CommitRequested) -> None:
    """Ask for the words up to here; a clear does not touch them."""
    finish(floor, event)
    floor.ended = floor.finished


def owe_reply(floor: Floor, _event: ReplyRequested) -> None:
    """The answer that is asked for begins when the floor is free."""
    floor.reply_owed = True


def cancel(floor: Floor, event: CancelRequested) -> None:
    """The agent falls silent; words that waited behind its speech are answered."""
    floor.stop("verify", "interrupt", "dead_air")
    note_life(floor, event)
    floor.committed = ""
    floor.strikes = 0
    floor.speech = "reply"
    floor.sounding = floor.reply_owed = False
    floor.act(Interrupt())
    bound_turn(floor, event)
    if floor.caller_speaks:
        floor.phase = Phase.HEARING
        return
    floor.phase = Phase.PAUSING
    after_final(floor, event)


def call_off(floor: Floor, _event: CancelRequested) -> None:
    """The answer that was asked for is not wanted any more."""
    floor.reply_owed = False


def hush(floor: Floor, event: InputCleared) -> None:
    """What the caller said behind a turn that was ended does not count."""
    floor.partials.pop(floor.finished, None)
    if floor.caller_speaks:
        floor.caller_speaks = False
        floor.silence_at = event.at


def forget_turn(floor: Floor, event: InputCleared) -> None:
    """Nothing of the caller's turn counts."""
    drop_speculation(floor, event)
    forget_words(floor, event)
    no_turn(floor, event)


def forget_words(floor: Floor, _event: InputCleared) -> None:
    """What the caller said since the last turn does not count."""
    floor.stop("final", "interrupt")
    floor.said = []
    floor.partials.clear()
    floor.aside = ""
    floor.caller_speaks = floor.lost_words = False
    floor.settled = floor.finished
