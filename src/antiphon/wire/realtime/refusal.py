"""Why a client's event is refused, as the client reads it."""

from __future__ import annotations

from typing import Any

from antiphon.errors import AntiphonException


class Refusal(AntiphonException):
    """A client event that cannot be carried out; the session goes on.

    Args:
        code: Stable word that clients match on, such as ``invalid_value``.
        message: One sentence for people.
        param: Path of the field at fault, such as ``session.audio.output.speed``.
        event_id: Id of the client event at fault, where it could be read.
        kind: The error's ``type``.
    """

    default_code = "invalid_value"

    def __init__(
        self,
        code: str,
        message: str,
        param: str | None = None,
        *,
        event_id: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message, code=code)
        self.message = message
        self.param = param
        self.event_id = event_id
        self.kind = kind

    def to_error(self) -> dict[str, Any]:
        """The ``error`` object of an ``error`` event; all five fields are always there."""
        return {
            "type": self.kind,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": self.event_id,
        }


def invalid_value(message: str, param: str | None) -> Refusal:
    """A field has the wrong type or range, or does not fit the session's state."""
    return Refusal("invalid_value", message, param)


def missing(param: str) -> Refusal:
    """A required field is absent."""
    return Refusal("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def binary_frame() -> Refusal:
    """A frame was binary; events are JSON text."""
    return Refusal("invalid_json", "The frame is binary; send events as JSON text.")
