"""An answer that is being made: what the model has written of it, and what of that has its sound."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from antiphon.agents.approval import Decision
from antiphon.agents.run import Run
from antiphon.calls.clauses import Clause, ClauseSplitter
from antiphon.calls.speech import Speech
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import ToolFinished, Usage
from antiphon.models.llm.contract import ChatClient, ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.tools.tool import FunctionTool

_AHEAD_S = 20.0
"""The voice makes no more sound than this before it is heard: most of a long answer is never listened to."""
_LEAST_BEHIND_GREETING = 10
"""Characters; a shorter answer adds nothing to the greeting of an agent that has just taken over."""


Fit = Callable[[Sequence[Message], ChatClient], Sequence[Message]]
"""Gives the part of a conversation that a model is to get."""


@dataclass(frozen=True, slots=True)
class ReplyTerms:
    """What a reply goes by beside its agent.

    Attributes:
        instructions: In place of the agent's own.
        variables: Values for the agent's own, where they are a template, over those of the session.
        tools: Besides the agent's own. A call of one that is only declared, or that has to be approved, ends the reply:
            the application gives its result, or the decision.
        options: What is not None overrules the agent's options.
        is_silent: The reply is written and not spoken.
        context: What it answers, in place of the conversation.
        decided: Calls that the application has decided on; they run before the model is asked.
        fit: Makes the conversation short enough for a model, or raises where that must not be done.
    """

    instructions: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[FunctionTool, ...] = ()
    options: ChatOptions | None = None
    is_silent: bool = False
    context: tuple[Message, ...] | None = None
    decided: tuple[Decision, ...] = ()
    fit: Fit | None = None


_PLAIN = ReplyTerms()


class Reply:
    """One answer. Times are the clock's seconds.

    Attributes:
        text: The caller's words that it answers; empty where the agent speaks unasked.
        speeches: What the caller will hear of it, in order: one for each agent that has a part in it.
        unvoiced: Clauses that wait for the voice because it is far ahead, each with its speech; None ends the speech.
        run: The agent's loop, once it has begun.
        accepted: A handoff that was accepted and is not carried out yet.
        kept: What context providers add to the history, until it stands there.
        sure: Set when the turn is committed.
        speculative: It was begun before that.
        failed: Why it broke off.
        begun_at: When the model was asked.
        first_token_at: When its first words came.
        last_token_at: When its latest words came.
        first_clause_at: When the voice got its first clause.
        first_sound_at: When that clause had its sound.
        thought_s: Time in which it waited for models, as far as they are done.
        voiced_s: Time in which it waited for the voice, as far as that is done.
        usage: What it has used of the agents' models.
        terms: What it goes by beside its agent.
        is_deed: It does something on the line, such as pressing keys, and needs no words.
        is_made: Nothing more is written of it.
        is_greeted: An agent that took over has greeted: an answer behind that of less than ten characters is not said.
    """

    __slots__ = (
        "accepted",
        "begun_at",
        "failed",
        "first_clause_at",
        "first_sound_at",
        "first_token_at",
        "held",
        "is_deed",
        "is_greeted",
        "is_made",
        "kept",
        "last_token_at",
        "run",
        "speculative",
        "speeches",
        "splitter",
        "sure",
        "task",
        "terms",
        "text",
        "thought_s",
        "unvoiced",
        "usage",
        "voiced_s",
    )

    def __init__(
        self, text: str, speech: Speech, *, speculative: bool, begun_at: float, terms: ReplyTerms = _PLAIN
    ) -> None:
        self.text = text
        self.speeches = [speech]
        self.unvoiced: deque[tuple[Speech, Clause | None]] = deque()
        self.run: Run | None = None
        self.accepted: ToolFinished | None = None
        self.kept: Sequence[Message] = ()
        self.sure = asyncio.Event()
        self.speculative = speculative
        self.failed: AntiphonException | None = None
        self.begun_at = begun_at
        self.first_token_at: float | None = None
        self.last_token_at: float | None = None
        self.first_clause_at: float | None = None
        self.first_sound_at: float | None = None
        self.thought_s: float | None = None
        self.voiced_s: float | None = None
        self.usage = Usage()
        self.is_deed = False
        self.is_made = False
        self.is_greeted = False
        self.splitter = ClauseSplitter()
        self.held: list[Clause] = []
        self.terms = terms
        self.task: asyncio.Task[None] | None = None
        if not speculative:
            self.sure.set()

    @property
    def speech(self) -> Speech:
        """What is being added to."""
        return self.speeches[-1]

    async def committed(self) -> None:
        """Wait until the turn is sure."""
        await self.sure.wait()

    def write(self, text: str) -> list[Clause]:
        """Note words of the model; the clauses that are whole now."""
        self.speech.generated += text
        return self._long_enough(self.splitter.feed(text))

    def flush(self) -> list[Clause]:
        """The last clauses of what was written so far."""
        clauses = self.splitter.flush()
        self.splitter = ClauseSplitter()
        return self._long_enough(clauses)

    def _long_enough(self, clauses: list[Clause]) -> list[Clause]:
        if not self.is_greeted:
            return clauses
        self.held += clauses
        if len(self.speech.generated.strip()) < _LEAST_BEHIND_GREETING:
            return []
        held, self.held = self.held, []
        return held

    def drop_held(self) -> None:
        """The answer is over: what of it was too short to be said behind a greeting was not written."""
        if self.held:
            self.held.clear()
            self.speech.generated = ""

    def greet(self, text: str, answer: Speech) -> None:
        """Say a greeting, unless its sound is there already, and the answer behind it in another speech."""
        if not self.speech.complete:
            self.queue([*self.write(text), *self.flush()])
        self.go_on_as(answer, drops_rest=False)
        self.is_greeted = True

    def queue(self, clauses: Sequence[Clause]) -> None:
        """Let clauses wait for the voice."""
        self.unvoiced.extend((self.speech, clause) for clause in clauses if clause.speech)

    def go_on_as(self, speech: Speech, *, drops_rest: bool) -> None:
        """What comes from here on belongs to another speech.

        Args:
            speech: The other one.
            drops_rest: Forget what was not said yet of the old one; else that is said first.
        """
        self.drop_held()
        self.is_greeted = False
        if drops_rest:
            self.unvoiced.clear()
            self.splitter = ClauseSplitter()
            self.speeches.clear()
        else:
            self.queue(self.flush())
            self.unvoiced.append((self.speech, None))
        self.speeches.append(speech)

    def finish(self) -> None:
        """No more sound will come."""
        for speech in self.speeches:
            speech.finish()

    @property
    def is_only_greeting(self) -> bool:
        """Whether an agent that took over has greeted, and has said nothing behind that."""
        return self.is_greeted and not self.speech.clauses

    @property
    def waits(self) -> bool:
        """Whether there is sound that was not sent yet."""
        return any(speech.waiting for speech in self.speeches)

    @property
    def far_ahead(self) -> bool:
        """Whether there is sound for a long time already."""
        return sum(speech.audio.seconds(speech.waiting) for speech in self.speeches) > _AHEAD_S

    @property
    def has_sound(self) -> bool:
        """Whether anything of it can be heard."""
        return any(speech.sound for speech in self.speeches)
