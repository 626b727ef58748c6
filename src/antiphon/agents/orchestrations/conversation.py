"""The conversation that the participants of an orchestration share, and what each of them gets to see of it.

What is handed on is text: the user's words and the answers. A participant's calls and results stay in its own
session, unless ``share_tools`` hands them on too. A participant reads its own words as the assistant's and those of
the others as the user's, with the speaker's name in front: a model takes every assistant message for its own words,
and many providers refuse a request that ends with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from antiphon.agents.history import with_unique_ids
from antiphon.agents.orchestrations.contract import SupportsAgentRun
from antiphon.agents.responses import AgentResponse
from antiphon.agents.session import AgentSession
from antiphon.models.llm.messages import Message

GO_ON = "Please go on."


@dataclass(slots=True, eq=False)
class Seat:
    """A participant in one run, with a conversation of its own.

    Attributes:
        agent: The participant.
        session: What it has said, done and heard in this run.
        seen: How many messages of the shared conversation it has got.
        notes: Said to it alone when it is asked next.
    """

    agent: SupportsAgentRun
    session: AgentSession
    seen: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The participant's name."""
        return self.agent.name


@dataclass(slots=True, eq=False)
class Conversation:
    """What was said so far.

    Attributes:
        messages: What participants see.
        produced: What the run has added; a planner that starts anew takes nothing away from it.
        share_tools: Whether calls and their results are handed on.
    """

    messages: list[Message]
    share_tools: bool = False
    produced: list[Message] = field(default_factory=list)

    def unseen(self, seat: Seat) -> list[Message]:
        """What is new to a participant, as it reads it. From now on it has seen this."""
        new = [as_seen(message, seat.name) for message in self.messages[seat.seen :]]
        seat.seen = len(self.messages)
        return new

    def add(self, seat: Seat, response: AgentResponse, *, author: str | None = None) -> None:
        """Add what a participant has answered; it knows that itself.

        Args:
            seat: Who was asked.
            response: The answer.
            author: Who has given it, where that is somebody else.
        """
        if self.share_tools:
            for group in _call_groups(response.messages, self.messages):
                self._add(group)
        if response.text:
            said = Message(
                "assistant", response.text, author_name=author or seat.name, message_id=message_id_of(response)
            )
            self._add(said)
        seat.seen = len(self.messages)

    def say(self, seat: Seat, text: str) -> None:
        """Add words of a leader that are no part of the outcome, such as a plan; it knows them itself."""
        self.messages.append(Message("assistant", text, author_name=seat.name))
        seat.seen = len(self.messages)

    def conclude(self, author: str, text: str) -> None:
        """Add an outcome that is no participant's answer."""
        if text:
            self._add(Message("assistant", text, author_name=author))

    def _add(self, message: Message) -> None:
        self.messages.append(message)
        self.produced.append(message)


def handed_on(messages: Sequence[Message], *, share_tools: bool) -> list[Message]:
    """What an orchestration takes over from the conversation that it is asked in."""
    if share_tools:
        return list(messages)
    plain = [
        each.replace(contents=tuple(content for content in each.contents if content.type != "function_call"))
        for each in messages
        if each.role != "tool"
    ]
    return [each for each in plain if each.contents]


def as_seen(message: Message, reader: str) -> Message:
    """A message of the shared conversation as one participant reads it."""
    author = message.author_name
    if message.role != "assistant" or message.calls or author is None or author == reader:
        return message
    return Message("user", f"{author}: {message.text}")


def message_id_of(response: AgentResponse) -> str | None:
    """The id that the updates of the answer's last words carry."""
    return next((each.message_id for each in reversed(response.messages) if each.role == "assistant"), None)


def last_words(response: AgentResponse) -> str:
    """The text of the last message of an answer, without what was said before its calls."""
    said = (each.text for each in reversed(response.messages) if each.role == "assistant" and each.text)
    return next(said, response.text)


def _call_groups(messages: Sequence[Message], before: Sequence[Message]) -> list[Message]:
    """The calls and results among some messages, with ids that no call of ``before`` has."""
    groups: list[Message] = []
    renamed: dict[str, str] = {}
    for message in messages:
        result = message.result
        if message.calls:
            calls = with_unique_ids(message.calls, [*before, *groups])
            renamed = {old.call_id: new.call_id for old, new in zip(message.calls, calls, strict=True)}
            groups.append(message.replace(contents=calls))
        elif result is not None and result.call_id in renamed:
            groups.append(message.replace(contents=(replace(result, call_id=renamed[result.call_id]),)))
    return groups
