"""Agents in files: what is right loads, what is wrong is told with file, line and the nearest right thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.agents.files import load_agents
from antiphon.agents.instructions import instructions_for
from antiphon.errors import ConfigurationError
from antiphon.models.llm.openai_compatible import OpenAICompatibleClient
from tests.agents.files.writing import write

TOOLS = '''
from __future__ import annotations
from antiphon import tool

@tool(timeout_s=3)
async def opening_hours(day: str) -> str:
    """When we are open."""
    return "9 to 5"

def prices() -> str:
    """What it costs."""
    return "9"

def _private() -> str:
    return ""
'''


BILLION = "metadata:\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  {name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
"""Seventy short lines that stand for a billion values."""


def fault_of(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_agents(path)
    return str(caught.value).splitlines()


async def test_a_full_agent_is_what_the_same_lines_in_python_would_be(tmp_path: Path) -> None:
    write(tmp_path, "tools.py", TOOLS)
    path = write(
        tmp_path,
        "desk.yaml",
        """
        name: front-desk
        description: Answers the phone.
        instructions: |
          You are {{ agent_name }} of {{ place }}.
        greeting: "Hello, {{ place }}."
        tools: [opening_hours, prices, end_call]
        model: {provider: openai, name: gpt-4o-mini, temperature: 0.3, max_tokens: 200}
        voice: {name: anna}
        language: en-GB
        fillers: ["One moment."]
        limits: {max_model_steps: 3, max_seconds: 20}
        template_vars: {place: the clinic}
        metadata: {team: [a, b]}
        """,
    )
    (agent,) = load_agents(path)
    assert (agent.name, agent.description, agent.voice, agent.language) == (
        "front-desk",
        "Answers the phone.",
        "anna",
        "en-GB",
    )
    assert await instructions_for(agent) == "You are front-desk of the clinic."
    assert list(agent.toolset) == ["opening_hours", "prices", "end_call"]
    assert agent.toolset["opening_hours"].timeout_s == 3
    assert agent.model == "openai:gpt-4o-mini"
    assert (agent.options.temperature, agent.options.max_tokens) == (0.3, 200)
    assert (agent.limits.max_model_steps, agent.limits.max_seconds) == (3, 20)
    assert agent.fillers == ("One moment.",)
    assert agent.metadata == {"team": ["a", "b"]}


def test_a_folder_holds_agents_in_both_layouts(tmp_path: Path) -> None:
    write(tmp_path, "billing/agent.yaml", "prompts: {path: prompt.md}\nmodel: openai:gpt-4o\nvoice: bob\n")
    write(tmp_path, "billing/prompt.md", "You do the bills.")
    write(tmp_path, "desk.yaml", "prompt: You are the desk.\nmodel: {temperature: null}\n")
    write(tmp_path, "_notes.yaml", "no: agent\n")
    write(tmp_path, "readme.txt", "no agent")
    agents = load_agents(tmp_path)
    assert [agent.name for agent in agents] == ["billing", "desk"]
    assert [agent.instructions for agent in agents] == ["You do the bills.", "You are the desk."]
    assert [agent.model for agent in agents] == ["openai:gpt-4o", None]
    assert agents[0].voice == "bob"


def test_a_base_url_makes_a_client_of_its_own_without_the_operators_key(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", 'model: {name: qwen, base_url: "http://127.0.0.1:11434/v1"}\n')
    model = load_agents(path)[0].model
    assert isinstance(model, OpenAICompatibleClient)
    assert model.name == "127.0.0.1/qwen"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\ngreting: hi\n", ":2: unknown key 'greting'; did you mean 'greeting'?"),
        ("model:\n  nmae: x\n", ":2: unknown key 'model.nmae'; did you mean 'name'?"),
        ("model:\n  temperature: 3\n", ":2: model.temperature must be a number from 0 to 2."),
        ("model:\n  max_tokens: 1.5\n", ":2: model.max_tokens must be a whole number from 1 to 16384."),
        ("model:\n  temperature: yes\n", ":2: model.temperature must be a number from 0 to 2."),
        ("model: {provider: openai}\n", ":1: model.name is missing."),
        ("model: {name: x, base_url: localhost}\n", ":1: The base URL 'localhost' must begin"),
        ("model: [a]\n", ":1: model must be a mapping"),
        ("name: 7\n", ":1: name must be text; put it in quotes."),
        (f"name: {'x' * 65}\n", ":1: name has 65 characters; at most 64 are allowed."),
        ("name: a\nname: b\n", ":2: name stands here for the second time."),
        ("\ntools:\n  - prices\n", ":3: there is no tool 'prices' because there is no tools.py"),
        ("tools: prices\n", ":1: tools must be a list."),
        ("tools: [3]\n", ":1: an entry of tools must be text"),
        ("tools: [end_call, end_call]\n", ":1: the tool 'end_call' stands here for the second time."),
        ("prompt: a\ninstructions: b\n", ":1: the instructions stand in instructions and in prompt; keep one."),
        ("prompts: {path: ../secret.txt}\n", ":1: prompts.path '../secret.txt' leads out of the agent's folder."),
        ("prompts: {path: missing.md}\n", ":1: prompts.path 'missing.md' cannot be read: No such file"),
        ("prompt: hi\ngreeting: '{{ open'\n", ":2: Line 1 of a template is wrong"),
        ("metadata: 3\n", ":1: metadata must be a mapping."),
        ("limits: {max_seconds: 0}\n", ":1: limits.max_seconds must be a number from 1 to 3600."),
        ("- a\n- b\n", ":1: an agent is a mapping"),
        ("", ":1: an agent is a mapping"),
        ("name: 'open\n", ":2: found unexpected end of stream"),
        ("a: b: c\n", ":1: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", ":2: but found another document"),
        ("<<: {name: a}\n", ":1: unknown key '<<'"),
        ("template_vars: {a: [&a [*a]]}\n", ":1: the file stands for more than 20000 values"),
        (BILLION, ":1: the file stands for more than 20000 values"),
        ("metadata: " + "[" * 2000 + "]" * 2000 + "\n", ":1: the values stand too deep"),
        ("? [a]\n: b\n", ":1: a key is a word, not a list or mapping."),
        ("metadata: {a: {[b]: c}}\n", ":1: a key is a word, not a list or mapping."),
        ("metadata: {1: a}\n", ":1: metadata has the key 1; put it in quotes."),
        ("metadata: {on: 2026-13-45}\n", ":1: metadata must be a mapping"),
        (f"prompt: {'x' * 65_537}\n", ":1: prompt has 65537 characters; at most 65536"),
        ("model: opnai:gpt-4o\n", ":1: model.name: There is no provider 'opnai'; did you mean openai?"),
        ("model: {provider: opnai, name: x}\n", ":1: model.provider: There is no provider 'opnai'; did you mean"),
        ("model: gpt-4o\n", ":1: model.name 'gpt-4o' names no provider; write it as openai:"),
        ("model: {s2s: gpt-realtime}\n", ":1: model.s2s: There is no speech-to-speech model 'gpt-realtime': write"),
        ("voice: a\nmodel: {s2s: scripted, name: gpt-4o}\n", ":2: model.name 'gpt-4o' names no provider"),
        ("model: {s2s: scripted, name: m, base_url: 'http://a'}\n", ":1: model.s2s cannot stand beside model.base_url"),
        (
            "model: 's2s:openai/gpt-realtime'\n",
            ":1: model.name 's2s:openai/gpt-realtime': a file names it as `model: {",
        ),
        ("model: 'groq:llama|openia:gpt'\n", ":1: model.name: There is no provider 'openia'"),
        ("model: {name: 'openai:a', api_key_env: KEY}\n", ":1: model.api_key_env is the key for model.base_url"),
        ("voice: {rate: '+200%'}\n", ':1: voice.rate must be a percentage from "-50%" to "+100%".'),
        ("interruption: {mode: never}\n", ":1: interruption.mode is 'never'; choose vad or adaptive or off."),
        ("speech: {candidate_languages: []}\n", ":1: speech.candidate_languages has 0 entries; 1 to 10 are"),
        ("session: {turn_detection: {threshold: 2}}\n", ":1: session.turn_detection.threshold must be a number"),
        ("handoff: {trigger: 'go there'}\n", ":1: handoff.trigger is 'go there'; it must be 1 to 64 letters"),
        ("kind: workflow\n", ":1: kind is 'workflow'; choose agent."),
        ("language: English!\n", ":1: language is 'English!'; it must be a language tag such as en-GB."),
        ("limits: {max_tool_calls: true}\n", ":1: limits.max_tool_calls must be a whole number"),
        ("speech: {enable_diarization: 'yes'}\n", ":1: speech.enable_diarization must be true or false."),
        ("output_schema: {type: strin}\n", ":1: output_schema cannot be used: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, "agent.yaml", text)
    (fault,) = fault_of(path)
    assert fault.startswith(f"{path}{expected}")


def test_r12_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", "nmae: x\nmodel: {temperature: 9}\ntools: [nothing]\n")
    assert [fault.split(":")[1] for fault in fault_of(path)] == ["1", "2", "3"]


def test_a_missing_tool_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "tools.py", TOOLS)
    path = write(tmp_path, "a.yaml", "tools: [opening_hour]\n")
    assert fault_of(path) == [f"{path}:1: there is no tool 'opening_hour' in tools.py; did you mean 'opening_hours'?"]


def test_no_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"name: \xff\xfe\n")
    assert fault_of(path)[0].startswith(f"{path}:1:")


def test_a_python_file_gives_its_agent_or_all_of_them(tmp_path: Path) -> None:
    one = write(tmp_path, "one.py", "from antiphon import Agent\nagent = Agent('a')\nother = Agent('b')\n")
    assert [agent.name for agent in load_agents(one)] == ["a"]
    two = write(tmp_path, "two.py", "from antiphon import Agent\nx = Agent('x')\nsame = x\ny = Agent('y')\n")
    assert [agent.name for agent in load_agents(two)] == ["x", "y"]


def test_a_python_file_may_import_its_neighbours_and_use_its_own_types(tmp_path: Path) -> None:
    write(tmp_path, "neighbour_of_agent.py", "GREETING = 'hi'\n")
    path = write(
        tmp_path,
        "own.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from antiphon import Agent
        from neighbour_of_agent import GREETING

        @dataclass
        class Slot:
            day: str

        def book(slot: Slot) -> str:
            return slot.day

        agent = Agent("own", tools=[book], greeting=GREETING)
        if __name__ == "__main__":
            agent.serve()
        """,
    )
    (agent,) = load_agents(path)
    assert agent.greeting == "hi"
    assert agent.toolset["book"].spec.parameters["properties"]["slot"]["required"] == ["day"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import antiphon\nx = 1 / 0\n", ":2: ZeroDivisionError: division by zero"),
        ("x = (\n", ":1: SyntaxError"),
        ("\nimport no_such_module_at_all\n", ":2: ModuleNotFoundError"),
        ("\nraise SystemExit(3)\n", ":2: SystemExit: 3"),
        ("x = 1\n", ":1: the file defines no agent"),
    ],
)
def test_a_python_file_that_fails_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, "broken.py", text)
    assert fault_of(path)[0].startswith(f"{path}{expected}")


def test_paths_that_hold_no_agent_are_told(tmp_path: Path) -> None:
    assert "There is no agent file or folder" in fault_of(tmp_path / "nothing")[0]
    assert "holds no agent" in fault_of(tmp_path)[0]
    assert "is no agent; give" in fault_of(write(tmp_path, "a.txt", "x"))[0]
    write(tmp_path, "a.yaml", "name: Desk\n")
    write(tmp_path, "b.yaml", "name: desk\n")
    assert "two agents with the name 'desk'" in fault_of(tmp_path)[0]
