"""Loggers that cost nothing until something is logged: structlog alone takes longer to load than all of an agent."""

from __future__ import annotations

import sys
from typing import Any


class Log:
    """A structlog logger, loaded when it is first used.

    Args:
        name: The module's name.
    """

    __slots__ = ("_logger", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger: Any = None

    def debug(self, event: str, **details: Any) -> None:
        """Say what only a developer wants to know."""
        self._get().debug(event, **details)

    def info(self, event: str, **details: Any) -> None:
        """Say what happened."""
        self._get().info(event, **details)

    def warning(self, event: str, **details: Any) -> None:
        """Say what went wrong and was dealt with."""
        self._get().warning(event, **details)

    def error(self, event: str, **details: Any) -> None:
        """Say what went wrong and cost something."""
        self._get().error(event, **details)

    def exception(self, event: str, **details: Any) -> None:
        """Say what went wrong, with the exception that is being handled."""
        self._get().exception(event, **details)

    def _get(self) -> Any:
        if self._logger is None:
            import structlog

            if not structlog.is_configured():
                _be_quiet()
            self._logger = structlog.get_logger(self._name)
        return self._logger


def _be_quiet() -> None:
    """A program that has not set up its logs sees warnings on stderr, and nothing on stdout, which is its own."""
    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
