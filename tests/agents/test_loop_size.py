"""The loop is small enough to be read: its size, that of the files around it, and of every function."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import antiphon

SOURCE = Path(antiphon.__file__).parent
LOOP = ("run", "step", "toolbox", "tally", "care", "retry", "deadline")
FILES = sorted(path for folder in ("agents", "tools", "models/llm") for path in (SOURCE / folder).rglob("*.py"))
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def docstring_lines(tree: ast.AST) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def code_lines(path: Path) -> int:
    source = path.read_text()
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines(ast.parse(source)))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    tree = ast.parse(path.read_text())
    documented = docstring_lines(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = set(range(node.lineno, (node.end_lineno or node.lineno) + 1)) - documented
            yield node.name, len(own)


def test_the_loop_has_at_most_800_lines_of_code() -> None:
    sizes = {name: code_lines(SOURCE / "agents" / f"{name}.py") for name in LOOP}
    assert sum(sizes.values()) <= 800, sizes


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_has_more_than_500_lines_and_no_function_more_than_80(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500
    assert {name: size for name, size in functions(path) if size > 80} == {}
