"""Whatever stands in a file, reading it ends with an agent or with findings, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.agents.files import examine
from antiphon.agents.files.fields import AGENT, ALIASES
from antiphon.agents.files.kinds import Block, Kind, ListOf

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 100_000),
    st.floats(allow_nan=False),
    st.dates(),
    st.binary(max_size=3),
    st.sampled_from(
        ["", "a", "openai:x", "off", "+10%", "{{ x", "{{ y }}", "${HOME}", "truncation", "en-GB", "http://x"]
    ),
    st.text(max_size=8),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def likely(kind: Kind) -> st.SearchStrategy[Any]:
    """Values that are mostly of the right form, so that what is wrong stands deep."""
    if isinstance(kind, ListOf):
        return st.lists(likely(kind.kind), max_size=3) | ANYTHING
    if isinstance(kind, Block):
        inner = {key: likely(field.kind) for key, field in kind.fields.items()}
        return st.fixed_dictionaries({}, optional=inner) | ANYTHING
    return ANYTHING


MAPPINGS = st.fixed_dictionaries({}, optional={key: likely(field.kind) for key, field in AGENT.fields.items()})


@st.composite
def mappings(draw: st.DrawFn) -> dict[str, Any]:
    return draw(MAPPINGS)


ALIASED = st.dictionaries(st.sampled_from(sorted({alias.split(".")[0] for alias in ALIASES})), ANYTHING, max_size=1)


@given(
    own=mappings(),
    old=ALIASED,
    below=mappings() | ANYTHING,
)
@settings(max_examples=150, deadline=None)
def test_any_mapping_gives_an_agent_or_findings(own: dict[str, Any], old: dict[str, Any], below: Any) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "a.yaml").write_text(yaml.safe_dump(own | old), encoding="utf-8")
        (Path(folder) / "_defaults.yaml").write_text(yaml.safe_dump(below), encoding="utf-8")
        examined = examine(folder, environment={})
    assert examined.agents or examined.errors
    for agent in examined.agents:
        assert len(agent.version) == 16


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_an_agent_or_findings(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "a.yaml").write_bytes(content)
        examined = examine(folder, environment={})
    assert examined.agents or examined.errors
