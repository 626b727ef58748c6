"""The embedded language model: a small GGUF model in this process, with the prefix of an agent's prompts cached.

A turn is: route (which tool, if any), then fill its arguments, or answer. Each of the three has a prefix cache (a
llama.cpp slot) of its own, so that a turn evaluates only what is new. On two cores one turn at a time is what fits:
others wait, in the order of their coming.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from antiphon.clock import Clock, WallClock
from antiphon.logs import Log
from antiphon.models.llm import router
from antiphon.models.llm.chatml import (
    END,
    chat_prompt,
    conversation,
    is_known,
    is_unknown,
    opening,
    split,
    within_sentences,
)
from antiphon.models.llm.content import FunctionCall, Usage
from antiphon.models.llm.contract import ChatDelta, ChatOptions, FinishReason, ToolSpec
from antiphon.models.llm.grammar import answer_grammar
from antiphon.models.llm.llama_engine import Generation, LlamaEngine, Piece
from antiphon.models.llm.messages import Message

_log = Log(__name__)

NOTICE: Final = (
    "This is the small embedded language model, so expect simple answers; set OPENAI_API_KEY and ANTIPHON_LLM "
    "(such as openai/gpt-4o-mini) to plug in a real one."
)
UNKNOWN: Final = "I am sorry, I do not know that."
"""Said to a question of which nothing is known: a small model would invent."""
_ROUTE, _FILL, _CHAT = range(3)
_MOST_SENTENCES = 2
_MOST_TOKENS = 96
_ARGUMENT_TOKENS = 120
_REPEAT_PENALTY = 1.05
_KEPT_FIGURES = 64


@dataclass(slots=True)
class TurnFigures:
    """How long the parts of a turn took, in milliseconds; None for what it did not have.

    Attributes:
        queue_ms: Waiting for other turns.
        route_ms: Choosing between the tools and an answer.
        fill_ms: Writing down the arguments.
        first_token_ms: From the begin of the answer to its first words.
        total_ms: From being asked to the end, the queue included.
        tool: What was called.
        usage: Tokens.
    """

    queue_ms: float = 0.0
    route_ms: float | None = None
    fill_ms: float | None = None
    first_token_ms: float | None = None
    total_ms: float = 0.0
    tool: str | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(slots=True)
class _Agent:
    """What is kept of an agent: its slots, and the thresholds of its tools once they are measured."""

    first_slot: int
    thresholds: router.Thresholds | None = None


class EmbeddedChatClient:
    """A ``ChatClient`` on a GGUF file with a ChatML template (Qwen2.5, SmolLM2).

    Args:
        path: The GGUF file.
        name: ``provider/model``, for logs and metrics.
        threads: Threads that compute; the machine's cores unless given.
        context_tokens: Longest conversation; of longer ones the oldest messages are left out.
        agents: Different instructions whose prefixes are kept at once; each takes 150 MB at 4096 tokens.
        clock: Measures.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str = "embedded/qwen2.5-coder-0.5b",
        threads: int | None = None,
        context_tokens: int = 4096,
        agents: int = 1,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.notice: str | None = NOTICE
        self.figures: deque[TurnFigures] = deque(maxlen=_KEPT_FIGURES)
        """The last turns, the newest last."""
        self._clock = clock or WallClock()
        self._engine = LlamaEngine(
            path, threads=threads or os.cpu_count() or 2, context_tokens=context_tokens, slots=3 * agents
        )
        self._turn = asyncio.Lock()
        self._agents: OrderedDict[tuple[str, tuple[str, ...]], _Agent] = OrderedDict()
        self._most_agents = agents
        self._calls = 0
        self.waiting = 0
        """Turns that wait for others."""

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once. Closing the generator stops the model at its next token.

        Raises:
            ChatClientException: The model cannot be loaded, or the instructions are too long for it.
        """
        begun_at = self._clock.now()
        figures = TurnFigures()
        self.waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self.waiting -= 1
        try:
            figures.queue_ms = self._since(begun_at)
            async with aclosing(self._deltas(messages, options, figures)) as deltas:
                async for delta in deltas:
                    yield delta
        finally:
            self._turn.release()
            figures.total_ms = self._since(begun_at)
            self.figures.append(figures)
            _log.debug("llm.embedded.turn", **{name: getattr(figures, name) for name in TurnFigures.__slots__})

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Load the model, evaluate the prefixes of these instructions and tools, and measure the router's thresholds.

        Raises:
            ChatClientUnavailableException: The model cannot be loaded.
        """
        async with self._turn:
            await self._engine.load()
            tools = options.tools if options is not None else ()
            agent = await self._agent(messages, tools)
            for tool in tools:
                if tool.parameters.get("required"):
                    prompt, grammar = router.filling_prompt(tool, [Message("user", "Hello.")])
                    await self._engine.complete(
                        Generation(prompt=prompt, slot=agent.first_slot + _FILL, max_tokens=1, grammar=grammar)
                    )
            prompt = opening(split(messages)[0])
            grammar = answer_grammar([prompt])
            await self._engine.complete(
                Generation(prompt=prompt, slot=agent.first_slot + _CHAT, max_tokens=1, grammar=grammar)
            )

    async def prefill(self, messages: Sequence[Message], options: ChatOptions) -> None:
        """Read what was said so far, while the caller still speaks; the answer then waits for the last words only.

        Does nothing while a turn is being answered. May be cancelled at any time.

        Raises:
            ChatClientException: The model cannot be loaded.
        """
        if self._turn.locked():
            return
        async with self._turn:
            agent = await self._agent(messages, options.tools)
            room = self._engine.context_tokens - _MOST_TOKENS
            prompts = {_CHAT: conversation(messages, room_tokens=room) + "<|im_start|>user\n"}
            if options.tools:
                prompts[_ROUTE] = router.beginning(options.tools, messages)
            for slot, prompt in prompts.items():
                await self._engine.complete(Generation(prompt=prompt, slot=agent.first_slot + slot, max_tokens=1))

    async def idle(self) -> None:
        """Wait until the model computes nothing: the end of a stream that was closed is a token away."""
        await self._engine.idle()

    async def aclose(self) -> None:
        """Stop what runs and free the model."""
        await self._engine.aclose()

    async def _deltas(
        self, messages: Sequence[Message], options: ChatOptions, figures: TurnFigures
    ) -> AsyncGenerator[ChatDelta]:
        agent = await self._agent(messages, options.tools)
        tool = await self._choose(agent, messages, options, figures)
        filled = await self._fill(agent, tool, messages, figures) if tool is not None else None
        if tool is not None and filled is not None and not (filled.says_nothing and is_known(messages)):
            yield self._call(tool, filled, figures)
            return
        if is_unknown(messages, options.tools):
            yield ChatDelta(UNKNOWN, finish_reason="stop", usage=figures.usage)
            return
        async with aclosing(self._answer(agent, messages, options, figures)) as deltas:
            async for delta in deltas:
                yield delta

    def _call(self, tool: ToolSpec, filled: router.Filled, figures: TurnFigures) -> ChatDelta:
        """The call; or, where the caller has not said all that it needs, the question for it."""
        if filled.missing:
            return ChatDelta(router.question_for(filled.missing), finish_reason="stop", usage=figures.usage)
        self._calls += 1
        figures.tool = tool.name
        call = FunctionCall(f"call_{self._calls}", tool.name, filled.arguments)
        return ChatDelta(calls=(call,), finish_reason="tool_calls", usage=figures.usage)

    async def _choose(
        self, agent: _Agent, messages: Sequence[Message], options: ChatOptions, figures: TurnFigures
    ) -> ToolSpec | None:
        """The tool to call. Behind a tool's result always an answer: a small model would call again and again."""
        if not options.tools or options.tool_choice == "none" or messages[-1].role != "user":
            return None
        begun_at = self._clock.now()
        if agent.thresholds is None:
            agent.thresholds = await router.measure(options.tools, self._alternatives(agent))
        tool = await router.choose(
            options.tools,
            messages,
            thresholds=agent.thresholds,
            alternatives=self._alternatives(agent),
            required=options.tool_choice == "required",
        )
        figures.route_ms = self._since(begun_at)
        return tool

    async def _fill(
        self, agent: _Agent, tool: ToolSpec, messages: Sequence[Message], figures: TurnFigures
    ) -> router.Filled:
        if not tool.parameters.get("required"):
            return router.Filled({}, ())
        begun_at = self._clock.now()
        prompt, grammar = router.filling_prompt(tool, messages)
        text, _ = await self._engine.complete(
            Generation(prompt=prompt, slot=agent.first_slot + _FILL, max_tokens=_ARGUMENT_TOKENS, grammar=grammar)
        )
        figures.fill_ms = self._since(begun_at)
        return router.fill(tool, text, messages)

    async def _answer(
        self, agent: _Agent, messages: Sequence[Message], options: ChatOptions, figures: TurnFigures
    ) -> AsyncGenerator[ChatDelta]:
        most = min(options.max_tokens or _MOST_TOKENS, self._engine.context_tokens // 4)
        wanted = Generation(
            prompt=chat_prompt(messages, room_tokens=self._engine.context_tokens - most),
            slot=agent.first_slot + _CHAT,
            max_tokens=most,
            grammar=answer_grammar([message.text for message in messages]),
            temperature=options.temperature or 0.0,
            repeat_penalty=_REPEAT_PENALTY,
            stop=(END, *options.stop),
        )
        begun_at = self._clock.now()
        told = ""
        async with aclosing(self._engine.generate(wanted)) as pieces:
            async for piece in pieces:
                if figures.first_token_ms is None and piece.text:
                    figures.first_token_ms = self._since(begun_at)
                end = within_sentences(told + piece.text, _MOST_SENTENCES)
                text = piece.text if end is None else piece.text[: max(0, end - len(told))]
                told += text
                figures.usage = piece.usage or figures.usage
                finish = _finish(piece, ended=end is not None)
                if text or finish:
                    yield ChatDelta(text, finish_reason=finish, usage=figures.usage if finish else None)
                if finish:
                    return

    async def _agent(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> _Agent:
        """The slots of these instructions and tools; those of the agent that was not used for longest, if need be."""
        key = (split(messages)[0], tuple(f"{tool.name}: {tool.description}" for tool in tools))
        agent = self._agents.pop(key, None)
        if agent is None:
            full = len(self._agents) >= self._most_agents
            slot = self._agents.popitem(last=False)[1].first_slot if full else 3 * len(self._agents)
            agent = _Agent(slot)
            if tools:
                agent.thresholds = await router.measure(tools, self._alternatives(agent))
        self._agents[key] = agent
        return agent

    def _alternatives(self, agent: _Agent) -> router.Alternatives:
        async def next_token(prompt: str) -> Mapping[str, float]:
            _, first = await self._engine.complete(
                Generation(
                    prompt=prompt,
                    slot=agent.first_slot + _ROUTE,
                    max_tokens=1,
                    alternatives=router.ALTERNATIVES,
                )
            )
            return first.alternatives or {}

        return next_token

    def _since(self, begun_at: float) -> float:
        return (self._clock.now() - begun_at) * 1000


def _finish(piece: Piece, *, ended: bool) -> FinishReason | None:
    """Why the answer ends with this piece, if it does."""
    if ended:
        return "stop"
    reason: Literal["stop", "length"] = "length" if piece.finish_reason == "length" else "stop"
    return reason if piece.finish_reason is not None else None
