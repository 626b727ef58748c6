"""What is wrong with a file, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should mend.

    Attributes:
        file: As it was given.
        line: From 1; 0 for the file or folder as a whole.
        message: One sentence that says what to do.
        level: An agent with an error is not loaded; a warning costs nothing but attention.
    """

    file: str
    line: int
    message: str
    level: Level = "error"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else self.message


@dataclass(slots=True)
class Findings:
    """Findings as they are made; the same one, as of a file that several agents read, is kept once."""

    _found: dict[Finding, None] = field(default_factory=dict)

    def fault(self, node: yaml.Node, message: str) -> None:
        """An error at a place."""
        self.add(Finding(node.start_mark.name, node.start_mark.line + 1, message))

    def warn(self, node: yaml.Node, message: str) -> None:
        """A warning at a place."""
        self.add(Finding(node.start_mark.name, node.start_mark.line + 1, message, "warning"))

    def about(self, path: Path, message: str, line: int = 0) -> None:
        """An error of a file as a whole, or at a line of one that is no YAML."""
        self.add(Finding(str(path), line, message))

    def add(self, finding: Finding) -> None:
        """Keep one."""
        self._found[finding] = None

    def all(self) -> tuple[Finding, ...]:
        """All of them, by file and line."""
        return tuple(sorted(self._found, key=lambda finding: (finding.file, finding.line)))

    def errors(self) -> int:
        """How many of them are errors."""
        return sum(finding.level == "error" for finding in self._found)


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that is not known."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}."
