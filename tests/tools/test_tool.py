from __future__ import annotations

import pytest

from antiphon import tool
from antiphon.tools.context import ToolContext
from antiphon.tools.prebuilt import HANG_UP, PREBUILT, end_call
from antiphon.tools.tool import FunctionTool


async def hours(day: str) -> str:
    """When we are open
    on a day.

    Args:
        day: The day.
    """
    return f"open on {day}"


async def test_a_decorated_function_keeps_its_behaviour_and_gets_a_specification() -> None:
    made = tool(hours)
    assert isinstance(made, FunctionTool)
    assert await made("monday") == "open on monday"
    assert made.spec.name == "hours"
    assert made.spec.description == "When we are open on a day."
    assert made.spec.parameters["properties"] == {"day": {"type": "string", "description": "The day."}}
    assert made.is_async


def test_options_can_be_given_with_and_without_the_function() -> None:
    @tool(name="opening-hours", timeout_s=3, filler="One moment.", sensitive_args=["day"])
    def described(day: str) -> str:
        return day

    assert (described.name, described.timeout_s, described.filler) == ("opening-hours", 3, ("One moment.",))
    assert not described.is_async
    assert tool(hours, description="Better.").spec.description == "Better."
    assert tool(hours, filler=["a", "b"]).filler == ("a", "b")


def test_options_out_of_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.05 to 300"):
        tool(hours, timeout_s=0)
    with pytest.raises(ValueError, match="letters, digits"):
        tool(hours, name="opening hours")
    with pytest.raises(ValueError, match="at least 100"):
        tool(hours, max_result_chars=3)
    with pytest.raises(ValueError, match="no parameter 'pin'"):
        tool(hours, sensitive_args=["pin"])


def test_sensitive_arguments_are_masked_and_bad_json_shows_nothing() -> None:
    def pay(card: str, amount: int) -> None: ...

    made = tool(pay, sensitive_args=["card"])
    assert made.visible_arguments('{"card": "4111", "amount": 3}') == {"card": "***", "amount": 3}
    for arguments in ("{", "[]", "", "null", "[" * 100_000):
        assert made.visible_arguments(arguments) == {}


async def test_end_call_asks_the_conversation_to_hang_up_after_the_goodbye() -> None:
    asked: list[tuple[str, dict[str, object]]] = []
    context = ToolContext(request=lambda name, details: asked.append((name, dict(details))))
    assert await end_call(context, goodbye="Bye.") == "Bye."
    assert asked == [(HANG_UP, {"reason": "conversation finished", "after_speech": True})]
    assert PREBUILT["end_call"].spec.parameters["properties"].keys() == {"goodbye"}


async def test_a_tool_without_a_conversation_may_ask_in_vain() -> None:
    await end_call(ToolContext())


def test_options_of_a_call_are_kept_and_wrong_ones_refused() -> None:
    options = {"exclusive": True, "idempotent": True, "max_calls": 2, "max_errors": 1, "tags": ["a"], "kind": "http"}
    made = FunctionTool(hours, wait="later", **options)
    assert (made.is_later, made.exclusive, made.idempotent) == (True, True, True)
    assert (made.max_calls, made.max_errors, made.tags, made.kind) == (2, 1, ("a",), "http")
    with pytest.raises(ValueError, match="block or later"):
        tool(hours, wait="soon")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="never_require, always_require or a function"):
        tool(hours, approval_mode="sometimes")  # type: ignore[call-overload]


def test_a_schema_in_place_of_the_hints_is_checked_when_the_tool_is_made() -> None:
    def relay(**arguments: object) -> None: ...

    made = tool(relay, schema={"properties": {"a": {"type": "integer"}}})
    assert made.spec.parameters == {"type": "object", "properties": {"a": {"type": "integer"}}}
    with pytest.raises(TypeError, match="not object"):
        tool(relay, schema={"type": "string"})
    with pytest.raises(TypeError, match="is wrong"):
        tool(relay, schema={"properties": {"a": {"type": "colour"}}})
    with pytest.raises(TypeError, match="65536 bytes"):
        tool(relay, schema={"properties": {"a": {"description": "x" * 70_000}}})


def test_a_tool_without_a_function_is_declared_only() -> None:
    made = FunctionTool(None, name="show", schema={"properties": {}}, description="Show it.")
    assert made.is_declared_only
    assert made.spec.description == "Show it."
    with pytest.raises(RuntimeError, match="only declared"):
        made()
    with pytest.raises(ValueError, match="declared by"):
        FunctionTool(None, schema={})
