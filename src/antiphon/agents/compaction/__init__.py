"""Compaction: what of a long conversation a model is sent. The record itself is never shortened."""

from antiphon.agents.compaction.contract import Compaction
from antiphon.agents.compaction.fact_sheet import FactSheet
from antiphon.agents.compaction.sliding_window import SlidingWindow
from antiphon.agents.compaction.summarization import Summarization
from antiphon.agents.compaction.token_budget import TokenBudget
from antiphon.agents.compaction.tool_results import ToolResultCompaction
from antiphon.agents.compaction.truncation import Truncation

__all__ = [
    "Compaction",
    "FactSheet",
    "SlidingWindow",
    "Summarization",
    "TokenBudget",
    "ToolResultCompaction",
    "Truncation",
]
