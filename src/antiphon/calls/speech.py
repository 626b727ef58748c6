"""One thing that the agent says: its clauses, its sound, and how far it was heard.

Three records are kept of it: *generated* (what the model wrote), *spoken* (what was given to the voice) and *heard*
(what reached the caller, to the word).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from antiphon.agents.agent import Agent
from antiphon.agents.heard import heard_text
from antiphon.audio.formats import AudioFormat
from antiphon.calls.events import SpeechKind
from antiphon.models.tts.contract import WordTiming


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whose words they are, and how they sound.

    Attributes:
        agent: The agent's name.
        voice: The provider's name of the voice.
        language: BCP 47 tag.
        speed: 1.0 is the voice's own pace.
    """

    agent: str = ""
    voice: str | None = None
    language: str | None = None
    speed: float = 1.0

    @classmethod
    def of(cls, agent: Agent, *, pace: float = 1.0) -> Speaker:
        """An agent in its own voice; ``pace`` is for all agents of a call."""
        return cls(agent.name, agent.voice, agent.language, agent.speed * pace)


@dataclass(slots=True)
class SpokenClause:
    """A clause that was given to the voice.

    Attributes:
        text: As the model wrote it.
        speech: As the voice says it.
        start: Byte of the speech's sound where it begins.
        end: Byte behind its last sound so far.
        words: Where the voice tells: when each word is over.
    """

    text: str
    speech: str
    start: int
    end: int
    words: list[WordTiming] = field(default_factory=list)


class Speech:
    """What the agent says in one go: a reply, a greeting, a filler.

    Attributes:
        number: Counts the speeches of the call from 1.
        kind: What it is.
        turn: The turn it belongs to.
        speaker: Who says it; None is whoever the voice speaks for.
        sound: Its sound so far, in the line's format.
        complete: No more sound will come.
        started: Its first sound was written to the line, at ``started_at`` (call seconds).
        sent: Bytes that were written to the line.
        is_sent: All of it was written to the line.
        played: Bytes that were heard to the end.
        generated: What the model wrote so far.
        on_change: Called when there is more sound, or no more will come.
        on_clause: Called with the text of each clause that is begun.
        on_over: Called once, when it was heard to its end or cut: with whether it was cut.
    """

    __slots__ = (
        "audio",
        "clauses",
        "complete",
        "generated",
        "is_sent",
        "kind",
        "number",
        "on_change",
        "on_clause",
        "on_over",
        "played",
        "sent",
        "sound",
        "speaker",
        "started",
        "started_at",
        "turn",
    )

    def __init__(
        self, number: int, kind: SpeechKind, *, turn: int, audio: AudioFormat, speaker: Speaker | None = None
    ) -> None:
        self.number = number
        self.kind = kind
        self.turn = turn
        self.audio = audio
        self.speaker = speaker
        self.sound = bytearray()
        self.clauses: list[SpokenClause] = []
        self.complete = False
        self.started = False
        self.started_at: float | None = None
        self.sent = 0
        self.is_sent = False
        self.played = 0
        self.generated = ""
        self.on_change: Callable[[], None] | None = None
        self.on_clause: Callable[[str], None] | None = None
        self.on_over: Callable[[bool], None] | None = None

    def begin_clause(self, text: str, speech: str) -> None:
        """What sounds from here on says this."""
        self.clauses.append(SpokenClause(text, speech, len(self.sound), len(self.sound)))
        if self.on_clause is not None:
            self.on_clause(text)

    def add_sound(self, payload: bytes, words: tuple[WordTiming, ...] = ()) -> None:
        """Sound of the last clause begun."""
        self.sound += payload
        clause = self.clauses[-1]
        clause.end = len(self.sound)
        clause.words.extend(words)
        if self.on_change is not None:
            self.on_change()

    def finish(self) -> None:
        """No more sound will come."""
        self.complete = True
        if self.on_change is not None:
            self.on_change()

    @property
    def waiting(self) -> int:
        """Bytes that were not sent yet."""
        return len(self.sound) - self.sent

    @property
    def over(self) -> bool:
        """Everything was heard."""
        return self.complete and self.played >= len(self.sound)

    @property
    def spoken(self) -> str:
        """The text that was given to the voice, as the model wrote it."""
        return "".join(clause.text for clause in self.clauses).strip()

    @property
    def heard(self) -> str:
        """The text that was heard, to the word."""
        return self.text_until(self.played)

    def text_until(self, position: int) -> str:
        """The text that sounds before a byte of the sound, to the word."""
        parts: list[str] = []
        for clause in self.clauses:
            if position <= clause.start:
                break
            if position >= clause.end:
                parts.append(clause.text)
                continue
            played_s = self.audio.seconds(position - clause.start)
            share = (position - clause.start) / max(1, clause.end - clause.start)
            parts.append(heard_text(clause.speech, share, words=clause.words, heard_ms=played_s * 1000))
        return "".join(parts).strip()

    @property
    def played_s(self) -> float:
        """Seconds of it that were heard."""
        return self.audio.seconds(self.played)
