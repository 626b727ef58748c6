"""What each key of an agent file becomes, and what is kept for later."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon import Agent, tool
from antiphon.agents.background import BackgroundSound
from antiphon.agents.compaction import FactSheet, SlidingWindow, ToolResultCompaction
from antiphon.agents.files import load_yaml_agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.keypad import KeypadManner
from antiphon.agents.limits import RunLimits
from antiphon.agents.manners import Hearing, Idle, Interruption, Manners, Voicemail
from antiphon.agents.modules import load_module, tools_in
from antiphon.audio.tones import sine
from antiphon.audio.wav import write_wav
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.openai_compatible import OpenAICompatibleClient
from antiphon.tools.mcp import MCPStdioTool, MCPStreamableHTTPTool
from tests.agents.files.writing import errors_of, loaded, warnings_of, write

TOOLS = '''
from __future__ import annotations
from antiphon import tool
from antiphon.agents.middleware import function_middleware
from antiphon.tools.mcp import MCPStreamableHTTPTool

@tool(timeout_s=3)
async def opening_hours(day: str) -> str:
    """When we are open."""
    return "9 to 5"

def refund(invoice: str) -> str:
    """Give the money back."""
    return "done"

def impossible(*many: str) -> str:
    """No model can call this."""
    return ""

@function_middleware
async def audited(context, call_next):
    await call_next()

class Hours:
    source_id = "hours"

hours = Hours()
crm = MCPStreamableHTTPTool("crm", "https://crm.example.com/mcp")
'''


def test_a_yaml_agent_has_the_version_of_the_same_agent_in_code(tmp_path: Path) -> None:
    tools = write(tmp_path, "tools.py", TOOLS)
    read = loaded(
        tmp_path,
        """
        name: desk
        description: Answers the phone.
        instructions: You answer the phone of {{ place }}.
        greeting: Hello.
        model: {provider: openai, name: gpt-4o-mini, temperature: 0.3, stop: [bye]}
        voice: {name: anna, rate: "-20%"}
        speech: {phrases: [Riverside, crown]}
        language: en-GB
        tools: [opening_hours, refund]
        approval: {refund: always_require}
        fillers: [One moment.]
        limits: {max_seconds: 20}
        template_vars: {place: the clinic}
        output_schema: {type: object, properties: {done: {type: boolean}}, required: [done]}
        handoffs: [{target: billing, type: discrete, when: It is about money., share_context: false}]
        return_greeting: Hello again.
        metadata: {team: desk}
        """,
    )
    there = tools_in(load_module(tools))
    coded = Agent(
        "desk",
        "You answer the phone of {{ place }}.",
        description="Answers the phone.",
        greeting="Hello.",
        return_greeting="Hello again.",
        model="openai:gpt-4o-mini",
        options=ChatOptions(temperature=0.3, stop=("bye",)),
        voice="anna",
        speed=0.8,
        phrases=["Riverside", "crown"],
        language="en-GB",
        tools=[there["opening_hours"], tool(approval_mode="always_require")(there["refund"])],
        fillers=["One moment."],
        limits=RunLimits(max_seconds=20),
        variables={"place": "the clinic"},
        output_type={"type": "object", "properties": {"done": {"type": "boolean"}}, "required": ["done"]},
        handoffs=[Handoff("billing", handoff_type="discrete", when="It is about money.", share_context=False)],
        metadata={"team": "desk"},
    )
    assert read.request_options == coded.request_options
    assert read.version == coded.version
    assert read.version != read.replace(greeting="Good day.").version


def test_model_options_go_to_the_request(tmp_path: Path) -> None:
    agent = loaded(
        tmp_path,
        """
        model:
          deployment_id: openai:gpt-5
          max_completion_tokens: 20000
          reasoning_effort: low
          verbosity: 1
          top_p: 0.5
          min_p: 0.1
          presence_penalty: -1
          store: false
          metadata: {team: desk}
          response_format: {type: json_object}
          temperature: null
          model_family: gpt-5
        """,
    )
    assert agent.model == "openai:gpt-5"
    assert agent.options == ChatOptions(
        max_tokens=20_000,
        reasoning_effort="low",
        verbosity="medium",
        top_p=0.5,
        presence_penalty=-1,
        store=False,
        metadata={"team": "desk"},
        extra={"min_p": 0.1, "response_format": {"type": "json_object"}},
    )
    assert agent.metadata == {"model": {"model_family": "gpt-5"}}


def test_the_cascade_block_lies_over_the_model_and_the_realtime_block_waits(tmp_path: Path) -> None:
    agent = loaded(
        tmp_path,
        """
        model: {name: "openai:gpt-4o", temperature: 0.2}
        cascade_model: {name: "groq:llama-3.3-70b-versatile"}
        voicelive_model: {deployment_id: "openai:gpt-realtime", temperature: 0.7}
        """,
    )
    assert (agent.model, agent.options.temperature) == ("groq:llama-3.3-70b-versatile", 0.2)
    assert agent.metadata == {"realtime_model": {"name": "openai:gpt-realtime", "temperature": 0.7}}


def test_keys_that_nothing_reads_yet_are_checked_and_kept(tmp_path: Path) -> None:
    agent = loaded(
        tmp_path,
        """
        voice: {name: anna, pitch: "+10%", style: chat}
        speech:
          candidate_languages: [fr-FR, en-US]
          recognition: {phrase_list: [Antiphon]}
          phrase_weight: 1.5
        session: {turn_detection: server_vad, tool_choice: {type: function, name: hours}}
        metadata: {team: desk}
        """,
    )
    assert (agent.voice, agent.language, agent.phrases) == ("anna", "fr-FR", ("Antiphon",))
    assert agent.metadata == {
        "voice": {"pitch": "+10%", "style": "chat"},
        "speech": {
            "candidate_languages": ["fr-FR", "en-US"],
            "phrase_weight": 1.5,
        },
        "session": {"turn_detection": {"type": "server_vad"}, "tool_choice": {"type": "function", "name": "hours"}},
        "team": "desk",
    }


def test_the_manners_are_the_agents(tmp_path: Path) -> None:
    agent = loaded(
        tmp_path,
        """
        interruption: {mode: adaptive, min_duration_ms: 300, min_words: 2, ignore_words: [mm-hm, go on]}
        speech: {vad: {silence_duration_ms: 900, threshold: 0.4, prefix_padding_ms: 250}}
        idle: {timeout_s: 60, reminders: ['Hello?', 'Still there?'], goodbye: Goodbye then.}
        voicemail: {detect: audio, message: Please call us back., hang_up: false}
        stop_words: [over and out]
        goodbye: Take care.
        """,
    )
    assert agent.manners == Manners(
        interruption=Interruption("adaptive", 300, 2, ("mm-hm", "go on")),
        hearing=Hearing(900, 0.4, 250),
        idle=Idle(60, ("Hello?", "Still there?"), "Goodbye then."),
        voicemail=Voicemail("audio", "Please call us back.", hang_up=False),
        stop_words=("over and out",),
        goodbye="Take care.",
    )
    assert agent.metadata == {}


def test_an_agent_without_manners_goes_by_those_of_the_server(tmp_path: Path) -> None:
    assert loaded(tmp_path, "greeting: Hello.").manners == Manners()
    assert loaded(tmp_path, "stop_words: []").manners.stop_words == ()


def test_an_agent_that_finds_machines_by_its_model_has_the_tool_for_it(tmp_path: Path) -> None:
    agent = loaded(tmp_path, "voicemail: llm")
    assert list(agent.toolset) == ["detect_voicemail_and_end_call"]
    assert list(agent.replace(greeting="Hello.").toolset) == ["detect_voicemail_and_end_call"]
    named = loaded(tmp_path, "voicemail: llm\ntools: [confirm_voicemail_and_end_call, detect_voicemail_and_end_call]")
    assert list(named.toolset) == ["confirm_voicemail_and_end_call", "detect_voicemail_and_end_call"]


def test_the_background_is_the_agents(tmp_path: Path) -> None:
    agent = loaded(tmp_path, "background: {sound: office, volume: 0.3, loop: false}")
    assert agent.background == BackgroundSound("office", 0.3, loop=False)
    assert loaded(tmp_path, "background: typing").background == BackgroundSound("typing")
    assert loaded(tmp_path, "name: a").background is None
    assert loaded(tmp_path, "background: office").version != loaded(tmp_path, "background: typing").version


def test_a_background_may_be_a_wav_of_the_agents_folder(tmp_path: Path) -> None:
    write_wav(tmp_path / "rain.WAV", sine(300, 100), 8000)
    background = loaded(tmp_path, "background: {sound: rain.WAV, volume: 1}").background
    assert background == BackgroundSound(tmp_path.resolve() / "rain.WAV", 1)
    assert background.name == "rain.WAV"


@pytest.mark.parametrize(
    ("background", "expected"),
    [
        ("{volume: 0.5}", "background.sound is missing"),
        ("officee", "there is no sound 'officee'; use call-center, "),
        ("../rain.wav", "leads out of the agent's folder"),
        ("none.wav", "cannot be used: No such file"),
        ("{sound: office, volume: 2}", "background.volume"),
    ],
)
def test_a_background_that_cannot_be_heard_is_a_fault(tmp_path: Path, background: str, expected: str) -> None:
    (error,) = errors_of(write(tmp_path, "a.yaml", f"background: {background}"))
    assert expected in error


def test_the_keypad_is_the_agents(tmp_path: Path) -> None:
    agent = loaded(
        tmp_path, "dtmf: {interrupts: false, submit_after_s: 2.5, max_digits: 8, attempts: 2, timeout_s: 20}"
    )
    assert agent.keypad == KeypadManner(False, 2.5, 8, attempts=2, timeout_s=20)
    assert agent.metadata == {}
    assert loaded(tmp_path, "dtmf: {max_digits: 4}").keypad == KeypadManner(max_digits=4)


def test_the_agent_may_press_keys(tmp_path: Path) -> None:
    assert "send_dtmf" in loaded(tmp_path, "tools: [send_dtmf]").toolset


def test_older_names_of_keys_are_read(tmp_path: Path) -> None:
    agent = loaded(
        tmp_path,
        """
        agent: {name: desk, greeting: Hello., description: Answers.}
        speech:
          synthesis: {voice_name: anna}
          recognition: {language: de-DE}
        """,
    )
    assert (agent.name, agent.greeting, agent.description) == ("desk", "Hello.", "Answers.")
    assert (agent.voice, agent.language, agent.metadata) == ("anna", "de-DE", {})


def test_tools_get_the_files_approval_and_timeout_and_stay_as_they_are_for_others(tmp_path: Path) -> None:
    write(tmp_path, "tools.py", TOOLS)
    write(tmp_path, "b.yaml", "tools: [refund, opening_hours]\n")
    agent = loaded(
        tmp_path,
        """
        tools: [opening_hours, refund]
        approval: {opening_hours: always_require}
        tool_timeout_s: 20
        """,
    )
    assert agent.toolset["opening_hours"].approval_mode == "always_require"
    assert agent.toolset["opening_hours"].timeout_s == 3
    assert agent.toolset["refund"].timeout_s == 20
    assert agent.toolset["refund"].approval_mode == "never_require"


def test_code_is_found_by_its_name_in_tools_py(tmp_path: Path) -> None:
    write(tmp_path, "tools.py", TOOLS)
    agent = loaded(tmp_path, "context_providers: [hours]\nmiddleware: [audited]\nmcp_servers: [crm]\n")
    assert [provider.source_id for provider in agent.context_providers] == ["hours"]
    assert [getattr(each, "__name__", "") for each in agent.middleware] == ["audited"]
    assert [source.name for source in agent.sources] == ["crm"]


def test_mcp_servers_can_be_described_in_the_file(tmp_path: Path) -> None:
    agent = loaded(
        tmp_path,
        """
        mcp_servers:
          - {name: crm, url: "https://crm.example.com/mcp", allowed_tools: [find], timeout_s: 5}
          - {name: files, command: files-server, args: [--read-only], env: {ROOT: /srv}}
        """,
    )
    assert [type(source) for source in agent.sources] == [MCPStreamableHTTPTool, MCPStdioTool]
    assert [source.name for source in agent.sources] == ["crm", "files"]


def test_compaction_is_the_named_strategy(tmp_path: Path) -> None:
    kinds = {
        "compaction: {strategy: sliding_window, keep_turns: 5}": SlidingWindow,
        "compaction: tool_results": ToolResultCompaction,
        "compaction: {strategy: fact_sheet, model: 'openai:gpt-4o-mini', max_facts: 9}": FactSheet,
    }
    for text, kind in kinds.items():
        assert isinstance(loaded(tmp_path, text).compaction, kind)


def test_a_key_for_an_endpoint_comes_by_its_name_from_the_variables_that_are_allowed(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", "model: {name: m, base_url: 'http://127.0.0.1:1/v1', api_key_env: MY_KEY}\n")
    assert errors_of(path) == [
        "a.yaml:1: agent files may not read the environment variable MY_KEY; add it to ANTIPHON_YAML_ENV_ALLOW, or "
        "write $${MY_KEY} for the text itself."
    ]
    assert "MY_KEY is not set" in errors_of(path, MY_KEY=None)[0]
    assert isinstance(load_yaml_agent(path, environment={"MY_KEY": "k"}).model, OpenAICompatibleClient)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tools: [refund]\napproval: {refnd: always_require}", "2: approval.refnd is none of the tools; did you mean"),
        ("tools: [refund]\napproval: {refund: always}", "2: approval.refund is 'always'; choose never_require or"),
        ("tools: [impossible]", "1: the tool 'impossible' cannot be used: "),
        ("mcp_servers: [crn]", "1: there is no MCP server 'crn' in tools.py; did you mean 'crm'?"),
        ("mcp_servers: [{url: 'https://x.example'}]", "1: an entry of mcp_servers needs a name."),
        ("mcp_servers: [{name: a, required: true}]", "1: the MCP server 'a' needs either a url or a command."),
        (
            "mcp_servers: [{name: a, command: b, headers: {c: d}}]",
            "1: mcp_servers.headers means nothing beside command",
        ),
        ("middleware: [audit]", "1: there is no 'audit' for middleware in tools.py; did you mean 'audited'?"),
        ("middleware: [refund]", "1: Middleware 'refund' does not say what it goes around"),
        ("compaction: {max_tokens: 500}", "1: compaction.strategy is missing; choose token_budget or"),
        ("compaction: {strategy: truncation, max_facts: 3}", "1: compaction.max_facts means nothing to truncation"),
        ("compaction: summarization", "1: compaction.model is missing: summarization asks a model"),
        ("model: {max_tokens: 5, max_completion_tokens: 6}", "1: model.max_tokens and model.max_completion_tokens"),
        ("session: {modalities: [TEXT]}\nmetadata: {session: 3}", "2: metadata.session is where session is kept"),
        ("handoff_trigger: a\nhandoff: {trigger: b}", "1: handoff_trigger and handoff.trigger say the same"),
        ("voice: {}\nspeech: {synthesis: {voice: a}}", "2: unknown key 'speech.synthesis'"),
        ("voice: anna\nspeech: {synthesis: {voice_name: a}}", "2: speech.synthesis.voice_name and voice.name say the"),
        ("realtime_model: {name: 'opnai:x'}", "1: model.name: There is no provider 'opnai'"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, text: str, expected: str) -> None:
    write(tmp_path, "tools.py", TOOLS)
    (error,) = errors_of(write(tmp_path, "a.yaml", text + "\n"))
    assert error.startswith(f"a.yaml:{expected}")


def test_a_broken_tools_py_is_told_where_it_breaks_and_its_tools_are_not_called_missing(tmp_path: Path) -> None:
    write(tmp_path, "tools.py", "\nimport nothing_of_that_name\n")
    path = write(tmp_path, "a.yaml", "tools: [refund]\n")
    assert errors_of(path) == ["tools.py:2: ModuleNotFoundError: No module named 'nothing_of_that_name'"]


def test_a_template_variable_that_nobody_knows_is_a_warning(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.yaml",
        """
        template_vars: {clinic: Riverside}
        greeting: "Hello {{ caller_name }}, this is {{ clinik }}."
        prompt: |
          You work for {{ clinic }}. {{ weather | default('fine') }}
          {% if mood %}You feel {{ mood }}.{% endif %} {% for day in days %}{{ day }}{% endfor %}
        """,
    )
    assert errors_of(path) == []
    assert warnings_of(path) == [
        "a.yaml:3: the template variable 'clinik' is not known here; did you mean 'clinic'?",
        "a.yaml:4: the template variable 'days' is not known here; put it in template_vars, or write "
        "{{ days | default('') }}.",
    ]


def test_instructions_that_say_nearly_nothing_are_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", "prompt: Hi.\n")
    assert warnings_of(path) == [
        "a.yaml:1: the instructions have less than 10 characters; say what the agent is to do."
    ]


def test_a_model_that_speaks_stands_beside_the_one_that_writes(tmp_path: Path) -> None:
    assert loaded(tmp_path, "model: {s2s: openai/gpt-realtime}").model == "s2s:openai/gpt-realtime"
    both = loaded(tmp_path, "model: {s2s: azure/desk, provider: openai, name: gpt-4o-mini, temperature: 0.3}")
    assert both.model == "s2s:azure/desk|openai:gpt-4o-mini"
    assert both.options.temperature == 0.3
