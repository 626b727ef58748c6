"""What one run may use."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one run (one turn) may use. At a limit the model is asked once more, without tools; only time ends a run.

    Attributes:
        max_model_steps: Requests that may call tools.
        max_tool_calls: Tool calls in all; None is no limit.
        max_parallel_tools: Calls of one step that run at once.
        max_consecutive_errors: Steps in a row in which every call failed.
        max_seconds: Longest run; it then ends with the text that it has.
        max_handoffs: Changes of the agent.
        max_result_chars: A tool's longer result is cut, with a mark.
    """

    max_model_steps: int = 10
    max_tool_calls: int | None = None
    max_parallel_tools: int = 8
    max_consecutive_errors: int = 3
    max_seconds: float = 600.0
    max_handoffs: int = 5
    max_result_chars: int = 65_536

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "max_handoffs" else 1e-9
            if value is not None and value < least:
                raise ValueError(f"RunLimits.{field.name} is {value}; choose more than 0.")

    @classmethod
    def voice(cls) -> RunLimits:
        """For a caller who waits on the line."""
        return cls(max_model_steps=5, max_seconds=90.0, max_handoffs=3, max_result_chars=16_384)
