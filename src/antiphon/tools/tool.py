"""``@tool``: a typed function becomes something that a model may call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack, overload

import msgspec

from antiphon.models.llm.contract import ToolSpec
from antiphon.tools.schema import first_paragraph, parameters_of

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MASK = "***"


class FunctionTool:
    """A function with all that is needed to show it to a model and to run it. Does not change once made.

    Calling the object calls the function.

    Args:
        function: Async or sync. Sync functions run in a thread, so that they cannot hold up other calls.
        name: How the model calls it; the function's name unless given.
        description: When to use it; the first paragraph of the docstring unless given.
        timeout_s: Longest run, 0.05..300; then the model reads that the tool was too slow.
        filler: Words for a caller who waits; several take turns. The agent's own unless given.
        filler_after_s: How long a caller waits before the filler.
        cancel_on_interrupt: Whether an interruption ends a running call. Otherwise it goes on to its end, because
            what it does (a booking) may be half done.
        return_direct: Whether the result is the answer: it is told as it is, and the model is not asked again. Where
            the model wrote words beside the call, those are the answer.
        sensitive_args: Parameters that are masked in logs and events.
        max_result_chars: A longer result is cut, with a mark.

    Raises:
        TypeError: A parameter cannot be shown to a model.
        ValueError: An option is out of its bounds.
    """

    __slots__ = (
        "cancel_on_interrupt",
        "description",
        "filler",
        "filler_after_s",
        "function",
        "is_async",
        "max_result_chars",
        "name",
        "parameters",
        "return_direct",
        "sensitive_args",
        "spec",
        "timeout_s",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout_s: float = 10.0,
        filler: str | Sequence[str] | None = None,
        filler_after_s: float = 1.5,
        cancel_on_interrupt: bool = False,
        return_direct: bool = False,
        sensitive_args: Sequence[str] = (),
        max_result_chars: int = 16_384,
    ) -> None:
        self.function = function
        self.name: str = name or str(getattr(function, "__name__", type(function).__name__))
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"Tool {self.name!r} needs a name of 1 to 64 letters, digits, _ or -; give it with name=.")
        if not 0.05 <= timeout_s <= 300:
            raise ValueError(f"Tool {self.name!r}: timeout_s is {timeout_s}; choose 0.05 to 300 seconds.")
        if max_result_chars < 100:
            raise ValueError(f"Tool {self.name!r}: max_result_chars is {max_result_chars}; choose at least 100.")
        self.description = first_paragraph(inspect.getdoc(function) or "") if description is None else description
        self.timeout_s = timeout_s
        self.filler = (filler,) if isinstance(filler, str) else tuple(filler or ())
        self.filler_after_s = filler_after_s
        self.cancel_on_interrupt = cancel_on_interrupt
        self.return_direct = return_direct
        self.sensitive_args = frozenset(sensitive_args)
        self.max_result_chars = max_result_chars
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
        self.parameters = parameters_of(function, self.name)
        unknown = self.sensitive_args - self.parameters.schema["properties"].keys()
        if unknown:
            raise ValueError(f"Tool {self.name!r} has no parameter {sorted(unknown)[0]!r} to keep secret.")
        self.spec = ToolSpec(self.name, self.description, self.parameters.schema)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as if it were no tool."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"FunctionTool({self.name!r})"

    def visible_arguments(self, arguments: str) -> dict[str, Any]:
        """A model's arguments as logs and events may show them: sensitive ones masked; empty where no JSON object."""
        try:
            given = msgspec.json.decode(arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            return {}
        if not isinstance(given, dict):
            return {}
        return {key: _MASK if key in self.sensitive_args else value for key, value in given.items()}


class ToolOptions(TypedDict, total=False):
    """The options of ``FunctionTool``, for ``tool``."""

    name: str | None
    description: str | None
    timeout_s: float
    filler: str | Sequence[str] | None
    filler_after_s: float
    cancel_on_interrupt: bool
    return_direct: bool
    sensitive_args: Sequence[str]
    max_result_chars: int


@overload
def tool(function: Callable[..., Any], /, **options: Unpack[ToolOptions]) -> FunctionTool: ...


@overload
def tool(**options: Unpack[ToolOptions]) -> Callable[[Callable[..., Any]], FunctionTool]: ...


def tool(
    function: Callable[..., Any] | None = None, /, **options: Unpack[ToolOptions]
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a tool of a function: ``@tool``, ``@tool(timeout_s=3)`` or ``tool(clinic.book)``.

    The options are those of ``FunctionTool``.
    """
    if function is None:
        return lambda later: FunctionTool(later, **options)
    return FunctionTool(function, **options)
