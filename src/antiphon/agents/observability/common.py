"""What all spans share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.trace import Span, Status, StatusCode

from antiphon.agents.observability.records import error_type
from antiphon.models.llm.content import Usage

_FAILED = Status(StatusCode.ERROR)
_ABOUT = create_key("antiphon-about")


def with_about(about: Mapping[str, str], context: Context) -> Context:
    """A context in which these attributes stand on all spans of runs, such as the session and the line of a call."""
    return set_value(_ABOUT, about, context)


def about_here() -> Mapping[str, str]:
    """The attributes of all spans that are made in the present context."""
    return cast(Mapping[str, str], get_value(_ABOUT) or {})


def fail(span: Span, error: BaseException) -> str:
    """Mark a span as failed, and give the failure's kind. Its sentence stays out: it may quote what was said."""
    kind = error_type(error)
    fail_as(span, kind)
    return kind


def fail_as(span: Span, kind: str) -> None:
    """Mark a span as failed."""
    span.set_attribute("error.type", kind)
    span.set_status(_FAILED)


def rarer_tokens(usage: Usage) -> dict[str, int]:
    """The attributes of those counts that most answers have not."""
    counts = {
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }
    return {name: count for name, count in counts.items() if count}
