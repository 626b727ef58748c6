"""A user's Python file as a module: agents and tools that are written in it."""

from __future__ import annotations

import hashlib
import importlib
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

_MARK = "__antiphon_neighbour__"
"""In the modules that a user's file has imported from its own folder."""


class ModuleFault(ConfigurationError):
    """A user's Python file fails.

    Args:
        path: The file.
        line: Where in it.
        reason: What it raised.
    """

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path.name}:{line}: {reason}")
        self.path, self.line, self.reason = path, line, reason


def load_module(path: Path) -> ModuleType:
    """Run a Python file, as ``python FILE`` would, but not as ``__main__``. Its folder can be imported from.

    The file is read every time, and so is what it imports from its folder: nothing comes from a cache, be it Python's
    modules or compiled files, which hold a change within the same second for none. Two folders may have modules of the
    same name; each file gets its own, as long as it imports them at its top.

    Raises:
        ModuleFault: The file cannot be read, or fails; the message names file and line.
    """
    path, given = path.resolve(), path
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ConfigurationError(f"{given.name} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    _forget_neighbours()
    known, before, writes_bytecode = set(sys.modules), sys.modules.get(name), sys.dont_write_bytecode
    # Type hints and dataclasses look their module up by name.
    sys.modules[name] = module
    _put_first(str(path.parent))
    sys.dont_write_bytecode = True
    try:
        exec(compile(path.read_bytes(), path, "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:  # the root of somebody else's code
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        raise ModuleFault(given, _line(error, path), f"{type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = writes_bytecode
        _mark_neighbours(path.parent, known)
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


def _put_first(folder: str) -> None:
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)


def _forget_neighbours() -> None:
    importlib.invalidate_caches()
    for name, module in list(sys.modules.items()):
        if _MARK in getattr(module, "__dict__", ()):
            del sys.modules[name]


def _mark_neighbours(folder: Path, known: set[str]) -> None:
    """Mark the modules that were imported just now and lie in the folder, with what lies in them.

    A module that was there before is somebody else's too, and one of an environment below the folder is no neighbour.
    """
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if name not in known and top not in known and _lies_in(folder, sys.modules.get(top)):
            vars(module)[_MARK] = True


def _lies_in(folder: Path, module: ModuleType | None) -> bool:
    """Whether a module is a file or a package of the folder itself."""
    file = getattr(module, "__file__", None)
    if file is None:
        return any(Path(each).parent == folder for each in getattr(module, "__path__", ()))
    path = Path(file)
    return folder in (path.parent, path.parent.parent if path.name == "__init__.py" else path.parent)


def _line(error: BaseException, path: Path) -> int:
    """The deepest line of the file that the error passed; of a syntax error its own."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return (frames[-1].lineno or 1) if frames else 1
