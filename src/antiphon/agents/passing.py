"""What one agent passes on to the next: the values of its templates, its greeting, and how it sounds this time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from antiphon.agents.handoff import Handoff
from antiphon.agents.instructions import template_values
from antiphon.agents.templates import render
from antiphon.logs import Log

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.session import AgentSession

WELCOME_BACK: Mapping[str, str] = {
    "de": "Willkommen zurück.",
    "en": "Welcome back.",
    "es": "Hola de nuevo.",
    "fr": "Bon retour parmi nous.",
    "it": "Bentornati.",
    "nl": "Welkom terug.",
    "pt": "Bem-vindo de volta.",
}
"""By language: said by an agent that has no words of its own for those who come back."""
CONTROL_KEYS = frozenset(
    "success handoff target_agent message handoff_summary should_interrupt_playback session_overrides".split()
)
"""What a tool's result says about a handoff, and not to the agent that takes over."""
_PROFILE = frozenset("session_profile client_id customer_intelligence institution_name".split())
"""What is known of the caller: an agent that does not share the context does not get it."""
_REASON = "unspecified"

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Passed:
    """What is said when the conversation is passed on.

    Attributes:
        reason: Why.
        context: What the other agent has to know.
        message: What a tool has said of it.
        details: More of what the matter is.
        client_id: Who calls, where the model knows it.
        overrides: How the other agent is to be this time: ``greeting``, ``voice``, ``template_vars``.
    """

    reason: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    details: Any = None
    client_id: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)


def passed_by_call(arguments: Mapping[str, Any]) -> Passed:
    """What the model says as it calls a handoff."""
    context = _without_control(arguments.get("context"))
    reason = _text(context.get("reason")) or _text(arguments.get("reason"))
    return Passed(reason, context, details=context.get("details"), client_id=_text(arguments.get("client_id")))


def passed_by_result(result: Mapping[str, Any], arguments: Mapping[str, Any]) -> Passed:
    """What a tool says that hands over, and the model as it called the tool."""
    context = _without_control(result.get("context")) | _without_control(result.get("handoff_context"))
    reasons = (result.get("handoff_summary"), context.get("reason"), arguments.get("reason"))
    overrides = result.get("session_overrides")
    return Passed(
        next((text for text in map(_text, reasons) if text), ""),
        context,
        _text(result.get("message")),
        context.get("details", result.get("details")),
        _text(result.get("client_id")) or _text(arguments.get("client_id")),
        overrides if isinstance(overrides, dict) else {},
    )


def values_brought(
    handoff: Handoff, passed: Passed, *, source: str, target: Agent, session: AgentSession, last_words: str
) -> dict[str, Any]:
    """The values of templates that a handoff brings, over those of the conversation.

    Args:
        handoff: The edge.
        passed: What is passed on.
        source: Who hands over.
        target: Who takes over.
        session: The conversation.
        last_words: What the caller said last.

    Raises:
        ConfigurationError: A template among the handoff's ``context_vars`` is wrong.
    """
    visited = [*dict.fromkeys((*session.visits, source, target.name))]
    brought: dict[str, Any] = {
        "is_handoff": True,
        "previous_agent": source,
        "active_agent": target.name,
        "visited_agents": visited,
        "handoff_reason": passed.reason or _REASON,
        "handoff_context": dict(passed.context) if handoff.share_context else {},
        "handoff_message": passed.message,
        "share_context": handoff.share_context,
        "greet_on_switch": handoff.handoff_type == "announced",
        "session_overrides": dict(passed.overrides),
    }
    if handoff.share_context:
        brought |= {"details": passed.details, "user_last_utterance": last_words}
        brought["client_id"] = passed.client_id or None
    more = passed.overrides.get("template_vars")
    brought |= more if isinstance(more, dict) else {}
    brought = {name: value for name, value in brought.items() if value is not None}
    known = template_values(target, laid_over(session.variables, brought))
    for name, value in handoff.context_vars.items():
        head, *inner = name.split(".")
        brought[head] = known[head] = _with(known.get(head), inner, _rendered(value, known))
    return brought


def laid_over(variables: Mapping[str, Any], brought: Mapping[str, Any]) -> dict[str, Any]:
    """The values of templates: the conversation's, and over them what the last handoff brought."""
    hidden = _PROFILE if brought.get("share_context") is False else frozenset()
    return {name: value for name, value in variables.items() if name not in hidden} | dict(brought)


def greeting_of(
    agent: Agent, handoff: Handoff, passed: Passed, *, session: AgentSession, values: Mapping[str, Any]
) -> str:
    """What an agent says as it takes over; empty for nothing. The first that there is, holds.

    The text that was asked for, as it is; nothing, where nobody is to notice; at the first visit the agent's greeting;
    at later ones that for those who come back.

    Raises:
        ConfigurationError: Its template is wrong.
    """
    asked = _text(passed.overrides.get("greeting")) or _text(values.get("greeting"))
    if asked:
        return asked  # never taken for a template: the caller's own words may be in it
    if handoff.handoff_type == "discrete":
        return ""
    if agent.name in session.visits:
        text = agent.return_greeting or WELCOME_BACK.get((agent.language or "en").lower().partition("-")[0], "")
    else:
        text = agent.greeting
    return render(text, template_values(agent, laid_over(session.variables, values))).strip()


def as_asked(agent: Agent, overrides: Mapping[str, Any]) -> Agent:
    """The agent with the voice that a tool has asked for this time."""
    voice = overrides.get("voice")
    if isinstance(voice, str) and voice:
        return agent.replace(voice=voice)
    if not isinstance(voice, dict):
        return agent
    changes: dict[str, Any] = {"voice": voice["name"]} if isinstance(voice.get("name"), str) else {}
    speed = speed_of(voice.get("rate"))
    if speed is not None:
        changes["speed"] = speed
    return agent.replace(**changes) if changes else agent


def speed_of(rate: object) -> float | None:
    """A pace such as 1.1 from ``+10%``; None from what is no such text, or beyond half and double."""
    sign, figure = (rate[:1], rate[1:-1]) if isinstance(rate, str) and rate.endswith("%") else ("", "")
    if sign not in ("+", "-") or not (figure.isascii() and figure.isdigit() and len(figure) <= 3):
        return None
    speed = 1 + int(sign + figure) / 100
    return round(speed, 2) if 0.5 <= speed <= 2 else None


def last_words_of(messages: Sequence[Any]) -> str:
    """What the caller said last in a conversation."""
    return next((message.text for message in reversed(messages) if message.role == "user" and message.text), "")


def _without_control(context: object) -> dict[str, Any]:
    if not isinstance(context, dict):
        return {}
    return {name: value for name, value in context.items() if name not in CONTROL_KEYS and value not in _EMPTY}


_EMPTY: tuple[Any, ...] = (None, "", "None", [], {})


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _rendered(value: Any, known: Mapping[str, Any]) -> Any:
    return render(value, known) if isinstance(value, str) and "{{" in value else value


def _with(outer: Any, inner: Sequence[str], value: Any) -> Any:
    """A value within others: ``outer`` as it was, but for what the names lead to."""
    if not inner:
        return value
    before = dict(outer) if isinstance(outer, Mapping) else {}
    return {**before, inner[0]: _with(before.get(inner[0]), inner[1:], value)}
