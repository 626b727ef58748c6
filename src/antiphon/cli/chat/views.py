"""How a conversation is shown: for people, or one JSON object a line."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import msgspec
from rich.console import Console
from rich.text import Text as Styled

from antiphon.agents.agent import Agent
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import Content, content_to_dict
from antiphon.models.llm.contract import ChatClient

_SHOWN_CHARS = 200


class View(Protocol):
    """Where a conversation is shown."""

    def begin(self, agent: Agent, client: ChatClient) -> None:
        """It begins."""
        ...

    def waiting(self, what: str) -> AbstractContextManager[Any]:
        """Something takes a while."""
        ...

    def said(self, text: str, *, shown: bool) -> None:
        """The user has said something; ``shown``: it does not stand on the screen yet."""
        ...

    def update(self, update: AgentResponseUpdate) -> None:
        """A piece of an answer."""
        ...

    def ended(self, response: AgentResponse) -> None:
        """An answer is whole."""
        ...

    def interrupted(self) -> None:
        """The user has cut an answer."""
        ...

    def failed(self, error: AntiphonException) -> None:
        """A turn has failed."""
        ...

    def note(self, text: str) -> None:
        """Something for the user alone."""
        ...


class TextView:
    """For people: words as they come, tools and handoffs between them."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._errors = Console(stderr=True, highlight=False)
        self._in_text = False

    def begin(self, agent: Agent, client: ChatClient) -> None:
        """See ``View``."""
        self.note(f"{agent.name} on {client.name}. {client.notice or ''}".strip())

    def waiting(self, what: str) -> AbstractContextManager[Any]:
        """See ``View``."""
        return self._console.status(f"{what} …")

    def said(self, text: str, *, shown: bool) -> None:
        """See ``View``."""
        if shown:
            self._console.print(Styled(f"You: {text}"))

    def update(self, update: AgentResponseUpdate) -> None:
        """See ``View``."""
        for content in update.contents:
            if content.type == "text":
                self._words(content.text, update.agent)
            else:
                self._aside(content)

    def ended(self, response: AgentResponse) -> None:
        """See ``View``."""
        self._end_line()
        if response.limit_hit is not None:
            self.note(f"The limit {response.limit_hit} was met.")
        elif response.finish_reason not in ("stop", "input_required"):
            self.note(f"The answer ended with {response.finish_reason}.")
        elif response.finish_reason == "stop" and not response.text:
            self.note("The agent had nothing to say.")

    def interrupted(self) -> None:
        """See ``View``."""
        self._end_line()
        self.note("Interrupted.")

    def failed(self, error: AntiphonException) -> None:
        """See ``View``."""
        self._end_line()
        self._errors.print(Styled(f"Error: {error}", style="red"))

    def note(self, text: str) -> None:
        """See ``View``."""
        self._end_line()
        self._console.print(Styled(text, style="dim"))

    def _words(self, text: str, agent: str) -> None:
        if not self._in_text:
            text = text.lstrip()
            if not text:
                return
            self._console.print(Styled(f"{agent}: ", style="bold cyan"), end="")
            self._in_text = True
        sys.stdout.write(text)
        sys.stdout.flush()

    def _aside(self, content: Content) -> None:
        line = _described(content)
        if line is not None:
            self._end_line()
            self._console.print(Styled(f"  {line}", style="dim"), soft_wrap=True)

    def _end_line(self) -> None:
        if self._in_text:
            self._in_text = False
            sys.stdout.write("\n")
            sys.stdout.flush()


class JsonView:
    """For programs: ``user``, one object for each content, then ``response``, ``interrupted`` or ``error``."""

    def begin(self, agent: Agent, client: ChatClient) -> None:
        """See ``View``."""
        self._print({"type": "chat", "agent": agent.name, "model": client.name, "notice": client.notice})

    def waiting(self, what: str) -> AbstractContextManager[Any]:
        """See ``View``."""
        return nullcontext()

    def said(self, text: str, *, shown: bool) -> None:
        """See ``View``."""
        self._print({"type": "user", "text": text})

    def update(self, update: AgentResponseUpdate) -> None:
        """See ``View``."""
        for content in update.contents:
            fields = content_to_dict(content)
            self._print({**fields, "agent": update.agent, "step": update.step, "seq": update.seq})

    def ended(self, response: AgentResponse) -> None:
        """See ``View``."""
        self._print(
            {
                "type": "response",
                "agent": response.agent,
                "text": response.text,
                "finish_reason": response.finish_reason,
                "limit_hit": response.limit_hit,
                "steps": response.steps,
                "usage": {**content_to_dict(response.usage), "total_tokens": response.usage.total_tokens},
            }
        )

    def interrupted(self) -> None:
        """See ``View``."""
        self._print({"type": "interrupted"})

    def failed(self, error: AntiphonException) -> None:
        """See ``View``."""
        self._print({"type": "error", "code": error.code, "message": str(error)})

    def note(self, text: str) -> None:
        """See ``View``."""
        self._print({"type": "note", "text": text})

    def _print(self, fields: dict[str, Any]) -> None:
        sys.stdout.write(msgspec.json.encode(fields, enc_hook=str).decode() + "\n")
        sys.stdout.flush()


def _described(content: Content) -> str | None:
    """What a person wants to know of what happens between the words; None for nothing."""
    if content.type == "tool_started":
        return f"→ {content.call.name}({_short(_arguments(content.call.arguments))})"
    if content.type == "tool_progress":
        return f"… {_short(content.text)}"
    if content.type == "tool_finished":
        result = content.result
        mark = "←" if result.status == "ok" else f"← {result.status}:"
        return f"{mark} {_short(result.text)}  ({result.duration_ms:.0f} ms)"
    if content.type == "filler":
        return f"({content.text})"
    if content.type == "handoff":
        why = f": {content.reason}" if content.reason else ""
        return f"⇢ {content.target} goes on for {content.source}{why}"
    if content.type == "agent_tool_started":
        return f"⇢ {content.call.name} asks"
    if content.type == "agent_tool_ended":
        return f"⇠ {content.call.name}: {_short(content.result.text)}"
    return None


def _arguments(text: str) -> str:
    try:
        given = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return text
    return ", ".join(f"{name}={value!r}" for name, value in given.items()) if isinstance(given, dict) else text


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]}…"
