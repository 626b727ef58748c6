"""What a collector asks for, and how an answer is checked: code decides, not the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, TypedDict

from antiphon.errors import ToolException
from antiphon.tools.tool import FunctionTool

Wanted = Literal["number", "date", "birth_date", "email", "spelling"]
Values = Mapping[str, str]

SECRET_MARK = "•"
_OPEN_S = 60.0
_NOBODY_TO_ASK = "Nobody can be asked here: this needs a conversation."


@dataclass(frozen=True, slots=True)
class Known:
    """What a check may know.

    Attributes:
        today: The date.
        values: What was recorded before, checked.
        language: BCP 47 tag of the conversation, where it is known.
    """

    today: date
    values: Values
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a form.

    Attributes:
        name: The key of the result.
        about: What it is and how it may be given, for the model.
        check: Gives the value as it is kept, or raises ``ValueError`` with a sentence that says why not.
        required: Whether the form is not whole without it.
        shown: Of a secret value, what may be read of it. None: the value is no secret.
        expects: What to be patient with while the caller gives it.
        digits: How many digits it has, where that is known.
    """

    name: str
    about: str
    check: Callable[[str, Known], str]
    required: bool = True
    shown: Callable[[str], str] | None = None
    expects: Wanted | None = None
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked for, and how.

    Attributes:
        type: ``collect_email`` and so on.
        wants: What it is, in words that end "You take down ...".
        guide: How to ask for it.
        fields: Its values.
        told: The values as they are read back to the caller.
        added: Values that follow from the others.
        confirms: Whether it is read back, and counts only when the caller says that it is right.
        opening: The first words to the caller; the model's own unless given.
    """

    type: str
    wants: str
    guide: str
    fields: tuple[Field, ...]
    told: Callable[[Values], str]
    added: Callable[[Values], dict[str, str]] = field(default=lambda values: {})
    confirms: bool = True
    opening: str = ""

    @property
    def secret(self) -> frozenset[str]:
        """The names of the values that nobody may read who reads along."""
        return frozenset(each.name for each in self.fields if each.shown is not None)

    def missing(self, values: Values) -> list[Field]:
        """What is still to be asked for."""
        return [each for each in self.fields if each.required and each.name not in values]

    def shown(self, values: Values) -> dict[str, str]:
        """The values as everybody may read them."""
        marks = {each.name: each.shown for each in self.fields if each.shown is not None}
        return {name: marks[name](value) if name in marks else value for name, value in values.items()}


class CollectTool(FunctionTool):
    """A tool that asks the caller for something, turn by turn, while the agent that called it waits.

    Args:
        form: What is asked for.
        name: How the model calls it.
        description: When to call it.
        timeout_s: How long the whole of it may take.
    """

    __slots__ = ("form",)

    def __init__(self, form: Form, *, name: str, description: str, timeout_s: float) -> None:
        super().__init__(
            _ask_nobody,
            name=name,
            description=description,
            schema={"type": "object", "properties": {}},
            timeout_s=timeout_s,
            kind="agent",
        )
        self.form = form
        self.needs_care = True


class CollectOptions(TypedDict, total=False):
    """What all collectors may be told.

    Attributes:
        tool_name: How the model calls it; the collector's own name unless given.
        tool_description: When to call it.
        require_confirmation: Whether the value is read back and has to be confirmed.
        on_enter_message: The first words to the caller, word for word.
        timeout_s: How long the whole of it may take, 1 to 300 seconds.
        instructions: How to ask, in place of the collector's own guide.
        extra_instructions: More of how to ask.
    """

    tool_name: str
    tool_description: str
    require_confirmation: bool
    on_enter_message: str
    timeout_s: float
    instructions: str
    extra_instructions: str


_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("tool_name", "tool_description", "on_enter_message", "instructions", "extra_instructions"), str),
    "require_confirmation": bool,
    "timeout_s": (int, float),
}
_KINDS_IN_WORDS: dict[object, str] = {str: "text", bool: "true or false", (int, float): "a number"}


def collector(
    type_name: str,
    options: CollectOptions,
    *,
    wants: str,
    guide: str,
    fields: tuple[Field, ...],
    told: Callable[[Values], str],
    added: Callable[[Values], dict[str, str]] | None = None,
    timeout_s: float = _OPEN_S,
) -> CollectTool:
    """Make a tool of a form; arguments as in ``Form``.

    Raises:
        TypeError: There is no such option.
        ValueError: An option is out of its bounds.
    """
    for name, value in options.items():
        if name not in _KINDS:
            raise TypeError(f"{type_name} has no option {name!r}.")
        if not isinstance(value, _KINDS[name]):
            raise TypeError(f"{type_name}: {name} is {value!r}; give {_KINDS_IN_WORDS[_KINDS[name]]}.")
    parts = (options.get("instructions") or guide, options.get("extra_instructions", ""))
    form = Form(
        type_name,
        wants,
        "\n".join(part for part in parts if part),
        fields,
        told,
        added or (lambda values: {}),
        options.get("require_confirmation", True),
        options.get("on_enter_message", ""),
    )
    about = f"Ask the caller for {wants} and check it. Use it whenever you need this, instead of asking yourself."
    seconds = options.get("timeout_s", timeout_s)
    if not 1 <= seconds <= 300:
        raise ValueError(f"{type_name}: timeout_s is {seconds}; choose 1 to 300 seconds.")
    return CollectTool(
        form,
        name=options.get("tool_name", type_name),
        description=options.get("tool_description", about),
        timeout_s=seconds,
    )


async def _ask_nobody(**_: Any) -> str:
    raise ToolException(_NOBODY_TO_ASK)
