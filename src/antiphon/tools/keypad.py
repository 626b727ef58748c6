"""Tools of the telephone's keypad: keys that the agent presses, and a gate that a secret number opens."""

from __future__ import annotations

import asyncio
import hmac
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from antiphon.tools.context import ToolContext
from antiphon.tools.tool import FunctionTool, tool

SEND_KEYS = "send_keys"
"""The request to press keys on the line. Its details: ``keys``."""
ASK_SECRET = "ask_secret"
"""The request to give what is typed to nobody but a check. Its details: ``secret``, a ``SecretNumber``."""
EXPECT = "expect"
"""The request to be patient with the caller's next turn. Its details: ``what`` is asked for, out of ``number``,
``date``, ``birth_date``, ``email`` and ``spelling``, and how many ``digits`` a number has, where that is known."""

KEYS = frozenset("0123456789*#ABCD")
PAUSES = frozenset("wW")
MOST_KEYS = 64
AGAIN = "That was not right. Please type it again."
_LONGEST_S = 300.0
_GATE = "gate"
_MENU_DIGITS = 2
"""A number this short is a choice and no secret."""

Expected = str | Callable[[ToolContext], str | Awaitable[str | None] | None] | None
Check = Callable[[str, ToolContext], bool | Awaitable[bool]]


@dataclass(frozen=True, slots=True, eq=False)
class SecretNumber:
    """A number that the caller types and nobody reads.

    Attributes:
        check: Whether it is the right one.
        length: Its digits, where known: then it needs no ``#``.
        attempts: How often it may be wrong; as the agent has it unless given.
        timeout_s: Time for each attempt; as the agent has it unless given.
        again: Said after a wrong one.
        opened: Gets the outcome.
    """

    check: Callable[[str], Awaitable[bool]] = field(repr=False)
    opened: asyncio.Future[bool] = field(repr=False)
    length: int | None = None
    attempts: int | None = None
    timeout_s: float | None = None
    again: str = AGAIN


@tool(sensitive_args=("keys",))
async def send_dtmf(context: ToolContext, keys: str) -> str:
    """Press keys of the telephone, to work the menu of a machine on the other end.

    Args:
        context: The call whose line it is.
        keys: The keys in order: 0 to 9, * and #; w waits for half a second, W for a second.
    """
    pressed = "".join(key if key in PAUSES else key.upper() for key in "".join(keys.split()))
    if not pressed:
        return "No keys were given."
    if len(pressed) > MOST_KEYS or not (KEYS | PAUSES).issuperset(pressed):
        return f"These keys cannot be pressed: give up to {MOST_KEYS} of 0 to 9, *, #, and w or W for a pause."
    context.request(SEND_KEYS, {"keys": pressed})
    return "The keys are pressed."


def pin_gate(
    expected: Expected = None,
    *,
    check: Check | None = None,
    length: int | None = None,
    attempts: int | None = None,
    timeout_s: float | None = None,
    again: str = AGAIN,
    name: str = "pin_gate",
) -> FunctionTool:
    """A tool that lets a caller prove by the keypad who it is. Other tools ask ``is_open`` before they tell anything.

    It opens when the right number was typed, and by nothing else. After the last attempt the call ends. A number that
    may be the secret is kept from the model too when it is typed before the gate asks: three digits or more, up to
    ``length``. The gate tries the last of these first; a wrong one is no attempt.

    Args:
        expected: The right number, or a function of the context that finds it; None from that keeps the gate closed.
        check: In place of ``expected``: a function ``(digits, context)`` that says whether they are right.
        length: Digits of the number, where it is known: then it needs no ``#``.
        attempts: How often it may be typed; the agent's ``dtmf.attempts`` unless given.
        timeout_s: Time for each attempt; the agent's ``dtmf.timeout_s`` unless given.
        again: Said after a wrong number.
        name: Of the tool and the gate, where there are several.

    Raises:
        ValueError: Neither ``expected`` nor ``check`` is given, or both.
    """
    if (expected is None) == (check is None):
        raise ValueError(f"The gate {name!r} needs expected= or check=: without it, no number would open it.")

    async def ask(context: ToolContext) -> str:
        if is_open(context, name):
            return "The caller has typed the right number before."

        async def is_right(digits: str) -> bool:
            return await _is_right(digits, context, expected, check)

        opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        secret = SecretNumber(is_right, opened, length, attempts, timeout_s, again)
        context.request(ASK_SECRET, {"secret": secret})
        if not await opened:
            return "The caller did not type the right number."
        context.state[_key(name)] = True
        return "The caller has typed the right number."

    return tool(
        ask,
        name=name,
        description="Check who the caller is by a secret number. Call this, then ask the caller to type the number on "
        "the telephone's keypad. Never ask for it to be spoken. The result tells whether it was right.",
        wait="later",
        timeout_s=_LONGEST_S,
        tags=(_GATE,),
        metadata={"length": length},
    )


def is_open(context: ToolContext, name: str = "pin_gate") -> bool:
    """Whether the caller of this conversation has opened the gate."""
    return context.state.get(_key(name)) is True


def gate_of(digits: str, tools: Iterable[FunctionTool], state: Mapping[str, Any]) -> str | None:
    """The name of the gate whose secret these digits may be, although it has not asked; None where there is none."""
    for each in tools:
        if _GATE in each.tags and state.get(_key(each.name)) is not True:
            length = each.metadata.get("length")
            if _MENU_DIGITS < len(digits) <= (len(digits) if length is None else length):
                return each.name
    return None


async def _is_right(digits: str, context: ToolContext, expected: Expected, check: Check | None) -> bool:
    if check is not None:
        answer = check(digits, context)
        return (await answer if inspect.isawaitable(answer) else answer) is True
    right = expected(context) if callable(expected) else expected
    if inspect.isawaitable(right):
        right = await right
    return bool(right) and hmac.compare_digest(digits.encode(), str(right).encode())


def _key(name: str) -> str:
    return f"open:{name}"
