"""Built-in conversations: each goes through one thing that a long talk meets, and looks at what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from antiphon.cli.voice.stage import AGENT, Failed, Stage, Talk, check
from antiphon.errors import AntiphonException, IntegrationInvalidAuthException
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.endpoint import endpoint_for
from antiphon.realtime.errors import RequestRefused
from antiphon.tools.tool import tool
from antiphon.voice.llm_summarizer import LLMSummarizer
from antiphon.voice.tools import ToolRegistry

Scenario = Callable[[Stage], Awaitable[None]]

LONG_ANSWER = " ".join(["This answer goes on and on about opening hours and holidays."] * 8) + " Finally."
SUMMARY = '{"synopsis": "The caller gave a name.", "set": {"name": "Ada"}, "remove": [], "language": "en"}'
SHORT_SESSION_S = 20.5
"""About the shortest that is renewed at all: in its second half."""


def _says(text: str) -> Callable[[Sequence[Message], ChatOptions], str]:
    return lambda messages, options: text


async def greeting(stage: Stage) -> None:
    """The agent speaks first, and is heard to the end."""
    async with stage.talk(_says("Yes."), greeting="Hello, this is the desk.") as talk:
        await talk.until(lambda: bool(talk.words("assistant")), "the agent did not greet")
        item_id = talk.program.client.conversation.turns[0].item_id
        await talk.until(lambda: talk.program.player.playout(item_id).is_done, "the greeting was not played")
        check(talk.words("assistant") == ["Hello, this is the desk."], f"it said {talk.words('assistant')}")
        check(talk.program.player.playout(item_id).received_ms > 500, "the greeting had no sound")


async def spoken_turn(stage: Stage) -> None:
    """The user speaks, is understood, and hears the answer."""
    async with stage.talk(_says("Good morning to you."), heard=["Good morning."]) as talk:
        talk.speak()
        await talk.answered(1)
        check(talk.words("user") == ["Good morning."], f"it understood {talk.words('user')}")
        check(talk.words("assistant") == ["Good morning to you."], f"it answered {talk.words('assistant')}")
        check(talk.program.client.metrics.histogram("end_to_end_ms").count == 1, "the answer's delay was not measured")


async def function_call(stage: Stage) -> None:
    """The model calls a function of this program and tells its result."""
    await _calls(stage, (call("add", a=2, b=3),), ["5"])


async def two_calls(stage: Stage) -> None:
    """Two calls in one answer are followed by one answer."""
    await _calls(stage, (call("add", a=2, b=3), call("add", a=4, b=5)), ["5", "9"])


async def _calls(stage: Stage, calls: tuple, results: list[str]) -> None:  # type: ignore[type-arg]
    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    def script(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
        return "I have added them." if messages[-1].role == "tool" else Reply(calls=calls)

    async with stage.talk(script, heard=["Please add."], tools=ToolRegistry([add])) as talk:
        talk.speak()
        await talk.answered(2)
        made = [each for turn in talk.program.client.conversation.turns for each in turn.calls]
        check([each.output for each in made] == results, f"the results were {[each.output for each in made]}")
        answers = talk.program.client.metrics.total("responses_total")
        check(answers == 2, f"there were {answers} answers, not the call and one more")
        check(talk.words("assistant")[-1:] == ["I have added them."], f"it answered {talk.words('assistant')}")


async def barge_in(stage: Stage) -> None:
    """The user interrupts: silence at once, and both sides know only what was heard."""
    async with stage.talk(_says(LONG_ANSWER), heard=["Tell me all.", "Stop."]) as talk:
        program = talk.program
        talk.speak()
        await talk.until(lambda: _played_ms(talk) > 1500, "the answer did not begin")
        item_id = program.player.current
        talk.speak(1200)
        metrics = program.client.metrics
        await talk.until(lambda: metrics.total("barge_ins_total") == 1, "the interruption was not noticed")
        check(program.player.held_ms == 0, "sound was still held after the interruption")
        turn = program.client.conversation.turn(item_id or "")
        await talk.until(lambda: turn is not None and turn.interrupted, "the answer was not marked as interrupted")
        heard = (turn.text or "") if turn is not None else ""
        check(0 < len(heard) < len(LONG_ANSWER) and LONG_ANSWER.startswith(heard), f"heard was kept as {heard!r}")
        await talk.until(lambda: "Stop." in talk.told(), "the agent was not asked again")
        check("Finally" not in talk.told(), "the agent believes that all of it was heard")


def _played_ms(talk: Talk) -> int:
    item_id = talk.program.player.current
    return talk.program.player.playout(item_id).played_ms if item_id else 0


async def reconnect(stage: Stage) -> None:
    """The line breaks: the program comes back, and the agent knows what was said before."""
    async with stage.talk(_says("Noted."), heard=["My name is Ada."]) as talk:
        talk.speak()
        await talk.answered(1)
        client = talk.program.client
        talk.wire.cut()
        await talk.until(lambda: client.metrics.total("reconnections_total") == 1, "it did not come back")
        await talk.until(lambda: client.connected, "it was not ready again")
        talk.speak()
        await talk.answered(2)
        check(talk.told().count("My name is Ada.") == 2, "the agent has forgotten what was said before")
        check(talk.words("assistant") == ["Noted.", "Noted."], f"it answered {talk.words('assistant')}")


async def summary(stage: Stage) -> None:
    """Older turns give way to one summary, on both sides."""
    writer = LLMSummarizer(ScriptedChatClient(_says(SUMMARY)))
    async with stage.talk(
        _says("Noted."), summarizer=writer, summary_trigger_turns=4, summary_min_interval_s=0
    ) as talk:
        program, client = talk.program, talk.program.client
        await program.write("My name is Ada.")
        await talk.answered(1)
        first = client.conversation.turns[0].item_id
        await program.write("What do you know?")
        await talk.answered(2)
        await talk.until(lambda: client.conversation.summary_count == 1, "no summary was made")
        await talk.until(lambda: client.metrics.total("summaries_total", outcome="ok") == 1, "it was not applied")
        turns = client.conversation.turns
        check(
            [turn.role for turn in turns] == ["system", "user", "assistant"],
            f"{[turn.role for turn in turns]} are left",
        )
        gone = await _refusal(client, {"type": "conversation.item.retrieve", "item_id": first})
        check(gone != "", "the service still has the first turn")
        await program.write("And now?")
        await talk.answered(3)
        check("name: Ada" in talk.told() and "My name is Ada." not in talk.told(), "the agent read something else")


async def error_codes(stage: Stage) -> None:
    """Mistakes are told by their codes; those that cannot be mended end the run at once."""
    async with stage.talk(_says("Yes.")) as talk:
        client = talk.program.client
        code = await _refusal(client, {"type": "conversation.item.delete", "item_id": "item_unknown"})
        check(code == "item_delete_invalid_item_id", f"an unknown item gave {code!r}")
        await talk.program.write("Still there?")
        await talk.answered(1)
        check(talk.words("assistant") == ["Yes."], "the conversation did not go on")
        stranger = RealtimeClient(
            endpoint_for("antiphon", "nobody", base_url=f"http://127.0.0.1:{talk.server.port}"), {}
        )
        check("nobody" in await _failure(stranger), "an unknown agent was not told by its name")
    async with stage.serving(_says("Yes."), dev=False, api_keys="right") as (up, _):
        wrong = RealtimeClient(endpoint_for("antiphon", AGENT, api_key="wrong", base_url=f"http://127.0.0.1:{up.port}"))
        try:
            await wrong.connect()
        except IntegrationInvalidAuthException:
            check(wrong.metrics.total("connect_failures_total") <= 1, "a refused key was tried again")
        else:
            await wrong.close()
            raise Failed("a wrong key was taken")


async def expiry(stage: Stage) -> None:
    """A session that will end is exchanged for a new one before, and nothing is lost."""
    limits = {"realtime_max_session_s": SHORT_SESSION_S}
    async with stage.talk(_says("Noted."), heard=["My name is Ada."], server=limits) as talk:
        await talk.program.write("My name is Ada.")
        await talk.answered(1)
        client = talk.program.client
        await talk.until(lambda: client.metrics.total("renewals_total") >= 1, "it was not renewed", SHORT_SESSION_S)
        await talk.until(lambda: client.connected, "it was not ready again")
        await talk.program.write("Who am I?")
        await talk.answered(2)
        check("My name is Ada." in talk.told(), "the agent has forgotten what was said before")


async def _refusal(client: RealtimeClient, event: Mapping[str, str]) -> str:
    """The code with which the service refuses an event; empty when it does not."""
    try:
        await client.request(event, ("conversation.item.retrieved", "conversation.item.deleted"), timeout_s=5.0)
    except RequestRefused as error:
        return error.code
    return ""


async def _failure(client: RealtimeClient) -> str:
    """The sentence with which connecting fails."""
    try:
        await client.connect()
    except AntiphonException as error:
        return str(error)
    await client.close()
    raise Failed("a service was reached that should have refused")


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "greeting": greeting,
        "spoken-turn": spoken_turn,
        "function-call": function_call,
        "two-calls": two_calls,
        "barge-in": barge_in,
        "reconnect": reconnect,
        "summary": summary,
        "error-codes": error_codes,
        "expiry": expiry,
    }
)
