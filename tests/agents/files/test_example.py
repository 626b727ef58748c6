"""The example folder of YAML agents is sound, and its tools do what they say."""

from __future__ import annotations

from pathlib import Path

from antiphon.agents.files import examine
from antiphon.agents.instructions import instructions_for

EXAMPLE = Path(__file__).parents[3] / "examples/agents/yaml"


async def test_the_example_holds_two_agents_that_hand_over_to_each_other() -> None:
    examined = examine(EXAMPLE, environment={})
    assert examined.findings == ()
    desk, billing = examined.agents
    assert [route.target_name for route in (*desk.routes, *billing.routes)] == ["billing", "front-desk"]
    assert desk.routes[0].tool_name == "ask_billing"
    assert billing.toolset["take_payment"].approval_mode == "always_require"
    assert (desk.voice, desk.language, desk.options.temperature, billing.options.temperature) == (
        "heart",
        "en-GB",
        0.3,
        0,
    )
    assert "receptionist of Riverside Dental" in await instructions_for(desk)
    assert "The caller is Ann." in await instructions_for(desk, variables={"caller_name": "Ann"})
    assert "comes from the phone" in await instructions_for(billing)
    assert await desk.toolset["opening_hours"]("sunday") == "closed"
    assert billing.toolset["price_of"]("filling") == "120 pounds"
