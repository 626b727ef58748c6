"""What people say stays out of traces unless somebody wants it there, and secrets stay out even then."""

from __future__ import annotations

import json

from antiphon import Agent, tool
from antiphon.agents.observability import disable_instrumentation, keep_runs
from antiphon.agents.session import AgentSession
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import Message, tool_message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.watching import watched


@tool(sensitive_args=["card"])
async def pay(card: str, amount: str) -> str:
    """Pay."""
    return f"paid {amount} pounds"


def bank(*replies: str | Reply) -> Agent:
    return Agent("bank", "Be discreet.", tools=[pay], model=ScriptedChatClient(replies))


PAY = Reply("Gladly.", calls=(call("pay", card="4111-2222", amount="seven"),))


async def test_no_text_leaves_unless_it_is_wanted() -> None:
    with watched() as told:
        await bank(PAY, "All settled.").run("Take it from 4111-2222, please.")
    words = told.words()
    assert "execute_tool pay" in words
    for text in ("4111-2222", "seven", "Gladly", "settled", "please", "discreet", "pounds"):
        assert text not in words


async def test_texts_are_told_in_the_form_of_the_conventions() -> None:
    with watched(content=True) as told:
        await bank(PAY, "All settled.").run("Pay, please.")
    first, second = told.named("chat script")
    assert json.loads(first["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be discreet."}]
    question = {"role": "user", "parts": [{"type": "text", "content": "Pay, please."}]}
    asked = {"type": "tool_call", "id": "call_1", "name": "pay", "arguments": {"card": "***", "amount": "seven"}}
    assert json.loads(first["gen_ai.input.messages"]) == [question]
    assert json.loads(first["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Gladly."}, asked], "finish_reason": "tool_calls"}
    ]
    assert json.loads(second["gen_ai.input.messages"]) == [
        question,
        {"role": "assistant", "parts": [{"type": "text", "content": "Gladly."}, asked]},
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "call_1", "response": "paid seven pounds"}],
        },
    ]
    span = told.one("execute_tool pay")
    assert json.loads(span["gen_ai.tool.call.arguments"]) == {"card": "***", "amount": "seven"}
    assert span["gen_ai.tool.call.result"] == "paid seven pounds"


async def test_sensitive_arguments_and_credentials_are_masked() -> None:
    answer = "Your token=abc123 works; Bearer xyz789 too."
    with watched(content=True) as told:
        await bank(PAY, answer).run("My api_key=def456.")
    words = told.words()
    for secret in ("4111-2222", "abc123", "xyz789", "def456"):
        assert secret not in words


async def test_the_arguments_of_a_tool_that_is_not_known_here_are_masked() -> None:
    messages = [
        Message("user", "Pay."),
        Message("assistant", (FunctionCall("c1", "charge", '{"card": "4111-2222"}'),)),
        tool_message(FunctionResult("c1", "charge", "ok", "charged")),
    ]
    with watched(content=True) as told:
        await bank("Done.").run("Thanks.", session=AgentSession(messages=messages))
    written = json.loads(told.one("chat script")["gen_ai.input.messages"])
    assert written[1]["parts"][0]["arguments"] == {"card": "***"}


async def test_records_hold_words_only_where_they_are_wanted() -> None:
    runs = keep_runs(content=True)
    try:
        await bank("Your token=abc123.").run("Hi.")
    finally:
        disable_instrumentation()
    (record,) = runs
    assert record.text == "Your token=***"
