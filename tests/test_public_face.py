"""The public face: every name is there, and loads nothing before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import antiphon

FILE = Path(antiphon.__file__)


@pytest.mark.parametrize("name", antiphon.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert getattr(antiphon, name) is not None
    assert name in dir(antiphon)


def test_a_type_checker_sees_the_same_names_from_the_same_places() -> None:
    tree = ast.parse(FILE.read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == antiphon._HOME


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Agnet'"):
        antiphon.Agnet  # noqa: B018


def test_the_newcomers_names_load_no_vendor_and_no_network() -> None:
    code = (
        "import sys; from antiphon import Agent, tool, Message; Agent('a', tools=[lambda: 1][:0]); "
        "print(*(name for name in ('httpx', 'openai', 'anthropic', 'google.genai', 'mcp', 'sqlalchemy', 'redis', "
        "'opentelemetry', 'structlog', 'pydantic', 'jinja2', 'numpy', 'fastapi', 'rich') if name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert run.stdout.strip() == ""
