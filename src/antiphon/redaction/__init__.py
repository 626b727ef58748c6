"""Takes addresses and numbers of people out of texts, whole or as a stream. Pure: no I/O, no clock."""

from __future__ import annotations

from antiphon.redaction.kinds import KINDS, Kind, custom_kind
from antiphon.redaction.redactor import Redactor, StreamRedactor, redactor_for

__all__ = ["KINDS", "Kind", "Redactor", "StreamRedactor", "custom_kind", "redactor_for"]
