"""A language model that says what it was told to say: for tests, benchmarks and demonstrations.

    client = ScriptedChatClient(["Hello.", Reply(calls=(call("add", a=2, b=3),)), "It is five."])

Each request takes the next reply; a function in place of the list sees the request and makes the reply. Faults are
raised as a real client would raise them.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec.structs import replace

from antiphon.clock import Clock, WallClock
from antiphon.errors import (
    ChatClientInvalidRequestException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
)
from antiphon.models.llm.content import FunctionCall, Usage
from antiphon.models.llm.contract import ChatDelta, ChatOptions, FinishReason
from antiphon.models.llm.messages import Message

_WORDS = re.compile(r"\s*\S+\s*")
_RECORDED = 1000


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer.

    Attributes:
        text: Streamed word by word.
        calls: Tool calls, after the text; ``call`` makes one. Calls without an id get one.
        first_token_s: Wait before the first delta.
        token_s: Wait before each further word.
        fault: What goes wrong: an exception to raise; ``stall``: nothing more comes; ``garbage``: an answer that
            cannot be read; ``close``: the connection ends in mid answer.
        fault_after: Words that come before the fault.
        finish_reason: ``tool_calls`` or ``stop`` unless given.
        usage: Tokens; counted in words unless given.
    """

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    first_token_s: float = 0.0
    token_s: float = 0.0
    fault: Literal["stall", "garbage", "close"] | Exception | None = None
    fault_after: int = 0
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a client was asked."""

    messages: tuple[Message, ...]
    options: ChatOptions


Script = Callable[[Sequence[Message], ChatOptions], str | Reply]


def call(name: str, /, **arguments: object) -> FunctionCall:
    """A tool call for a ``Reply``; the client gives it an id."""
    return FunctionCall("", name, msgspec.json.encode(arguments).decode())


class ScriptedChatClient:
    """Streams scripted replies; shared by any number of calls.

    Args:
        replies: Replies in order, or a function of the request.
        name: For logs and metrics.
        clock: For the waits.
        yields: Let other tasks run before each delta, as a network would.
    """

    notice: str | None = None

    def __init__(
        self,
        replies: Iterable[str | Reply] | Script,
        *,
        name: str = "scripted/script",
        clock: Clock | None = None,
        yields: bool = False,
    ) -> None:
        self.name = name
        self.requests: deque[Request] = deque(maxlen=_RECORDED)
        """The last thousand requests."""
        self.warmed: list[Request] = []
        self.opened = 0
        """Streams begun."""
        self.completed = 0
        """Streams read to their end."""
        self.closed = 0
        """Streams that ended, in whatever way."""
        self._script = replies if callable(replies) else _in_order(replies)
        self._clock = clock or WallClock()
        self._yields = yields
        self._calls_made = 0

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Stream the next reply.

        Raises:
            ChatClientException: The reply's fault, or no reply is left.
        """
        self.requests.append(Request(tuple(messages), options))
        self.opened += 1
        try:
            made = self._script(messages, options)
            reply = Reply(made) if isinstance(made, str) else made
            words: list[str] = _WORDS.findall(reply.text)
            if reply.first_token_s:
                await self._clock.sleep(reply.first_token_s)
            for index, word in enumerate(words):
                if reply.fault is not None and index == reply.fault_after:
                    await _fail(reply.fault)
                if index and reply.token_s:
                    await self._clock.sleep(reply.token_s)
                elif self._yields:
                    await asyncio.sleep(0)
                yield ChatDelta(word)
            if reply.fault is not None:
                await _fail(reply.fault)
            yield self._last_delta(messages, reply, len(words))
            self.completed += 1
        finally:
            self.closed += 1

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Note that warming was asked for."""
        self.warmed.append(Request(tuple(messages), options or ChatOptions()))

    async def aclose(self) -> None:
        """Nothing to free."""

    def _last_delta(self, messages: Sequence[Message], reply: Reply, words: int) -> ChatDelta:
        calls = tuple(made if made.call_id else replace(made, call_id=self._next_id()) for made in reply.calls)
        finish = reply.finish_reason or ("tool_calls" if calls else "stop")
        return ChatDelta(calls=calls, finish_reason=finish, usage=reply.usage or Usage(len(messages), words))

    def _next_id(self) -> str:
        self._calls_made += 1
        return f"call_{self._calls_made}"


def _in_order(replies: Iterable[str | Reply]) -> Script:
    waiting = deque(replies)

    def next_reply(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
        if not waiting:
            raise ChatClientInvalidRequestException("The script has no reply left; add one, or use a function.")
        return waiting.popleft()

    return next_reply


async def _fail(fault: str | Exception) -> None:
    if isinstance(fault, Exception):
        raise fault
    if fault == "stall":
        await asyncio.get_running_loop().create_future()
    if fault == "garbage":
        raise ChatClientInvalidResponseException("The scripted model sent what cannot be read.")
    raise ChatClientUnavailableException("The scripted model closed the connection in mid answer.")
