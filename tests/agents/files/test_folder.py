"""A folder of agents: handoffs between them, who answers first, and the defaults under all of them."""

from __future__ import annotations

from pathlib import Path

from antiphon import Agent
from antiphon.agents.files import load_agents, load_yaml_agent
from antiphon.agents.handoff import SHARED_TOOL, Handoff
from tests.agents.files.writing import errors_of, warnings_of, write


def test_handoffs_name_their_targets_and_take_over_what_the_targets_say(tmp_path: Path) -> None:
    write(tmp_path, "desk/agent.yaml", "handoffs: [BILLING]\nhandoff: {is_entry_point: true}\n")
    write(
        tmp_path,
        "billing/agent.yaml",
        """
        description: Bills and prices.
        handoff: {trigger: ask_billing}
        handoffs: [{target: desk, type: discrete, description: Anything else., context_vars: {from: billing}}]
        """,
    )
    desk, billing = load_agents(tmp_path)
    (there,), (back,) = desk.routes, billing.routes
    assert (there.target, there.tool_name, there.about) == ("billing", "ask_billing", "Bills and prices.")
    assert (back.target, back.tool_name, back.about) == ("desk", "handoff_to_desk", "Anything else.")
    assert (back.handoff_type, back.context_vars) == ("discrete", {"from": "billing"})
    coded = Agent("desk", handoffs=[Handoff(billing, tool_name="ask_billing")], metadata=desk.metadata)
    assert desk.version == coded.version


def test_the_entry_point_is_the_first(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, f"{name}.yaml", f"handoff: {{is_entry_point: {str(name == 'b').lower()}}}\n")
    assert [agent.name for agent in load_agents(tmp_path)] == ["b", "a", "c"]
    write(tmp_path, "c.yaml", "handoff: {is_entry_point: true}\n")
    assert errors_of(tmp_path) == ["c.yaml:1: handoff.is_entry_point is set by 'b' too; one agent answers first."]


def test_a_target_that_is_not_there_is_an_error_in_a_folder_and_a_warning_in_a_single_file(tmp_path: Path) -> None:
    path = write(tmp_path, "desk.yaml", "handoffs:\n  - target: billling\n")
    write(tmp_path, "billing.yaml", "name: billing\n")
    assert errors_of(tmp_path) == ["desk.yaml:2: there is no agent 'billling' to hand over to; did you mean 'billing'?"]
    assert errors_of(path) == []
    assert warnings_of(path) == [
        "desk.yaml:2: the agent 'billling' is not in this file; load the whole folder to reach it."
    ]


def test_handoffs_that_cannot_be_are_told(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a.yaml",
        "handoffs:\n- a\n- {when: Never.}\n- {target: b, tool: go}\n- {target: c, tool: go}\n- b\n- b\n",
    )
    write(tmp_path, "b.yaml", "handoffs: [{target: a, type: loud}]\n")
    write(tmp_path, "c.yaml", "name: c\n")
    advice = f"hands over to 'b' already; give this handoff another `tool`, or both the tool {SHARED_TOOL}."
    assert errors_of(tmp_path) == [
        "a.yaml:2: 'a' hands over to itself.",
        "a.yaml:3: an entry of handoffs needs a target.",
        f"a.yaml:5: the tool 'go' {advice}",
        f"a.yaml:7: the tool 'handoff_to_b' {advice}",
        "b.yaml:1: an entry of handoffs.type is 'loud'; choose announced or discrete.",
    ]


def test_one_tool_may_serve_several_targets(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", f"handoffs: [{{target: b, tool: {SHARED_TOOL}}}, {{target: c, tool: {SHARED_TOOL}}}]\n")
    for name in "bc":
        write(tmp_path, f"{name}.yaml", f"name: {name}\n")
    (spec,) = load_agents(tmp_path)[0].request_options.tools
    assert spec.parameters["properties"]["target_agent"]["enum"] == ["b", "c"]


def test_a_handoffs_variables_are_known_to_the_target(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "handoffs: [{target: b, context_vars: {ticket: 7}}]\n")
    write(tmp_path, "b.yaml", "prompt: Ask about {{ ticket }}, {{ handoff_reason }}.\n")
    assert warnings_of(tmp_path) == []


def test_a_tool_that_leads_to_another_agent_may_stand_among_the_tools(tmp_path: Path) -> None:
    write(tmp_path, "desk.yaml", "tools: [ask_billing, end_call, ask_fraud]\n")
    write(tmp_path, "billing.yaml", "handoff: {trigger: ask_billing}\ndescription: Bills.\ntools: [come_back]\n")
    write(tmp_path, "fraud.yaml", "handoff_trigger: ask_fraud\n")
    (error,) = errors_of(tmp_path)
    assert error.startswith("billing.yaml:3: there is no tool 'come_back'")
    write(tmp_path, "desk.yaml", "tools: [ask_billing, end_call, ask_fraud]\nhandoff: {trigger: come_back}\n")
    desk = next(agent for agent in load_agents(tmp_path) if agent.name == "desk")
    assert list(desk.toolset) == ["end_call"]
    assert [(route.target, route.tool_name, route.about) for route in desk.routes] == [
        ("billing", "ask_billing", "Bills."),
        ("fraud", "ask_fraud", ""),
    ]
    write(tmp_path, "desk.yaml", "tools: [come_back]\nhandoff: {trigger: come_back}\n")
    assert errors_of(tmp_path) == ["desk.yaml:1: 'desk' hands over to itself."]


def test_a_value_for_templates_may_be_a_template_itself(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "template_vars: {house: '{{ brand }} of {{ town }}', brand: Riverside}\n")
    write(tmp_path, "b.yaml", "\ntemplate_vars: {house: '{{ brand'}\n")
    (warning,) = warnings_of(tmp_path)
    assert warning.startswith("a.yaml:1: the template variable 'town' is not known here")
    (error,) = errors_of(tmp_path)
    assert error.startswith("b.yaml:2: Line 1 of a template is wrong")


def test_errors_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "nmae: a\n")
    write(tmp_path, "b/agent.yaml", "\ntols: []\n")
    assert [error.split(": ")[0] for error in errors_of(tmp_path)] == ["a.yaml:1", "b/agent.yaml:2"]


def test_r11_defaults_lie_under_every_block_and_the_nearer_ones_win(tmp_path: Path) -> None:
    write(
        tmp_path,
        "_defaults.yaml",
        """
        model: {name: "openai:gpt-4o", temperature: 0.3}
        voice: {name: anna, rate: "+10%"}
        speech: {phrases: [one, two], phrase_weight: 1.5}
        limits: {max_seconds: 30, max_model_steps: 4}
        template_vars: {clinic: Riverside, hours: {monday: 9, tuesday: 10}}
        handoff: {trigger: come_here}
        prompt: You work for {{ clinic }}.
        fillers: [One moment.]
        """,
    )
    write(tmp_path, "b/_defaults.yaml", "voice: {rate: '+20%'}\n")
    write(
        tmp_path,
        "b/agent.yaml",
        """
        model: {temperature: 0}
        voice: {pitch: "+5%"}
        speech: {phrases: [three]}
        limits: {max_seconds: 9}
        template_vars: {hours: {monday: 8}}
        handoff: {is_entry_point: true}
        fillers: null
        """,
    )
    agent = load_yaml_agent(tmp_path / "b/agent.yaml")
    assert (agent.model, agent.options.temperature) == ("openai:gpt-4o", 0)
    assert (agent.voice, agent.speed, agent.metadata["voice"]) == ("anna", 1.2, {"pitch": "+5%"})
    assert (agent.phrases, agent.metadata["speech"]) == (("three",), {"phrase_weight": 1.5})
    assert agent.limits is not None
    assert (agent.limits.max_seconds, agent.limits.max_model_steps) == (9, 4)
    assert agent.variables == {"hours": {"monday": 8, "tuesday": 10}, "clinic": "Riverside"}
    assert (agent.instructions, agent.fillers) == ("You work for {{ clinic }}.", ())
    assert load_agents(tmp_path)[0].version == agent.version


def test_defaults_may_be_empty(tmp_path: Path) -> None:
    write(tmp_path, "_defaults.yaml", "# nothing yet\n")
    assert load_yaml_agent(write(tmp_path, "a.yaml", "name: a\n")).name == "a"


def test_an_agents_own_prompt_and_short_model_leave_nothing_of_the_defaults_beside_them(tmp_path: Path) -> None:
    write(
        tmp_path, "_defaults.yaml", "prompt: The prompt of all.\nmodel: {provider: groq, name: x, temperature: 0.1}\n"
    )
    agent = load_yaml_agent(write(tmp_path, "a.yaml", "instructions: My own prompt.\nmodel: openai:gpt-4o\n"))
    assert (agent.instructions, agent.model, agent.options.temperature) == ("My own prompt.", "openai:gpt-4o", 0.1)


def test_what_is_wrong_in_the_defaults_is_told_once_and_of_their_file(tmp_path: Path) -> None:
    write(tmp_path, "_defaults.yaml", "greting: hi\nmodel:\n  temperature: 9\n")
    for name in "abc":
        write(tmp_path, f"{name}.yaml", "model: {max_tokens: 50}\n")
    assert errors_of(tmp_path) == [
        "_defaults.yaml:1: unknown key 'greting'; did you mean 'greeting'?",
        "_defaults.yaml:3: model.temperature must be a number from 0 to 2.",
    ]
