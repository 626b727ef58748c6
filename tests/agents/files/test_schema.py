"""The JSON Schema for editors says what the reader says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from antiphon.agents.files.fields import AGENT, ALIASES
from antiphon.agents.files.kinds import Block, Field, Kind, ListOf
from antiphon.agents.files.schema import agent_schema
from tests.agents.files.writing import errors_of, write

FITS = [
    "name: desk\nmodel: openai:gpt-4o\nvoice: anna\nhandoffs: []\n",
    "model: {provider: openai, name: gpt-4o, temperature: null, max_tokens: 20}\n",
    "speech: {candidate_languages: [en-US], recognition: {phrase_list: [a]}}\nidle: {timeout_s: 5.5}\n",
    "agent: {name: desk}\nvoicelive_model: {deployment_id: 'openai:x'}\nmodel: {deployment_id: 'openai:y'}\n",
    "interruption: off\ntemplate_vars: {a: {b: [1, true]}}\nlimits: {max_handoffs: 0}\ncompaction: sliding_window\n",
    "mcp_servers: [{name: a, url: 'https://a.example'}]\nhandoff: {is_entry_point: true}\nmodel: {verbosity: 2}\n",
]
FITS_NOT = [
    "nmae: desk\n",
    "name: ''\n",
    "name: 7\n",
    "model: {temperature: 3}\n",
    "model: {max_tokens: 1.5}\n",
    "model: [a]\n",
    "voice: {rate: fast}\n",
    "language: english please\n",
    "tools: hours\n",
    "handoffs: [{type: loud, target: b}]\n",
    "speech: {candidate_languages: []}\n",
    "interruption: {mode: never}\n",
    "agent: {model: x}\n",
    "approval: {hours: always}\n",
    "metadata: 3\n",
]


def test_every_key_is_in_the_schema_and_has_a_description() -> None:
    def compare(kind: Kind, described: dict[str, Any], where: str) -> None:
        forms = [described, *described.get("anyOf", ())]
        forms += [inner for form in forms[1:] for inner in form.get("anyOf", ())]
        if isinstance(kind, ListOf):
            compare(kind.kind, next(form for form in forms if "items" in form)["items"], where)
        if not isinstance(kind, Block):
            return
        block = next(form for form in forms if form.get("properties"))
        own = {key for key in block["properties"] if "deprecationMessage" not in block["properties"][key]}
        aliases = (
            {alias.split(".")[0] for alias in ALIASES if "." in alias} if not where else {"recognition", "synthesis"}
        )
        assert own - aliases == set(kind.fields) - aliases, where
        assert block["additionalProperties"] is False
        for key, field in kind.fields.items():
            assert isinstance(field, Field)
            assert block["properties"][key]["description"].startswith(field.about)
            compare(field.kind, block["properties"][key], f"{where}.{key}")

    compare(AGENT, agent_schema(), "")


@pytest.mark.parametrize(
    ("text", "is_right"), [*((text, True) for text in FITS), *((text, False) for text in FITS_NOT)]
)
def test_the_schema_and_the_reader_agree(tmp_path: Path, text: str, is_right: bool) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft7Validator(agent_schema())
    jsonschema.Draft7Validator.check_schema(agent_schema())
    assert (errors_of(write(tmp_path, "a.yaml", text)) == []) is is_right
    assert validator.is_valid(yaml.safe_load(text)) is is_right


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(agent_schema()))["title"] == "Antiphon agent"
