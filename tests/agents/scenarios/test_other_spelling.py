"""Agents and a scenario in the spelling of the accelerator that these files come from: they are read as they are."""

from __future__ import annotations

from pathlib import Path

from antiphon.agents.instructions import instructions_for
from antiphon.agents.scenarios.load import examine_catalog
from tests.agents.files.writing import write

DEFAULTS = """
model: {deployment_id: gpt-4o, provider: openai, temperature: 0.7}
voice: {type: azure-standard, rate: "+5%"}
session:
  modalities: [TEXT, AUDIO]
  turn_detection: {type: azure_semantic_vad, threshold: 0.5, silence_duration_ms: 700}
"""
GUIDE = """
agent:
  name: TravelGuide
  description: Plans journeys.
  greeting: "{% if caller_name %}Hello {{ caller_name }}.{% else %}Hello.{% endif %}"
  return_greeting: Welcome back.
handoff: {trigger: handoff_travel_guide}
voicelive_model: {deployment_id: "openai:gpt-realtime", temperature: 0.6}
cascade_model: {deployment_id: gpt-4o-mini, temperature: 0.2}
speech:
  recognition: {language: en-US, phrase_list: [Lofoten]}
  synthesis: {voice_name: anna}
  vad: {threshold: 0.5, silence_duration_ms: 700}
tools: [handoff_ticket_desk, end_call]
prompts: {path: prompt.jinja}
"""
DESK = """
name: TicketDesk
handoff_trigger: handoff_ticket_desk
tools: [handoff_travel_guide]
prompts:
  content: You sell tickets of {{ company_name }}. {{ handoff_context.destination | default('Ask where to.') }}
"""
ORCHESTRATION = """
name: travel
description: Journeys and tickets.
start_agent: TravelGuide
agents: [TravelGuide, TicketDesk]
handoff_type: announced
handoffs:
  - {from: TravelGuide, to: TicketDesk, tool: handoff_ticket_desk, type: discrete, share_context: true}
  - {from_agent: TicketDesk, to_agent: TravelGuide, tool_name: handoff_travel_guide, greet_on_switch: true}
generic_handoff: {enabled: true, allowed_targets: [TravelGuide], require_client_id: false}
agent_defaults:
  company_name: "{{ institution_name | default('Fjord Lines') }}"
  industry: travel
  compliance_required: true
"""


async def test_agents_and_a_scenario_in_the_other_spelling_are_read_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, "agents/_defaults.yaml", DEFAULTS)
    write(tmp_path, "agents/travel_guide/agent.yaml", GUIDE)
    write(tmp_path, "agents/travel_guide/prompt.jinja", "You plan journeys with {{ company_name }}, {{ industry }}.")
    write(tmp_path, "agents/ticket_desk/agent.yaml", DESK)
    write(tmp_path, "scenarios/journeys/orchestration.yaml", ORCHESTRATION)
    catalog, findings = examine_catalog(tmp_path, environment={})
    assert findings == ()
    assert catalog.scenario("journeys") is catalog.scenario("travel") is catalog.default
    guide, desk = catalog.team()
    assert (guide.name, guide.model, guide.options.temperature) == ("TravelGuide", "openai:gpt-4o-mini", 0.2)
    assert (guide.voice, guide.speed, guide.language, guide.phrases) == ("anna", 1.05, "en-US", ("Lofoten",))
    assert list(guide.toolset) == ["end_call"]
    assert [(route.tool_name, route.target, route.handoff_type) for route in (*guide.routes, *desk.routes)] == [
        ("handoff_ticket_desk", "TicketDesk", "discrete"),
        ("handoff_to_agent", "TicketDesk", "discrete"),
        ("handoff_travel_guide", "TravelGuide", "announced"),
        ("handoff_to_agent", "TravelGuide", "announced"),
    ]
    assert await instructions_for(guide) == "You plan journeys with Fjord Lines, travel."
    assert (await instructions_for(desk)).startswith("You sell tickets of Fjord Lines.")
