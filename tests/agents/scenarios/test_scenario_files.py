"""Scenario files: all keys and their other names, and what is told of what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from antiphon import Agent
from antiphon.agents.files import load_agents
from antiphon.agents.files.kinds import Block, ListOf
from antiphon.agents.scenarios.fields import ALIASES, EDGE, EDGE_ALIASES, SCENARIO, scenario_schema
from antiphon.agents.scenarios.load import examine_catalog, load_catalog
from antiphon.agents.scenarios.scenario import AgentDefaults, GenericHandoff
from antiphon.errors import ConfigurationError
from tests.agents.files.writing import write
from tests.agents.scenarios.making import catalog_of, findings_of, folder_of, team_of

WHOLE = """
kind: scenario
name: retail
description: The bank's line.
icon: "🏦"
agents: [Desk, BILLING]
start_agent: desk
handoff_type: discrete
handoffs:
  - {from: desk, to: billing, tool: go_billing, type: announced, share_context: false, handoff_condition: A bill.,
     context_vars: {desk.number: 7}}
  - {from: billing, to: desk}
generic_handoff:
  {enabled: true, allowed_targets: [desk], require_client_id: true, default_type: discrete, share_context: false}
agent_defaults:
  greeting: Good day.
  return_greeting: Here we are again.
  description: Of {{ bank }}.
  template_vars: {bank: Harbour}
  voice: {name: anna, rate: "+10%"}
  region: north
template_vars: {bank: Elsewhere, town: Ayr}
tools: [end_call]
"""


def test_all_keys_of_a_scenario_are_read(tmp_path: Path) -> None:
    (scenario,) = catalog_of(tmp_path, WHOLE).scenarios
    assert (scenario.name, scenario.description, scenario.icon) == ("retail", "The bank's line.", "🏦")
    assert (scenario.agents, scenario.start_agent, scenario.handoff_type) == (["Desk", "BILLING"], "desk", "discrete")
    there, back = scenario.handoffs
    assert (there.source, there.target, there.tool, there.type) == ("desk", "billing", "go_billing", "announced")
    assert (there.share_context, there.condition, there.context_vars) == (False, "A bill.", {"desk.number": 7})
    assert (back.tool, back.type, back.share_context, back.condition) == ("", None, True, "")
    assert scenario.generic_handoff == GenericHandoff(["desk"], True, "discrete", False)
    assert scenario.agent_defaults == AgentDefaults(
        "Good day.", "Here we are again.", "Of {{ bank }}.", "anna", 1.1, {"bank": "Harbour", "region": "north"}
    )
    assert (scenario.variables, scenario.tools) == ({"bank": "Elsewhere", "town": "Ayr"}, ["end_call"])


def test_the_other_names_of_keys_mean_the_same(tmp_path: Path) -> None:
    (scenario,) = catalog_of(
        tmp_path,
        """
        global_template_vars: {bank: Harbour}
        handoffs:
          - {from_agent: desk, to_agent: billing, tool_name: go, condition: A bill., greet_on_switch: false,
             handoff_context: {ticket: 7}}
          - {from: billing, to: desk, greet_on_switch: true}
        """,
    ).scenarios
    there, back = scenario.handoffs
    assert (there.source, there.target, there.tool, there.type) == ("desk", "billing", "go", "discrete")
    assert (there.condition, there.context_vars, back.type) == ("A bill.", {"ticket": 7}, "announced")
    assert scenario.variables == {"bank": "Harbour"}


def test_what_is_wrong_in_a_file_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    folder_of(
        tmp_path,
        """
        nmae: retail
        icon: "123456789"
        start_agent: anna
        handoffs:
        - {from: desk, to: biling}
        - {from: desk, to: desk}
        - {to: desk}
        - {from: desk, to: billing, type: loud}
        - {from: desk, to: fraud, condition: a, handoff_condition: b}
        - {from: desk, to: fraud, greet_on_switch: perhaps}
        tools: [end_cal]
        generic_handoff: {enabled: true, allowed_targets: [nobody]}
        agent_defaults: {greeting: "{{ bank", voice: {rate: fast}}
        """,
    )
    assert findings_of(tmp_path) == [
        "bank/scenario.yaml:2: unknown key 'nmae'; did you mean 'name'?",
        "bank/scenario.yaml:3: icon has 9 characters; at most 8 are allowed.",
        "bank/scenario.yaml:4: there is no agent 'anna' in this scenario; known are billing, desk, fraud.",
        "bank/scenario.yaml:6: there is no agent 'biling' in this scenario; did you mean 'billing'?",
        "bank/scenario.yaml:7: 'desk' hands over to itself.",
        "bank/scenario.yaml:8: an entry of handoffs needs from.",
        "bank/scenario.yaml:9: an entry of handoffs.type is 'loud'; choose announced or discrete.",
        "bank/scenario.yaml:10: condition and handoff_condition say the same; keep handoff_condition.",
        "bank/scenario.yaml:11: greet_on_switch must be true or false.",
        "bank/scenario.yaml:11: 'desk' hands over to 'fraud' by 'handoff_to_fraud' already; leave one out.",
        "bank/scenario.yaml:12: there is no tool 'end_cal' beside the scenario, in its agents or in Antiphon; did you "
        "mean 'end_call'?",
        "bank/scenario.yaml:13: there is no agent 'nobody' in this scenario; known are billing, desk, fraud.",
        'bank/scenario.yaml:14: agent_defaults.voice.rate must be a percentage from "-50%" to "+100%".',
        "bank/scenario.yaml:14: Line 1 of a template is wrong: unexpected end of template, expected "
        "'end of print statement'.",
    ]
    with pytest.raises(ConfigurationError, match=r"scenario\.yaml:2: unknown key 'nmae'"):
        load_catalog(tmp_path, environment={})


@pytest.mark.parametrize(
    ("scenario", "wrong"),
    [
        (f"agents: [{', '.join(f'a{number}' for number in range(65))}]", "agents has 65 entries; 0 to 64 are allowed."),
        (
            "handoffs: [" + "{from: desk, to: billing}, " * 257 + "]",
            "handoffs has 257 entries; 0 to 256 are allowed.",
        ),
        ("agents: [desk, Desk]", "the agent 'Desk' stands here for the second time."),
        ("agents: [billing]\nstart_agent: desk", "there is no agent 'desk' in this scenario; known are billing."),
        ("agents: [desk]\nhandoffs: [{from: desk, to: fraud}]", "there is no agent 'fraud' in this scenario; known"),
        (
            "tools: [end_call]\nhandoffs: [{from: desk, to: fraud, tool: end_call}]",
            "'desk' has a tool with the name 'end_call'; give this handoff another `tool`.",
        ),
        ("template_vars: {a: '{{ 1'}", "Line 1 of a template is wrong"),
        ("template_vars: {a: '{{ 1 / 0 }}'}", "A template cannot be rendered: ZeroDivisionError"),
        ("agent_defaults: {description: '{{ 1 / 0 }}'}", "A template cannot be rendered: ZeroDivisionError"),
        ("handoffs: [{from: desk, to: fraud, context_vars: {a: '{{ 1'}}]", "Line 1 of a template is wrong"),
        ("tools: [{collect_digits: {nmu_digits: 6}}]", "the tool 'collect_digits' cannot be used: "),
        ("tools: [{end_call: {a: 6}}]", "the tool 'end_call' takes no options; write its name alone."),
        ("[desk]", "a scenario is a mapping, such as 'name: front-desk'."),
    ],
)
def test_limits_and_contradictions_are_errors(tmp_path: Path, scenario: str, wrong: str) -> None:
    folder_of(tmp_path, scenario)
    assert [finding for finding in findings_of(tmp_path) if wrong in finding]


def test_r17_one_tool_for_two_targets_of_an_agent_is_an_error_unless_its_argument_decides(tmp_path: Path) -> None:
    edges = [("desk", "billing"), ("desk", "fraud"), ("billing", "fraud")]

    def scenario(tool: str) -> str:
        return "handoffs:\n" + "".join(f"- {{from: {a}, to: {b}, tool: {tool}}}\n" for a, b in edges)

    folder_of(tmp_path / "wrong", scenario("go"))
    assert findings_of(tmp_path / "wrong") == [
        "bank/scenario.yaml:3: the tool 'go' of 'desk' hands over to 'billing' already; give this handoff another "
        "`tool`, or both the tool handoff_to_agent."
    ]
    team = team_of(tmp_path / "right", scenario("handoff_to_agent"))
    assert [route.target_name for route in team["desk"].routes] == ["billing", "fraud"]
    (spec,) = team["desk"].request_options.tools
    assert spec.parameters["properties"]["target_agent"]["enum"] == ["billing", "fraud"]


def test_r17_the_same_tool_leads_from_each_agent_to_its_own_target(tmp_path: Path) -> None:
    team = team_of(tmp_path, "handoffs: [{from: desk, to: billing, tool: go}, {from: billing, to: fraud, tool: go}]")
    assert [(route.tool_name, route.target) for agent in team.values() for route in agent.routes] == [
        ("go", "fraud"),
        ("go", "billing"),
    ]


def test_r15_the_name_is_the_key_and_the_folders_name_an_alias(tmp_path: Path) -> None:
    folder_of(tmp_path, "name: Retail\n", name="bank")
    write(tmp_path, "scenarios/loans.yaml", "name: bank\nagents: [billing]\n")
    write(tmp_path, "scenarios/old/orchestration.yaml", "agents: [fraud]\n")
    catalog = load_catalog(tmp_path, environment={})
    found = {name: catalog.scenario(name) for name in ("retail", "BANK", "loans", "old")}
    assert [each.name if each is not None else None for each in found.values()] == ["Retail", "bank", "bank", "old"]
    with pytest.raises(ConfigurationError, match="no scenario 'retial' here; did you mean 'Retail'"):
        catalog.team("retial")
    write(tmp_path, "scenarios/more.yaml", "name: RETAIL\n")
    assert findings_of(tmp_path)[-1].endswith("holds two scenarios with the name 'RETAIL'; rename one.")


def test_which_scenario_holds_where_nobody_chooses(tmp_path: Path) -> None:
    folder_of(tmp_path, "agents: [billing, desk]\n")
    assert [agent.name for agent in load_catalog(tmp_path, environment={}).team()] == ["billing", "desk"]
    write(tmp_path, "scenarios/loans.yaml", "start_agent: fraud\n")
    assert [agent.name for agent in load_catalog(tmp_path, environment={}).team()] == ["billing", "desk", "fraud"]
    write(tmp_path, "scenarios/default.yaml", "start_agent: desk\nagents: [billing, desk]\n")
    assert [agent.name for agent in load_catalog(tmp_path, environment={}).team()] == ["desk", "billing"]


def test_agents_and_scenarios_may_stand_side_by_side(tmp_path: Path) -> None:
    write(tmp_path, "desk.yaml", "handoff: {is_entry_point: true}\n")
    write(tmp_path, "bills.yaml", "prompt: You explain bills.\n")
    write(tmp_path, "scenarios/line.yaml", "handoffs: [{from: desk, to: bills}]\n")
    write(tmp_path, "scenarios/_draft.yaml", "nonsense: 1\n")
    catalog = load_catalog(tmp_path, environment={})
    assert [scenario.name for scenario in catalog.scenarios] == ["line"]
    assert [agent.name for agent in catalog.team("line")] == ["desk", "bills"]
    assert [agent.name for agent in load_agents(tmp_path, environment={})] == ["desk", "bills"]


def test_load_agents_finds_them_in_the_folder_agents(tmp_path: Path) -> None:
    folder_of(tmp_path, "name: bank\n")
    assert [agent.name for agent in load_agents(tmp_path, environment={})] == ["billing", "desk", "fraud"]


def test_two_files_or_none_in_a_scenarios_folder_are_told(tmp_path: Path) -> None:
    folder_of(tmp_path, "name: bank\n")
    write(tmp_path, "scenarios/bank/orchestration.yaml", "name: other\n")
    (tmp_path / "scenarios/empty").mkdir()
    assert findings_of(tmp_path) == [
        "bank/scenario.yaml:1: bank holds scenario.yaml and orchestration.yaml; keep one of them."
    ]
    doubt = "empty holds no scenario; it needs scenario.yaml or orchestration.yaml."
    assert doubt in findings_of(tmp_path, "warning")


def test_a_scenario_is_not_blamed_for_agents_that_cannot_be_read(tmp_path: Path) -> None:
    folder_of(tmp_path, "handoffs: [{from: desk, to: fraud}]\n", fraud="nmae: fraud\ntools: [nothing]\n")
    files = {finding.split(": ")[0] for finding in findings_of(tmp_path)}
    assert files == {f"{tmp_path}/agents/fraud/agent.yaml:{line}" for line in (1, 2)}


def test_r14_variables_that_a_scenario_does_not_bring_are_reported(tmp_path: Path) -> None:
    folder_of(
        tmp_path,
        "start_agent: desk\n"
        "handoffs: [{from: desk, to: billing, context_vars: {ticket.number: 7}}, {from: desk, to: fraud}]\n",
        billing="prompt: It is about {{ ticket.number }} of {{ client_id }}.\n",
    )
    of_the_agent = f"{tmp_path}/agents/desk/agent.yaml:2: the template variable 'bank' is not known here; put it in "
    assert [each.split("template_vars")[0] for each in findings_of(tmp_path, "warning")] == [of_the_agent]
    write(tmp_path, "scenarios/other.yaml", "agents: [desk]\ntemplate_vars: {bank: Harbour}\n")
    assert findings_of(tmp_path, "warning") == [
        "bank/scenario.yaml:1: the template variable 'bank' of 'desk' is not known in this scenario; put it in "
        "template_vars, or write {{ bank | default('') }}.",
    ]


def test_an_agent_that_nobody_can_reach_is_doubtful(tmp_path: Path) -> None:
    folder_of(tmp_path, "template_vars: {bank: B}\nstart_agent: desk\nhandoffs: [{from: desk, to: billing}]\n")
    assert findings_of(tmp_path, "warning") == [
        "bank/scenario.yaml:1: nobody can hand over to 'fraud'; add a handoff to it, or leave it out."
    ]
    write(tmp_path, "scenarios/bank/scenario.yaml", "template_vars: {bank: B}\ngeneric_handoff: {enabled: true}\n")
    assert findings_of(tmp_path, "warning") == []


def test_a_default_that_looks_misspelt_is_doubtful(tmp_path: Path) -> None:
    folder_of(tmp_path, "agents: [billing]\nagent_defaults: {greting: Hello.}\n")
    assert findings_of(tmp_path, "warning")[-1] == (
        "bank/scenario.yaml:2: agent_defaults.greting is taken for a template variable; did you mean 'greeting'? A "
        "variable stands in template_vars."
    )


def test_the_environment_is_filled_in(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "agents: [billing]\ntemplate_vars: {bank: '${BANK}'}\n")
    (scenario,) = load_catalog(folder, environment={"BANK": "Harbour"}).scenarios
    assert scenario.variables == {"bank": "Harbour"}
    assert "BANK" in findings_of(tmp_path)[0]


def test_scenarios_of_a_python_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "line.py",
        """
        from antiphon import Agent, Scenario, ScenarioEdge

        agent = Agent("desk")
        bills = Agent("bills")
        line = Scenario("line", handoffs=[ScenarioEdge("desk", "bills")])
        """,
    )
    catalog = load_catalog(path)
    assert [agent.name for agent in catalog.team()] == ["desk", "bills"]
    path.write_text(path.read_text().replace('ScenarioEdge("desk", "bills")', 'ScenarioEdge("desk", "bill")'))
    _, findings = examine_catalog(path)
    assert str(findings[0]) == "the scenario 'line' cannot be used: there is no agent 'bill' in this scenario; did " + (
        "you mean 'bills'?"
    )


def test_every_key_is_in_the_schema_and_has_a_description() -> None:
    schema = scenario_schema()
    assert json.loads(json.dumps(schema))["title"] == "Antiphon scenario"

    def compare(block: Block, described: dict[str, Any], aliases: Any) -> None:
        assert set(described) == {*block.fields, *aliases}
        for key, field in block.fields.items():
            assert described[key]["description"] == field.about
        for alias in aliases:
            assert described[alias]["deprecationMessage"].startswith("Write ")

    compare(SCENARIO, schema["properties"], ALIASES)
    kind = SCENARIO.fields["handoffs"].kind
    assert isinstance(kind, ListOf)
    compare(EDGE, schema["properties"]["handoffs"]["anyOf"][0]["items"]["properties"], EDGE_ALIASES)


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        (WHOLE, True),
        ("handoffs: [{from_agent: a, to: b, greet_on_switch: false}]\nagents: [a, b]\n", True),
        ("agent_defaults: {anything: {a: 1}, voice: anna}\n", True),
        ("icon: '123456789'\n", False),
        ("handoffs: [{from: a, to: b, when: x}]\nagents: [a, b]\n", False),
        ("generic_handoff: yes\n", False),
        ("agent_defaults: {voice: {rate: fast}}\n", False),
        ("tools: [{collect_digits: {num_digits: 6}}, collect_email]\n", True),
        ("tools: [[collect_email]]\n", False),
    ],
)
def test_the_schema_and_the_reader_agree(tmp_path: Path, text: str, is_right: bool) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft7Validator(scenario_schema())
    validator.check_schema(scenario_schema())
    folder_of(tmp_path, text, a="name: a\n", b="name: b\n")
    assert (findings_of(tmp_path) == []) is is_right
    assert validator.is_valid(yaml.safe_load(text)) is is_right


def test_a_scenario_that_does_not_fit_is_no_team() -> None:
    from antiphon import Scenario

    with pytest.raises(ConfigurationError, match="The scenario 'x' cannot be used: there is no agent 'b' here"):
        Scenario("x", agents=["b"]).apply([Agent("a")])
    with pytest.raises(ConfigurationError, match="there is no agent that could take part"):
        Scenario("x").apply([])
    with pytest.raises(ConfigurationError, match="a scenario's name has 1 to 64 characters"):
        Scenario("").apply([Agent("a")])
