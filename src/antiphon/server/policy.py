"""The manners of all calls, from the settings."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings

P = TypeVar("P", TurnPolicy, CallPolicy)

BENCH_TURNS = TurnPolicy(
    start_s=0.2,
    stop_s=0.2,
    complete_delay_s=0.0,
    uncertain_delay_s=0.0,
    incomplete_delay_s=0.0,
    min_interruption_s=0.2,
    greeting_deaf_s=0.0,
    idle_s=0.0,
)
"""What the measured peers are configured with: both ends of speech after 200 ms, and no waiting besides."""


def policy_from(settings: Settings) -> CallPolicy:
    """The policy that the settings ask for.

    Raises:
        ConfigurationError: A field is not known, or its value cannot be used.
    """
    base = BENCH_TURNS if settings.models == "bench" else TurnPolicy()
    turn = _changed(base, settings.turn_policy, "ANTIPHON_TURN_POLICY__")
    return _changed(CallPolicy(turn=turn), settings.call_policy, "ANTIPHON_CALL_POLICY__")


def _changed(policy: P, changes: Mapping[str, str], prefix: str) -> P:
    known = {field.name for field in fields(policy)} - {"turn"}
    for name in changes:
        if name not in known:
            nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]
            raise ConfigurationError(
                f"There is no setting {prefix}{name.upper()}; did you mean {prefix}{nearest.upper()}?"
            )
    values = {field.name: getattr(policy, field.name) for field in fields(policy)}
    lists = {name: value for name, value in values.items() if isinstance(value, (tuple, frozenset))}
    given = {name: _words(value) if name in lists else value for name, value in changes.items()}
    try:
        checked = TypeAdapter(type(policy)).validate_python({**values, **given})
    except ValidationError as exc:
        first = exc.errors()[0]
        raise ConfigurationError(f"{prefix}{str(first['loc'][0]).upper()} cannot be used: {first['msg']}.") from exc
    return replace(policy, **{name: getattr(checked, name) for name in given})


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split("|") if word.strip())
