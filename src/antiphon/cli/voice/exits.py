"""Exit codes of the voice program, and the sentence that goes with each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from antiphon.errors import (
    AntiphonException,
    AudioError,
    ConfigurationError,
    IntegrationException,
    SettingNotFoundError,
)
from antiphon.transports.local.errors import AudioDeviceError

UNEXPECTED, USAGE, AUDIO, NETWORK, SCENARIO = 1, 2, 3, 4, 5


def exit_code(error: AntiphonException) -> int:
    """The program's exit code for an error."""
    if isinstance(error, AudioDeviceError):
        return AUDIO
    if isinstance(error, ConfigurationError | SettingNotFoundError | AudioError):
        return USAGE
    return NETWORK if isinstance(error, IntegrationException) else UNEXPECTED


@contextmanager
def told() -> Iterator[None]:
    """Turn an error of ours into its sentence and an exit code; there is no traceback for what a user can mend."""
    try:
        yield
    except AntiphonException as error:
        typer.secho(f"Error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(exit_code(error)) from error
