"""A tool that brings the caller to a person: to whom the agent may transfer is configured, not invented."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from antiphon.errors import ToolException
from antiphon.tools.context import ToolContext
from antiphon.tools.tool import FunctionTool

TRANSFER = "transfer"
"""The request to bring the caller to somebody else. Its details: ``transfer``, a ``Transfer``, and ``answer``, a future
that gets the sentence why it cannot be, or nothing when it will be tried behind what is being said."""

TransferKind = Literal["blind", "warm"]
KINDS: tuple[TransferKind, ...] = get_args(TransferKind)

HOLD_TEXT = "Please hold the line, I am connecting you."
NO_LINE = "This conversation is no phone call: it cannot be transferred."

_NUMBER = re.compile(r"\+[1-9]\d{1,14}")
_SIP = re.compile(r"sips?:[^\s@<>\"'?&]{1,64}@[^\s@<>\"'?&]{1,190}")
_MOST_CHARS = 1000
_DESCRIPTION = (
    "Connect the caller to a person, and leave the call. Use it when the caller asks for somebody, or needs what you "
    "cannot do. The caller hears hold_text first. If nobody can be reached you are told so, and go on."
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """The wish to bring a caller to somebody else.

    Attributes:
        destination: A phone number in E.164, or a ``sip:`` address.
        kind: ``blind``: the caller is handed over at once; ``warm``: the other party is called first, and hears
            ``summary`` alone.
        name: What the agent calls the destination.
        reason: Why, in a few words.
        summary: What the other party should know.
        language: In which that is read to it, a BCP 47 tag; the agent's unless given.
    """

    destination: str
    kind: TransferKind = "blind"
    name: str = ""
    reason: str = ""
    summary: str = ""
    language: str = ""

    @property
    def is_sip(self) -> bool:
        """Whether the destination is no phone number."""
        return self.destination.startswith("sip")

    @property
    def whom(self) -> str:
        """The destination as people call it."""
        return self.name or self.destination


def checked_destination(text: str) -> str:
    """A destination that can be dialled, without the blanks and signs that people write into numbers.

    Raises:
        ValueError: It is neither a phone number in E.164 nor a ``sip:`` address.
    """
    plain = text.strip()
    if not plain.startswith("sip"):
        plain = re.sub(r"[\s().\-/]", "", plain)
    if _NUMBER.fullmatch(plain) or _SIP.fullmatch(plain):
        return plain
    raise ValueError(f"{text[:40]!r} cannot be dialled: give a number as +493023125000, or sip:name@host.")


def transfer_call(
    destinations: Mapping[str, str] | None = None,
    *,
    any_number: bool = False,
    kinds: Sequence[TransferKind] = KINDS,
    hold_text: str = HOLD_TEXT,
    tool_name: str = "transfer_call",
) -> FunctionTool:
    """A tool with which an agent brings the caller to a person.

    Args:
        destinations: Whom the agent may call, by name: numbers as ``+493023125000``, or ``sip:`` addresses.
        any_number: Whether it may also call a number that the caller has given.
        kinds: How it may transfer; the first is what it does unless it says otherwise.
        hold_text: Said to the caller before, unless the model has words of its own.
        tool_name: Of the tool.

    Raises:
        ValueError: There is nobody to call, or a destination cannot be dialled.
    """
    known = {key: _of_file(key, each) for key, each in (destinations or {}).items()}
    if not known and not any_number:
        raise ValueError("it needs destinations: without them there is nobody to transfer to.")
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"its kinds are {kinds!r}: give a list with one or both of {', '.join(KINDS)}.")
    usual_kind, usual_text = kinds[0], hold_text

    async def transfer(
        context: ToolContext,
        destination: str,
        reason: str = "",
        type: TransferKind = usual_kind,
        context_summary: str = "",
        hold_text: str = usual_text,
    ) -> str:
        if type not in kinds:
            raise ToolException(f"There is no {type} transfer here: use {' or '.join(kinds)}.")
        called, number = _pick(destination, known, any_number=any_number)
        wish = Transfer(number, type, called, reason[:_MOST_CHARS], context_summary[:_MOST_CHARS])
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        context.request(TRANSFER, {"transfer": wish, "answer": answer})
        refusal = answer.result() if answer.done() else NO_LINE
        if refusal:
            raise ToolException(refusal)
        return hold_text

    return FunctionTool(
        transfer,
        name=tool_name,
        description=_DESCRIPTION,
        schema=_schema(known, any_number=any_number, kinds=kinds, hold_text=hold_text),
        return_direct=True,
    )


def _of_file(name: str, destination: object) -> str:
    if not isinstance(destination, str):  # YAML takes +493023125012 for a sum
        raise ValueError(f"the destination {name!r} must be text: put it in quotes.")
    return checked_destination(destination)


def _pick(wanted: str, known: Mapping[str, str], *, any_number: bool) -> tuple[str, str]:
    """Name and number of whom the model wants."""
    name = next((each for each in known if each.casefold() == wanted.strip().casefold()), None)
    if name is not None:
        return name, known[name]
    names = f"Use one of: {', '.join(known)}." if known else "Ask the caller for the whole number, with its country."
    if not any_number:
        raise ToolException(f"There is no destination {wanted[:40]!r}. {names}")
    try:
        return "", checked_destination(wanted)
    except ValueError:
        raise ToolException(f"{wanted[:40]!r} cannot be dialled. {names}") from None


def _schema(
    known: Mapping[str, str], *, any_number: bool, kinds: Sequence[TransferKind], hold_text: str
) -> dict[str, Any]:
    destination: dict[str, Any] = {"type": "string", "description": "Whom to connect the caller to."}
    if any_number:
        names = f"One of {', '.join(known)}, or a" if known else "A"
        destination["description"] = f"{names} number that the caller has given, with its country: +493023125000."
    else:
        destination["enum"] = list(known)
    properties: dict[str, Any] = {
        "destination": destination,
        "reason": {"type": "string", "description": "Why, in a few words."},
        "type": {
            "type": "string",
            "enum": list(kinds),
            "description": "blind hands the caller over at once; warm calls the person first and tells the summary.",
        },
        "context_summary": {
            "type": "string",
            "description": "What the person should know: who calls, what for, and what was done. It is read to them.",
        },
        "hold_text": {
            "type": "string",
            "description": f"What you say to the caller now, in the caller's language; else: {hold_text!r}",
        },
    }
    if len(kinds) == 1:
        del properties["type"]
    return {"type": "object", "properties": properties, "required": ["destination", "reason"]}
