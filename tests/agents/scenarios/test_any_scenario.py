"""Whatever stands in a scenario file, reading it ends with a team or with findings, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.agents.files.kinds import Block, Choice, Flag, Free, Kind, ListOf
from antiphon.agents.scenarios.fields import ALIASES, EDGE, EDGE_ALIASES, SCENARIO
from antiphon.agents.scenarios.graph import graph_of, mermaid_of
from antiphon.agents.scenarios.load import examine_catalog

NAMES = st.sampled_from(["a", "b", "B", "c", "x"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 100_000),
    st.dates(),
    st.sampled_from(
        [
            "",
            "end_call",
            "collect_email",
            "handoff_to_agent",
            "+10%",
            "{{ x",
            "{{ y }}",
            "{{ 1 / 0 }}",
            "{{ y.z.w }}",
            "${HOME}",
        ]
    ),
    st.text(max_size=8),
)
ANYTHING = st.recursive(
    NAMES | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def likely(kind: Kind) -> st.SearchStrategy[Any]:
    """Values that are mostly right."""
    if isinstance(kind, ListOf):
        return st.lists(likely(kind.kind), max_size=4)
    if kind is EDGE:
        ends = {"from": NAMES, "to": NAMES}
        more = {key: likely(EDGE.fields[key].kind) for key in EDGE.fields if key not in ends}
        return st.fixed_dictionaries(ends, optional=more | dict.fromkeys(EDGE_ALIASES, ANYTHING))
    if isinstance(kind, Block):
        return st.fixed_dictionaries({}, optional={key: likely(field.kind) for key, field in kind.fields.items()})
    if isinstance(kind, Choice):
        return st.sampled_from(kind.words)
    if isinstance(kind, Flag):
        return st.booleans()
    if isinstance(kind, Free):
        return st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)
    return NAMES


SCENARIOS = st.fixed_dictionaries(
    {}, optional={key: likely(field.kind) | ANYTHING for key, field in SCENARIO.fields.items()}
)


@given(own=SCENARIOS, old=st.dictionaries(st.sampled_from(sorted(ALIASES)), ANYTHING, max_size=1))
@settings(max_examples=200, deadline=None)
def test_any_mapping_gives_a_team_or_findings(own: dict[str, Any], old: dict[str, Any]) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "scenarios").mkdir()
        for name in "abc":
            (folder / f"{name}.yaml").write_text("tools: [end_call]\ntemplate_vars: {y: 1}\n", encoding="utf-8")
        (folder / "scenarios/s.yaml").write_text(yaml.safe_dump(own | old), encoding="utf-8")
        catalog, findings = examine_catalog(folder, environment={})
    errors = [finding for finding in findings if finding.level == "error"]
    assert catalog.scenarios or errors
    for scenario in catalog.scenarios:
        team = scenario.apply(catalog.agents)
        graph = graph_of(scenario, team)
        assert graph["start_agent"] == team[0].name
        assert mermaid_of(graph).startswith("flowchart LR\n")
        names = {agent.name for agent in team}
        assert {route.target_name for agent in team for route in agent.routes} <= names
        assert all(route.target_name != agent.name for agent in team for route in agent.routes)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_a_scenario_or_findings(content: bytes) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "scenarios").mkdir()
        (folder / "a.yaml").write_text("name: a\n", encoding="utf-8")
        (folder / "scenarios/s.yaml").write_bytes(content)
        catalog, findings = examine_catalog(folder, environment={})
    assert catalog.scenarios or findings
