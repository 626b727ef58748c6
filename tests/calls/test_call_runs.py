"""What is around a reply: context providers, middleware, compaction and usage, also when the reply is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants import check, check_nothing_left
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.agents.context import RunContext
from antiphon.agents.handoff import Handoff
from antiphon.agents.middleware import AgentContext, CallNext, agent_middleware
from antiphon.agents.responses import AgentResponse
from antiphon.calls.events import SessionUsage, UserTurnCompleted
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.models.llm.content import Usage
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.tools.tool import FunctionTool


class Memory:
    """Knows something, and notes how the runs went."""

    source_id = "memory"

    def __init__(self) -> None:
        self.before = 0
        self.after: list[tuple[bool, str]] = []

    async def before_run(self, context: RunContext) -> None:
        self.before += 1
        context.add_instructions("The caller is Ann.")
        context.add_messages([Message("user", "(A note.)")], keep=True)

    async def after_run(self, context: RunContext, response: AgentResponse | None, error: BaseException | None) -> None:
        self.after.append((response is not None, type(error).__name__))


def look_up() -> str:
    """Look up."""
    return "nine"


def said(call: CallUnderTest) -> list[tuple[str, str]]:
    return [(m.role, m.text) for m in call.call.history.messages if m.text and m.role != "tool"]


def test_what_a_provider_keeps_stands_in_the_history_in_front_of_the_callers_words() -> None:
    clock, memory = VirtualClock(), Memory()
    llm = ScriptedChatClient(["At nine.", "Yes."], clock=clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", context_providers=[memory])
        async with calling(clock, agent=agent, stt=["When?", "Sure?"], llm=llm) as call:
            for _ in range(2):
                await call.speak(1)
                await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert said(call) == [
        *(("user", "(A note.)"), ("user", "When?"), ("assistant", "At nine.")),
        *(("user", "(A note.)"), ("user", "Sure?"), ("assistant", "Yes.")),
    ]
    assert llm.requests[0].messages[0].text == "Answer.\n\nThe caller is Ann."
    assert memory.after == [(True, "NoneType")] * 2


def test_an_answer_that_was_tried_and_forgotten_keeps_nothing_but_its_provider_is_told() -> None:
    clock, memory = VirtualClock(), Memory()
    llm = ScriptedChatClient(lambda *_: Reply("At nine.", first_token_s=1.0), clock=clock)
    policy = CallPolicy(turn=TurnPolicy(complete_delay_s=0.8))

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", context_providers=[memory])
        async with calling(clock, agent=agent, stt=["When?", "On Monday."], llm=llm, policy=policy) as call:
            await call.speak(1)
            await call.quiet(0.5)
            await call.speak(1)
            await call.quiet(4)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert [text for _, text in said(call)] == ["(A note.)", "When? On Monday.", "At nine."]
    assert memory.after == [(False, "CancelledError"), (True, "NoneType")]


def test_what_an_interrupted_reply_has_used_is_counted() -> None:
    clock = VirtualClock()
    llm = ScriptedChatClient(
        [
            Reply(calls=(tool_call("look_up"),), usage=Usage(100, 10)),
            Reply("This is a long story. " * 20, token_s=0.3, usage=Usage(100, 60)),
            Reply("Yes.", usage=Usage(1000, 1)),
        ],
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[FunctionTool(look_up)])
        async with calling(clock, agent=agent, stt=["When?", "Stop it please."], llm=llm) as call:
            await call.speak(1)
            await call.quiet(5)
            await call.speak(1.5)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(UserTurnCompleted)[-1].text == "Stop it please."
    (usage,) = call.events(SessionUsage)
    assert usage.llm_input_tokens == 1100
    assert usage.llm_output_tokens == 11


def test_the_run_behind_middleware_is_closed_when_the_caller_interrupts() -> None:
    clock = VirtualClock()
    llm = ScriptedChatClient([Reply("word " * 60, token_s=0.3), "Yes."], clock=clock)

    @agent_middleware
    async def louder(context: AgentContext, call_next: CallNext) -> None:
        await call_next()
        inner = context.result

        async def through() -> Any:
            async for update in inner:
                yield update

        context.result = through()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", middleware=[louder])
        async with calling(clock, agent=agent, stt=["When?", "Stop it please."], llm=llm) as call:
            await call.speak(1)
            await call.quiet(4)
            await call.speak(1.5)
            assert (llm.opened, llm.closed) == (1, 1)
            await call.quiet(4)
        check_nothing_left()
        return call

    check(clock.run(scenario()))


class Noting:
    """A compaction that keeps the last messages and notes what it is to learn from."""

    def __init__(self) -> None:
        self.learned: list[list[str]] = []

    def view(self, messages: Sequence[Message], *, max_tokens: int | None, state: dict[str, Any]) -> list[Message]:
        return [Message("system", "Before: much."), *messages[-2:]]

    async def learn(self, messages: Sequence[Message], *, state: dict[str, Any]) -> None:
        self.learned.append([message.text for message in messages])


class Reader(ScriptedChatClient):
    """A model of our own: reads ahead."""

    def __init__(self, *replies: Any, clock: VirtualClock, name: str = "reader") -> None:
        super().__init__(replies, clock=clock, name=name)
        self.read: list[list[Message]] = []

    async def prefill(self, messages: Sequence[Message], options: ChatOptions) -> None:
        self.read.append(list(messages))


def test_a_model_reads_ahead_what_it_will_be_asked_with_compaction_too() -> None:
    clock, compaction = VirtualClock(), Noting()
    llm = Reader("At nine.", "Yes.", clock=clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", compaction=compaction)
        async with calling(clock, agent=agent, stt=["When?", "Sure?"], llm=llm) as call:
            for _ in range(2):
                await call.speak(1)
                await call.quiet(3)
        return call

    check(clock.run(scenario()))
    assert [message.text for message in llm.read[1]] == ["Answer.\n\nBefore: much.", "When?", "At nine."]
    assert compaction.learned[0] == ["When?"]
    assert compaction.learned[1] == ["When?", "At nine.", "Sure?"]


def test_after_a_handoff_the_targets_model_reads_ahead() -> None:
    clock = VirtualClock()
    first = Reader(Reply(calls=(tool_call("handoff_to_billing", reason="It."),)), clock=clock, name="first")
    second = Reader("Hello.", "Yes.", clock=clock, name="second")
    target = Agent("billing", "You do invoices.")
    agent = Agent("desk", "You are the desk.", handoffs=[Handoff(target, when="Hand invoices over.")])

    async def scenario() -> CallUnderTest:
        stt = ["My invoice.", "Sure?"]
        clients = {"desk": first, "billing": second}
        async with calling(clock, agent=agent, stt=stt, llm=first, client_for=lambda a: clients[a.name]) as call:
            for _ in range(2):
                await call.speak(1)
                await call.quiet(3)
        return call

    check(clock.run(scenario()))
    assert [messages[0].text for messages in first.read] == ["You are the desk.\n\nHand invoices over."]
    assert first.requests[0].messages[0].text == first.read[0][0].text
    assert [messages[0].text for messages in second.read] == ["You do invoices."]
    assert list(second.requests[-1].messages[: len(second.read[0])]) == second.read[0]
