"""The examples, run as they are with a scripted model in the place of the configured one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "agents"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def scripted(reply: Callable[[Sequence[Message], ChatOptions], str | Reply]) -> ScriptedChatClient:
    return ScriptedChatClient(reply)


def told(last: Message) -> str:
    return f"The tool says: {last.text}"


async def test_the_tool_agent_streams_and_shows_its_tools(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("tool_agent")

    def reply(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        if messages[-1].role == "tool":
            return told(messages[-1])
        return Reply(calls=(call("price", treatment="cleaning"),))

    await module.main(module.agent.replace(model=scripted(reply)))
    assert capsys.readouterr().out == ('[price{"treatment":"cleaning"}]\nThe tool says: A cleaning costs 95 dollars.\n')


async def test_the_front_desk_hands_over_to_billing(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("handoff")

    def reply(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
        names = {tool.name for tool in options.tools}
        if "handoff_to_billing" in names:
            assert "Hand over to billing whenever" in messages[0].text
            return Reply(calls=(call("handoff_to_billing", reason="a bill is meant"),))
        assert names == {"open_bills", "handoff_to_front-desk"}
        assert "because: a bill is meant" in messages[0].text or "because: nobody has said why" in messages[0].text
        if messages[-1].text.startswith("Ada"):
            return told(messages[-1])
        return Reply(calls=(call("open_bills", name="Ada"),))

    client = scripted(reply)
    billing = module.billing.replace(model=client)
    route = module.front_desk.routes[0]
    desk = module.front_desk.replace(model=client, handoffs=[type(route)(billing, when=route.when)])
    await module.main(desk)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "(front-desk → billing: a bill is meant)"
    assert lines[1] == "billing: The tool says: Ada has one open bill of 95 dollars, due on Friday."
    assert lines[2].startswith("billing: The tool says: Ada has")


async def test_a_structured_answer_grows_and_is_a_checked_value(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("structured_output")
    wrong = '{"name": "Ada", "day": "sunday", "hour": 10}'
    right = '{"name": "Ada", "day": "tuesday", "hour": 10, "reasons": ["tooth hurts"]}'
    await module.main(module.agent.replace(model=ScriptedChatClient([wrong, right])))
    out = capsys.readouterr().out
    assert "so far: {'name': 'Ada', 'day': 'tuesday'" in out
    assert out.endswith("Ada comes on tuesday at 10: tooth hurts\n")


@pytest.mark.parametrize(("decision", "outcome"), [(True, "95 dollars go back to Ada."), (False, "Reason: too much")])
async def test_a_refund_waits_for_a_person(decision: bool, outcome: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = example("approval")
    asked: list[str] = []

    def reply(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        if messages[-1].role == "tool":
            return told(messages[-1])
        return Reply(calls=(call("refund", patient="Ada", dollars=95),))

    def decide(question: str) -> bool:
        asked.append(question)
        return decision

    await module.main(module.agent.replace(model=scripted(reply)), decide=decide)
    assert asked == ["refund(patient='Ada', dollars=95)"]
    assert outcome in capsys.readouterr().out


async def test_the_tools_of_an_mcp_server_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("mcp_tools")

    def reply(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
        assert [tool.name for tool in options.tools] == ["calendar_free_hours"]
        if messages[-1].role == "tool":
            return told(messages[-1])
        return Reply(calls=(call("calendar_free_hours", day="Monday"),))

    await module.main(module.agent.replace(model=scripted(reply)))
    assert "The tool says: On Monday there is room at 10 and at 14 o'clock." in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_an_example_loads_without_running_and_says_how_it_is_run(name: str) -> None:
    source = (FOLDER / f"{name}.py").read_text()
    assert source.startswith('"""')
    assert '__name__ == "__main__"' in source
    run = subprocess.run(
        [sys.executable, "-c", f"import runpy; runpy.run_path('examples/agents/{name}.py')"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
