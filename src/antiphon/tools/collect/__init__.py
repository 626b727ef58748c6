"""Collectors: tools that ask the caller for one thing, check it in code, and give it back to the agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from antiphon.tools.collect.form import CollectOptions, CollectTool
from antiphon.tools.collect.kinds import (
    collect_address,
    collect_credit_card,
    collect_digits,
    collect_dob,
    collect_email,
    collect_name,
    collect_phone,
)

__all__ = [
    "COLLECTORS",
    "CollectOptions",
    "CollectTool",
    "collect_address",
    "collect_credit_card",
    "collect_digits",
    "collect_dob",
    "collect_email",
    "collect_name",
    "collect_phone",
]

COLLECTORS: Mapping[str, Callable[..., CollectTool]] = {
    each.__name__: each
    for each in (
        collect_name,
        collect_email,
        collect_phone,
        collect_address,
        collect_dob,
        collect_digits,
        collect_credit_card,
    )
}
"""All of them, by name; each call makes a tool."""
