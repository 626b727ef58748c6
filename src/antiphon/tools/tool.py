"""``@tool``: a typed function becomes something that a model may call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack, overload

import msgspec

from antiphon.logs import Log
from antiphon.models.llm.contract import ToolSpec
from antiphon.tools.context import ToolContext
from antiphon.tools.schema import Parameters, context_parameter, first_paragraph, parameters_of, parameters_of_schema

NeedsApproval = Callable[[Mapping[str, Any], ToolContext], bool | Awaitable[bool]]
MakeFiller = Callable[[Mapping[str, Any]], str]
ApprovalMode = Literal["never_require", "always_require"] | NeedsApproval

_log = Log(__name__)

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MASK = "***"


class FunctionTool:
    """A function with all that is needed to show it to a model and to run it. Does not change once made.

    Calling the object calls the function.

    Args:
        function: Async or sync. Sync functions run in a thread, so that they cannot hold up other calls.
        name: How the model calls it; the function's name unless given.
        description: When to use it; the first paragraph of the docstring unless given.
        schema: JSON Schema of the arguments, of type object, in place of the one that the type hints give; the
            function then gets what the model gives, checked against it. For tools that somebody else describes.
        approval_mode: ``never_require``, ``always_require``, or a function ``(arguments, context) -> bool``: whether
            a person has to approve a call before it runs.
        timeout_s: Longest run, 0.05..300; then the model reads that the tool was too slow.
        wait: ``block``: the model waits for the result. ``later``: it is told at once that the result will follow,
            and gets it in a later turn.
        filler: Words for a caller who waits; several take turns, a function makes them of the call's arguments and
            must be quick. The agent's own unless given.
        filler_after_s: How long a caller waits before the filler.
        cancel_on_interrupt: Whether an interruption ends a running call. Otherwise it goes on to its end, because
            what it does (a booking) may be half done.
        exclusive: Never at the same time as another call of the run.
        idempotent: Whether the call may be run again after a crash.
        max_calls: Calls in one run; further ones get an error.
        max_errors: Failed calls in one run; further ones get an error.
        return_direct: Whether the result is the answer: it is told as it is, and the model is not asked again. Where
            the model wrote words beside the call, those are the answer.
        sensitive_args: Parameters that are masked in logs and events.
        max_result_chars: A longer result is cut, with a mark; the run's limit unless given.
        result_parser: Makes what the model reads of what the function returned.
        kind: What it is, for people: ``function``, ``mcp``, ``http``, ``agent``.
        tags: Free.
        metadata: Free.

    Without a function the tool is only declared: a call of it ends the run, and the caller gives the result.

    Raises:
        TypeError: It is no function, or a parameter cannot be shown to a model.
        ValueError: An option is out of its bounds.
    """

    __slots__ = (
        "approval_mode",
        "cancel_on_interrupt",
        "description",
        "exclusive",
        "filler",
        "filler_after_s",
        "function",
        "idempotent",
        "is_async",
        "is_declared_only",
        "is_later",
        "kind",
        "make_filler",
        "max_calls",
        "max_errors",
        "max_result_chars",
        "metadata",
        "name",
        "needs_care",
        "parameters",
        "result_parser",
        "return_direct",
        "sensitive_args",
        "spec",
        "tags",
        "timeout_s",
    )

    def __init__(
        self,
        function: Callable[..., Any] | None,
        *,
        name: str | None = None,
        description: str | None = None,
        schema: Mapping[str, Any] | None = None,
        approval_mode: ApprovalMode = "never_require",
        timeout_s: float = 10.0,
        wait: Literal["block", "later"] = "block",
        filler: str | Sequence[str] | MakeFiller | None = None,
        filler_after_s: float = 1.5,
        cancel_on_interrupt: bool = False,
        exclusive: bool = False,
        idempotent: bool = False,
        max_calls: int | None = None,
        max_errors: int | None = None,
        return_direct: bool = False,
        sensitive_args: Sequence[str] = (),
        max_result_chars: int | None = None,
        result_parser: Callable[[Any], Any] | None = None,
        kind: str = "function",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.is_declared_only = function is None
        if function is None:
            if name is None or schema is None:
                raise ValueError("A tool without a function is declared by its name= and schema=.")
            function = _declared_only
        if not callable(function):
            raise TypeError(f"{function!r} is no tool: give a function, a FunctionTool, an agent or a source of tools.")
        self.function: Callable[..., Any] = function
        self.name: str = name or str(getattr(function, "__name__", type(function).__name__))
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"Tool {self.name!r} needs a name of 1 to 64 letters, digits, _ or -; give it with name=.")
        if not 0.05 <= timeout_s <= 300:
            raise ValueError(f"Tool {self.name!r}: timeout_s is {timeout_s}; choose 0.05 to 300 seconds.")
        if max_result_chars is not None and max_result_chars < 100:
            raise ValueError(f"Tool {self.name!r}: max_result_chars is {max_result_chars}; choose at least 100.")
        if not callable(approval_mode) and approval_mode not in ("never_require", "always_require"):
            raise ValueError(
                f"Tool {self.name!r}: approval_mode is {approval_mode!r}; choose never_require, always_require or a "
                "function of the arguments and the context."
            )
        if wait not in ("block", "later"):
            raise ValueError(f"Tool {self.name!r}: wait is {wait!r}; choose block or later.")
        self.approval_mode = approval_mode
        self.is_later = wait == "later"
        self.exclusive = exclusive
        self.idempotent = idempotent
        self.max_calls = max_calls
        self.max_errors = max_errors
        self.result_parser = result_parser
        self.kind = kind
        self.tags = tuple(tags)
        self.metadata = dict(metadata or {})
        self.description = first_paragraph(inspect.getdoc(function) or "") if description is None else description
        self.timeout_s = timeout_s
        self.make_filler = filler if callable(filler) else None
        texts = (filler,) if isinstance(filler, str) else filler
        self.filler: tuple[str, ...] = () if texts is None or callable(texts) else tuple(texts)
        self.filler_after_s = filler_after_s
        self.cancel_on_interrupt = cancel_on_interrupt
        self.return_direct = return_direct
        self.sensitive_args = frozenset(sensitive_args)
        self.max_result_chars = max_result_chars
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
        self.parameters: Parameters = (
            parameters_of(function, self.name)
            if schema is None
            else parameters_of_schema(schema, self.name, context_name=context_parameter(function, self.name))
        )
        self.needs_care = (
            self.is_declared_only or approval_mode != "never_require" or max_calls is not None or max_errors is not None
        )
        """Whether a call is not simply run: a person approves it, the application answers it, or it is counted."""
        unknown = self.sensitive_args - self.parameters.schema["properties"].keys()
        if unknown:
            raise ValueError(f"Tool {self.name!r} has no parameter {sorted(unknown)[0]!r} to keep secret.")
        self.spec = ToolSpec(self.name, self.description, self.parameters.schema)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as if it were no tool."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"FunctionTool({self.name!r})"

    def fillers_for(self, arguments: str) -> tuple[str, ...]:
        """Words for a caller who waits for a call with these arguments; empty where the tool has none of its own."""
        if self.make_filler is None:
            return self.filler
        try:
            return (self.make_filler(self.parameters.decode(arguments)),)
        except Exception:  # the root of somebody else's code: a caller who hears nothing has lost little
            _log.error("tool.filler_failed", tool=self.name, exc_info=True)
            return ()

    def visible_arguments(self, arguments: str) -> dict[str, Any]:
        """A model's arguments as logs and events may show them: sensitive ones masked; empty where no JSON object."""
        try:
            given = msgspec.json.decode(arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            return {}
        if not isinstance(given, dict):
            return {}
        return {key: _MASK if key in self.sensitive_args else value for key, value in given.items()}


def _declared_only(**_: Any) -> None:
    raise RuntimeError("This tool is only declared: whoever ran the agent answers its calls.")


class ToolOptions(TypedDict, total=False):
    """The options of ``FunctionTool``, for ``tool``."""

    name: str | None
    description: str | None
    schema: Mapping[str, Any] | None
    approval_mode: ApprovalMode
    timeout_s: float
    wait: Literal["block", "later"]
    filler: str | Sequence[str] | MakeFiller | None
    filler_after_s: float
    cancel_on_interrupt: bool
    exclusive: bool
    idempotent: bool
    max_calls: int | None
    max_errors: int | None
    return_direct: bool
    sensitive_args: Sequence[str]
    max_result_chars: int | None
    result_parser: Callable[[Any], Any] | None
    kind: str
    tags: Sequence[str]
    metadata: Mapping[str, Any] | None


@overload
def tool(function: Callable[..., Any], /, **options: Unpack[ToolOptions]) -> FunctionTool: ...


@overload
def tool(**options: Unpack[ToolOptions]) -> Callable[[Callable[..., Any]], FunctionTool]: ...


def tool(
    function: Callable[..., Any] | None = None, /, **options: Unpack[ToolOptions]
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a tool of a function: ``@tool``, ``@tool(timeout_s=3)`` or ``tool(clinic.book)``.

    The options are those of ``FunctionTool``.

    Raises:
        TypeError: A parameter cannot be shown to a model.
        ValueError: An option is out of its bounds.
    """
    if function is None:
        return lambda later: FunctionTool(later, **options)
    return FunctionTool(function, **options)
