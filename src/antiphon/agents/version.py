"""A short name for all that makes an agent behave as it does."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.tools.collect.form import CollectTool, Form
from antiphon.tools.tool import ApprovalMode, FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.compaction.contract import Compaction

_DIGITS = 16
_OPTIONS = (
    "timeout_s",
    "is_later",
    "filler",
    "filler_after_s",
    "exclusive",
    "max_calls",
    "max_errors",
    "max_result_chars",
    "return_direct",
    "cancel_on_interrupt",
)
_HANDOFF = (
    *("target_name", "tool_name", "handoff_type", "share_context", "context_vars", "when"),
    "require_client_id",
)
_TEXTS = (
    *("name", "description", "greeting", "return_greeting", "voice", "speed", "language", "phrases"),
    *("fillers", "keypad", "manners", "variables", "metadata", "limits"),
)


def version_of(agent: Agent) -> str:
    """A hash of an agent: the same for the same agent in code and in YAML, and in every process."""
    parts: dict[str, Any] = {name: getattr(agent, name) for name in _TEXTS}
    given = agent.instructions
    pieces = [given] if isinstance(given, str) or callable(given) else list(given)
    bed = agent.background
    parts["background"] = None if bed is None else (bed.name, bed.volume, bed.loop)
    parts["instructions"] = [_code(piece) if callable(piece) else piece.strip() for piece in pieces]
    parts["model"] = agent.model if agent.model is None or isinstance(agent.model, str) else agent.model.name
    parts["options"] = dataclasses.asdict(agent.request_options)
    parts["tools"] = {name: _tool(tool) for name, tool in agent.toolset.items()}
    parts["sources"] = [source.name for source in agent.sources]
    parts["handoffs"] = [[getattr(each, name) for name in _HANDOFF] for each in agent.routes]
    parts["compaction"] = _strategy(agent.compaction)
    parts["middleware"] = [_code(each) for each in agent.middleware]
    parts["providers"] = [provider.source_id for provider in agent.context_providers]
    encoded = msgspec.json.encode(parts, enc_hook=_named, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:_DIGITS]


def _tool(tool: FunctionTool) -> list[Any]:
    code = [_code(part) for part in (tool.function, tool.make_filler, tool.result_parser) if part is not None]
    form = _form(tool.form) if isinstance(tool, CollectTool) else []
    return [*code, *(getattr(tool, option) for option in _OPTIONS), _mode(tool.approval_mode), *form]


def _form(form: Form) -> list[Any]:
    fields = [[each.name, each.about, each.required, each.digits] for each in form.fields]
    return [form.type, form.wants, form.guide, form.confirms, form.opening, fields]


def _mode(approval_mode: ApprovalMode) -> str:
    return approval_mode if isinstance(approval_mode, str) else _code(approval_mode)


def _strategy(compaction: Compaction | None) -> str | None:
    """A strategy by its own words; one that has none, by its code."""
    if compaction is None:
        return None
    kind = type(compaction)
    return _code(kind) if kind.__repr__ is object.__repr__ else repr(compaction)


def _code(function: Any) -> str:
    """A function by its source, where it has one; a changed function is a changed agent."""
    try:
        return inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return str(_named(function))


def _named(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    kind = type(value)
    return getattr(value, "__qualname__", f"{kind.__module__}.{kind.__qualname__}")
