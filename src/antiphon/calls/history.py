"""What the model is told about the conversation: the caller's words, the tools, and only what was *heard*.

Each reply has three records: generated, spoken, heard. The model gets the heard text; a reply of which nothing was
heard is not sent at all. The agent's loop repairs what a request must not hold: calls without results and the like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.agents.interview import Interview, covered
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import Message, tool_message


@dataclass(frozen=True, slots=True)
class ReplyRecord:
    """The three records of one reply, for the log and for people; ``speech`` is the number of what was said."""

    generated: str
    spoken: str
    heard: str
    interrupted: bool
    author: str = ""
    speech: int = 0


class History:
    """The messages of one call, without the system message.

    Attributes:
        messages: In order, as far as they are known.
        replies: The records of all replies, in order.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.replies: list[ReplyRecord] = []
        self._open_calls: set[str] = set()

    def with_user(self, text: str, fresh: str) -> list[Message]:
        """The messages as they would be with this turn of the caller.

        Args:
            text: All words of the turn.
            fresh: Of these, the ones that do not stand here yet; the two differ where the caller went on before the
                answer was heard. If nothing came between, both parts become one message.
        """
        if not fresh:
            return self.messages.copy()
        last = self.messages[-1] if self.messages else None
        if fresh != text and last is not None and last.role == "user":
            return [*self.messages[:-1], last.with_text(text)]
        return [*self.messages, Message("user", fresh)]

    def hear_user(self, text: str, fresh: str) -> None:
        """Keep a turn of the caller; arguments as in ``with_user``."""
        self.messages = self.with_user(text, fresh)

    def keep(self, messages: Sequence[Message]) -> None:
        """Put messages in front of the caller's words that wait for an answer; behind all else where there are none."""
        waits = bool(self.messages) and self.messages[-1].role == "user"
        place = len(self.messages) - waits
        self.messages = [*self.messages[:place], *messages, *self.messages[place:]]

    def call_tools(self, calls: Sequence[FunctionCall], author: str = "") -> None:
        """The model's request for tools; its words come back with the reply, as far as they are heard."""
        self.messages.append(Message("assistant", calls, author_name=author or None))
        self._open_calls |= {call.call_id for call in calls}

    def add_result(self, result: FunctionResult) -> None:
        """The result of a call, in whatever order they come; a second one is ignored."""
        if result.call_id in self._open_calls:
            self._open_calls.remove(result.call_id)
            self.messages.append(tool_message(result))

    def cover(self, interview: Interview) -> None:
        """Take what nobody may read out of the messages of an interview that is over."""
        for place, message in covered(self.messages, interview):
            self.messages[place] = message

    def add_reply(self, record: ReplyRecord) -> None:
        """What the agent said, as far as it was heard."""
        self.replies.append(record)
        if record.heard:
            self.messages.append(
                Message("assistant", record.heard, author_name=record.author or None, interrupted=record.interrupted)
            )
