"""A user's Python file as a module: agents and tools that are written in it."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from antiphon.errors import ConfigurationError
from antiphon.tools.tool import FunctionTool


def load_module(path: Path) -> ModuleType:
    """Run a Python file, as ``python FILE`` would, but not as ``__main__``. Its folder can be imported from.

    Raises:
        ConfigurationError: The file cannot be read, or fails; the message names file and line.
    """
    path = path.resolve()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path.name} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    # Type hints and dataclasses look their module up by name.
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the root of somebody else's code
        del sys.modules[name]
        raise ConfigurationError(f"{path.name}:{_line(error, path)}: {type(error).__name__}: {error}") from error
    return module


def tools_in(module: ModuleType) -> dict[str, FunctionTool | Callable[..., Any]]:
    """The tools of a module by name: its ``FunctionTool`` objects and the public functions that it defines."""
    found: dict[str, FunctionTool | Callable[..., Any]] = {}
    for name, value in vars(module).items():
        if isinstance(value, FunctionTool):
            found[value.name] = value
        elif inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
            found.setdefault(name, value)
    return found


def _line(error: Exception, path: Path) -> int:
    """The deepest line of the file that the error passed; of a syntax error its own."""
    if isinstance(error, SyntaxError):
        return error.lineno or 1
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return (frames[-1].lineno or 1) if frames else 1
