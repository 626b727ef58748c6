"""How a call behaves, as plain numbers. ``settings.py`` and agents fill them in; turn-taking only reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from antiphon.agents.manners import CASCADE_SILENCE_MS

BACKCHANNELS = frozenset(
    {
        *("uh huh", "uhhuh", "uh-huh", "mm hmm", "mm-hmm", "mmhmm", "mhm", "mm", "hm", "hmm", "aha", "ah", "oh"),
        *("okay", "ok", "right", "yeah", "yep", "yes", "sure", "i see", "got it", "alright", "all right", "great"),
    }
)
"""What listeners say to show that they listen; never takes the floor."""

COMMANDS = frozenset({"no", "stop", "wait", "hold on", "hang on", "excuse me"})
"""What takes the floor however short it is."""


@dataclass(frozen=True, slots=True)
class TurnPolicy:
    """The manners of one conversation. All times are seconds.

    Attributes:
        start_s: Speech this long is someone speaking.
        stop_s: Silence this long ends an utterance: its words are asked for, an answer may be tried.
        complete_delay_s: Silence before a turn that sounds finished is answered.
        uncertain_delay_s: The same when it may or may not be finished.
        incomplete_delay_s: The same when it is surely not: "and…", a number in the middle, "um".
        max_patience: The delays grow up to so many times for a caller who went on after the turn had been ended.
        max_turn_s: A turn this long is answered whatever.
        final_timeout_s: How long to wait for the recogniser's final words.
        interruption: ``vad``: sound alone may take the floor; ``words``: only recognised words; ``off``: nothing.
        min_interruption_s: Speech over the agent this long pauses it.
        min_words: Words that make an interruption, once the agent is paused.
        false_interruption_s: If the caller still speaks this long after the pause, it is an interruption even
            without words; if the caller is silent and no words came, the agent goes on.
        backchannels: Utterances that never interrupt.
        commands: Words that always interrupt, whatever ``min_words`` says.
        greeting_deaf_s: Speech this early in the greeting is taken for echo.
        greeting_interruptible: Whether the greeting can be interrupted later than that.
        max_dead_air_s: The agent's turn never stays silent longer than this.
        idle_s: Both silent this long: a reminder is said. 0 is never.
        idle_reminders: Reminders before the call is ended.
        speculate: Whether an answer is tried before the turn is sure.
        complete_threshold: The end-of-turn model is sure that it is one.
        incomplete_threshold: The model is sure that it is none.
        dead_air_fillers: Fillers that are said in one silence before the agent gives up the reply.
        max_lost_turns: So many turns in a row without an answer end the call; all but the last get an apology.
        ending_s: A call that was to end is ended after this, whatever still sounds.
        answers: Whether a turn of the caller is answered at once; else the application asks for each answer.
        yields_at_once: The caller takes the floor by the first sound: nothing waits for words that confirm it.
        keeps_turns: What the caller says while an answer is made or heard is a turn of its own, which is answered
            behind that one; else it takes an unheard answer back, or waits for the end of what is heard.
        stop_words: What the caller says, alone, to end the call.
    """

    start_s: float = 0.06
    stop_s: float = 0.2
    complete_delay_s: float = 0.35
    uncertain_delay_s: float = CASCADE_SILENCE_MS / 1000
    incomplete_delay_s: float = 1.8
    max_patience: float = 2.0
    max_turn_s: float = 60.0
    final_timeout_s: float = 2.5
    interruption: Literal["vad", "words", "off"] = "vad"
    min_interruption_s: float = 0.5
    min_words: int = 1
    false_interruption_s: float = 1.0
    backchannels: frozenset[str] = BACKCHANNELS
    commands: frozenset[str] = COMMANDS
    greeting_deaf_s: float = 0.5
    greeting_interruptible: bool = True
    max_dead_air_s: float = 4.0
    idle_s: float = 15.0
    idle_reminders: int = 2
    speculate: bool = True
    complete_threshold: float = 0.7
    incomplete_threshold: float = 0.3
    dead_air_fillers: int = 1
    max_lost_turns: int = 3
    ending_s: float = 12.0
    answers: bool = True
    yields_at_once: bool = False
    keeps_turns: bool = False
    stop_words: frozenset[str] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """The manners as plain values, for the log."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TurnPolicy:
        """The manners that ``to_dict`` wrote down; keys that are not known are left out."""
        known = {item.name for item in fields(cls)}
        kept: dict[str, Any] = {name: value for name, value in values.items() if name in known}
        sets: dict[str, Any] = {name: frozenset(value) for name, value in kept.items() if isinstance(value, list)}
        return cls(**{**kept, **sets})


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """Everything that a call is told beside its agent.

    Attributes:
        turn: Manners.
        lead_s: How much audio is sent ahead of what is heard; 0.4 at most.
        frame_ms: Length of the audio messages to the line.
        vad_threshold: The detector's score from which sound is speech; its own unless given.
        preroll_s: Audio before the detected start of speech that the recogniser also gets.
        max_call_s: A call this long ends with a goodbye.
        llm_stall_s: A model silent for this long costs its turn.
        tts_timeout_s: A voice without a sound for this long costs its clause.
        fillers: Said when the agent's turn stays silent.
        apology: Said when a turn failed.
        reminders: Said, one after the other, when nobody speaks; the last one again where there are more to say.
        goodbye: Said before the agent ends a call because the caller said goodbye.
        idle_goodbye: Said before an idle call is ended.
        limit_goodbye: Said before a call that is too long is ended.
        failure_goodbye: Said before a call that cannot go on is ended.
        voicemail_message: Left on a machine before the call is ended; empty for none.
        too_many_keys: Said when a number on the keypad is too long.
        log_decisions: Whether each step of turn-taking is logged, for replay.
    """

    turn: TurnPolicy = field(default_factory=TurnPolicy)
    lead_s: float = 0.2
    frame_ms: int = 20
    vad_threshold: float | None = None
    preroll_s: float = 0.4
    max_call_s: float = 3600.0
    llm_stall_s: float = 10.0
    tts_timeout_s: float = 8.0
    fillers: tuple[str, ...] = ("One moment, please.", "Just a second.")
    apology: str = "I am sorry, something went wrong on my side. Could you say that again?"
    reminders: tuple[str, ...] = ("Are you still there?",)
    goodbye: str = "Goodbye."
    idle_goodbye: str = "I will end the call now. Goodbye."
    limit_goodbye: str = "We have reached the time limit of this call. Goodbye."
    failure_goodbye: str = "I am sorry, I cannot go on with this call right now. Please try again later. Goodbye."
    voicemail_message: str = ""
    too_many_keys: str = "That was too many keys. Please type the number again."
    log_decisions: bool = True

    @property
    def phrases(self) -> tuple[str, ...]:
        """All that is said in these very words."""
        goodbyes = (self.goodbye, self.idle_goodbye, self.limit_goodbye, self.failure_goodbye, self.voicemail_message)
        return (*self.fillers, self.apology, *self.reminders, *filter(None, goodbyes), self.too_many_keys)
