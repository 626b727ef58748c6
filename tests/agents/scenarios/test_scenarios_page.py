"""The page on scenarios: its file is sound, and its table has every key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from antiphon.agents.files.kinds import Block, ListOf
from antiphon.agents.scenarios.fields import SCENARIO
from tests.agents.scenarios.making import findings_of, folder_of, team_of

PAGE = (Path(__file__).parents[3] / "docs/scenarios.md").read_text(encoding="utf-8")
AGENTS = {
    "reception": "prompt: You answer for {{ clinic }}, {{ hours }}.\ndescription: Answers.\n",
    "billing": "prompt: You explain bills to {{ caller.name }} about {{ topic }}.\n",
    "service": "prompt: You listen to complaints.\n",
}


def test_its_scenario_is_sound_and_does_what_the_page_says(tmp_path: Path) -> None:
    (scenario,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    folder = folder_of(tmp_path, scenario, name="clinic", **AGENTS)
    for unused in ("desk", "fraud"):
        (folder / f"agents/{unused}/agent.yaml").unlink()
    assert (findings_of(folder), findings_of(folder, "warning")) == ([], [])
    said = team_of(tmp_path / "again", scenario, **AGENTS)["reception"].routes[0].when
    assert said in " ".join(PAGE.split())


def keys(block: Block, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, field in block.fields.items():
        yield f"{prefix}{key}", field.about
        inner = field.kind.kind if isinstance(field.kind, ListOf) else field.kind
        if isinstance(inner, Block):
            yield from keys(inner, f"{prefix}{key}.")


def test_its_table_has_every_key() -> None:
    told = re.findall(r"^\| `([a-z_.]+)` \| .* \| (.*) \|$", PAGE, re.MULTILINE)
    assert told == list(keys(SCENARIO))
