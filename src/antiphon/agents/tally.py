"""What a run has used up: which calls it refuses, and the limit that it has met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from antiphon.agents.limits import RunLimits
from antiphon.agents.responses import Limit
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.tools.invoke import result_of
from antiphon.tools.tool import FunctionTool

_FAILED = ("error", "timeout")
_ENOUGH = "often enough; go on without it."


class Tally:
    """Counts the calls of a run.

    Args:
        limits: What the run may use.
    """

    __slots__ = ("_calls", "_errors", "_failed_steps", "_limits", "_made")

    def __init__(self, limits: RunLimits) -> None:
        self._limits = limits
        self._calls = 0
        self._failed_steps = 0
        self._made: dict[str, int] = {}
        self._errors: dict[str, int] = {}

    @property
    def has_calls(self) -> bool:
        """Whether anything was called; a model that must call something has done so then."""
        return self._calls > 0

    def refuse(
        self, calls: Sequence[FunctionCall], tools: Mapping[str, FunctionTool], settled: dict[str, FunctionResult]
    ) -> None:
        """Settle the calls that are too many: for the run, or of a tool that was called, or failed, too often."""
        most = self._limits.max_tool_calls
        for place, call in enumerate(calls):
            tool = tools.get(call.name)
            if most is not None and self._calls + place >= most:
                if call.call_id not in settled:
                    settled[call.call_id] = result_of(
                        call, "error", f"It did not run: {most} calls are all there may be."
                    )
            elif tool is not None and (tool.max_calls is not None or tool.max_errors is not None):
                fault = self._fault_of(tool)
                if fault:
                    settled[call.call_id] = result_of(call, "error", f"This function {fault} {_ENOUGH}")

    def note(self, results: Sequence[FunctionResult | None]) -> None:
        """Count what came of the calls of a step."""
        self._calls += len(results)
        failed = [result for result in results if result is not None and result.status in _FAILED]
        for result in failed:
            self._errors[result.name] = self._errors.get(result.name, 0) + 1
        self._failed_steps = self._failed_steps + 1 if failed and len(failed) == len(results) else 0

    def limit(self, steps: int) -> Limit | None:
        """The limit that is met after so many steps, if any."""
        limits = self._limits
        if self._failed_steps >= limits.max_consecutive_errors:
            return "max_consecutive_errors"
        if limits.max_tool_calls is not None and self._calls >= limits.max_tool_calls:
            return "max_tool_calls"
        return "max_model_steps" if steps >= limits.max_model_steps else None

    def _fault_of(self, tool: FunctionTool) -> str:
        made = self._made[tool.name] = self._made.get(tool.name, 0) + 1
        if tool.max_calls is not None and made > tool.max_calls:
            return "was called"
        return "failed" if tool.max_errors is not None and self._errors.get(tool.name, 0) >= tool.max_errors else ""
