"""Who follows how replies come about, closer than the log tells: each reply, its words and calls, and its sound."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.calls.floor import Heard
from antiphon.calls.reply import Reply
from antiphon.calls.speech import Speech
from antiphon.models.llm.content import FunctionCall, FunctionResult


class ReplyWatcher:
    """Called on the call's loop, at once; what it does must be quick, and it never raises. This one does nothing."""

    def reply_began(self, reply: Reply) -> None:
        """A reply is sure. What was written of it before is in its speeches."""

    def reply_text(self, reply: Reply, text: str) -> None:
        """New words of a silent reply, which is not spoken."""

    def reply_calls(self, reply: Reply, calls: Sequence[FunctionCall]) -> None:
        """The model asks for tools."""

    def call_finished(self, result: FunctionResult) -> None:
        """A call of a reply has its result, also after the reply."""

    def reply_made(self, reply: Reply) -> None:
        """Nothing more is written of a reply, or it has failed; its sound may still be on its way."""

    def reply_stopped(self) -> None:
        """Everything that the agent was saying or about to say was cut."""

    def speech_sent(self, speech: Speech) -> None:
        """The whole sound of a speech was sent."""

    def heard(self, words: Heard) -> None:
        """Words of the caller, or that there are none; turn-taking is told behind this."""

    def turn_dropped(self) -> None:
        """What the caller began was no turn: it held no words, or was cleared."""
