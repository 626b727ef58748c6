"""Whom an agent file lets the agent transfer callers to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agents.files.writing import errors_of, loaded, write


def test_destinations_stand_in_the_agents_file(tmp_path: Path) -> None:
    entry = 'transfer_call: {destinations: {billing: "+49 30 23125012", boss: "sip:boss@example.com"}, kinds: [blind]}'
    tool = loaded(tmp_path, f"tools: [{{{entry}}}]").toolset["transfer_call"]
    assert tool.spec.parameters["properties"]["destination"]["enum"] == ["billing", "boss"]
    assert "type" not in tool.spec.parameters["properties"]
    assert tool.return_direct


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("transfer_call", "it needs destinations: without them there is nobody to transfer to."),
        ("transfer_call: {destinations: {billing: +493023125012}}", "'billing' must be text: put it in quotes."),
        ('transfer_call: {destinations: {billing: "12"}}', "'12' cannot be dialled"),
        ('transfer_call: {destinations: {billing: "+493023125012"}, kinds: cold}', "its kinds are 'cold'"),
        ('transfer_call: {numbers: {billing: "+493023125012"}}', "unexpected keyword argument 'numbers'"),
    ],
)
def test_a_file_that_names_nobody_to_call_is_told_so(tmp_path: Path, entry: str, fault: str) -> None:
    [error] = errors_of(write(tmp_path, "a.yaml", f"prompt: You answer the telephone.\ntools:\n  - {entry}\n"))
    assert error.startswith("a.yaml:3")
    assert fault in error
