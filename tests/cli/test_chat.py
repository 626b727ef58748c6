"""``antiphon chat`` as a user runs it: a process, its standard streams, its exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from antiphon.cli.main import app; app()", "chat"]

AGENT = '''
from antiphon import Agent, tool
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool(approval_mode="always_require", sensitive_args=["pin"])
async def pay(amount: int, pin: str) -> str:
    """Pay."""
    return f"Paid {amount}."


def answer(messages, options):
    last = messages[-1]
    if last.role == "tool":
        return f"The tool said: {last.text}"
    words = last.text.split()
    if words[0] == "add":
        return Reply("Let me see.", (call("add", a=int(words[1]), b=int(words[2])),))
    if words[0] == "pay":
        return Reply(calls=(call("pay", amount=int(words[1]), pin="1234"),))
    if words[0] == "slowly":
        return Reply("one two three four five six seven eight nine ten", token_s=30.0)
    if words == ["fail"]:
        return Reply(fault="garbage")
    said = [message.text for message in messages if message.role == "user"]
    return f"I heard {len(said)} messages."


agent = Agent("desk", "Be kind.", tools=[add, pay], model=ScriptedChatClient(answer))
other = Agent("other", model=ScriptedChatClient(lambda messages, options: "I am the other one."))
agents = [agent, other]
'''


@pytest.fixture
def agent_file(tmp_path: Path) -> Path:
    file = tmp_path / "desk.py"
    file.write_text(AGENT)
    return file


def chat(file: Path, *arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, str(file), *arguments], input=said or "", capture_output=True, text=True, timeout=50, check=False
    )


def events(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_messages_are_answered_in_one_conversation_with_the_tools_shown(agent_file: Path) -> None:
    run = chat(agent_file, "-m", "add 2 3", "-m", "hello")
    assert run.returncode == 0, run.stderr
    assert "You: add 2 3" in run.stdout
    assert "desk: Let me see." in run.stdout
    assert "→ add(a=2, b=3)" in run.stdout
    assert "← 5" in run.stdout
    assert "The tool said: 5" in run.stdout
    assert "I heard" in run.stdout
    assert "Traceback" not in run.stderr


def test_piped_lines_are_turns_and_slash_reset_forgets(agent_file: Path) -> None:
    run = chat(agent_file, said="hello\n\nhello\n/reset\nhello\n/quit\nhello\n")
    assert run.returncode == 0, run.stderr
    heard = [line for line in run.stdout.splitlines() if "I heard" in line]
    assert [line.removeprefix("desk: ") for line in heard] == [
        "I heard 1 messages.",
        "I heard 2 messages.",
        "I heard 1 messages.",
    ]


def test_json_is_one_object_a_line_and_nothing_else(agent_file: Path) -> None:
    run = chat(agent_file, "--json", "-m", "add 2 3")
    told = events(run)
    kinds = [event["type"] for event in told]
    assert kinds[:2] == ["chat", "user"]
    assert [kind for kind in kinds if kind.startswith(("function", "tool"))] == [
        "function_call",
        "tool_started",
        "tool_finished",
    ]
    assert [event["seq"] for event in told if "seq" in event] == list(range(kinds.count("text") + 3))
    assert told[-1]["type"] == "response"
    assert told[-1]["text"].endswith("The tool said: 5")
    assert told[-1]["finish_reason"] == "stop"
    assert told[-1]["usage"]["total_tokens"] > 0


def test_a_call_that_needs_approval_runs_with_yes_and_is_rejected_where_nobody_can_say_it(agent_file: Path) -> None:
    approved = chat(agent_file, "--yes", "-m", "pay 40")
    assert "The tool said: Paid 40." in approved.stdout
    rejected = chat(agent_file, "-m", "pay 40")
    assert "nobody was there to approve it" in rejected.stdout
    assert "Paid" not in rejected.stdout
    asked = next(
        event for event in events(chat(agent_file, "--json", "-m", "pay 40")) if event["type"] == "approval_request"
    )
    assert "1234" not in asked["prompt"]


def test_a_conversation_is_kept_in_a_file_and_goes_on(agent_file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "talk.json"
    chat(agent_file, "--session", str(kept), "-m", "hello")
    run = chat(agent_file, "--session", str(kept), "-m", "hello")
    assert "I heard 2 messages." in run.stdout
    assert "Going on with" in run.stdout
    kept.write_text("not json")
    broken = chat(agent_file, "--session", str(kept), "-m", "hello")
    assert broken.returncode == 2
    assert "is no conversation" in broken.stderr


def test_a_failed_turn_is_a_sentence_and_an_exit_code_and_the_next_turn_goes_on(agent_file: Path) -> None:
    run = chat(agent_file, "-m", "fail", "-m", "hello")
    assert run.returncode == 1
    assert "Error: The scripted model sent what cannot be read." in run.stderr
    assert "I heard" in run.stdout
    assert "Traceback" not in run.stderr


def test_ctrl_c_interrupts_the_answer_and_the_conversation_goes_on(agent_file: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, str(agent_file), "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("slowly\n")
        process.stdin.flush()
        seen: list[dict[str, Any]] = []
        for line in process.stdout:
            seen.append(json.loads(line))
            if seen[-1]["type"] == "text":
                process.send_signal(signal.SIGINT)
            if seen[-1]["type"] == "interrupted":
                break
        rest, errors = process.communicate("hello\n", timeout=50)
    after = [json.loads(line) for line in rest.splitlines()]
    assert seen[-1]["type"] == "interrupted"
    assert after[-1]["text"] == "I heard 2 messages."
    assert process.returncode == 0, errors


def test_another_agent_of_the_file_answers_by_name(agent_file: Path) -> None:
    folder = agent_file.parent / "team"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.yaml").write_text(
            f"name: {name}\nprompt: You are agent {name} of the team.\nmodel: scripted\n"
        )
    run = chat(folder, "--agent", "TWO", "--json", "-m", "hello")
    assert events(run)[0]["agent"] == "two", run.stderr
    wrong = chat(folder, "--agent", "three", "-m", "hello")
    assert wrong.returncode == 2
    assert "choose one of one, two" in wrong.stderr


TEAM = """
from antiphon import Agent, Scenario, ScenarioEdge
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call

passes = ScriptedChatClient(lambda messages, options: Reply(calls=(call("ask_billing", reason="A bill."),)))
desk = Agent("desk", model=passes)
billing = Agent("billing", handoff_tool="ask_billing", model=ScriptedChatClient(lambda messages, options: "Paid."))
day = Scenario("day", handoffs=[ScenarioEdge("desk", "billing", type="discrete")])
night = Scenario("night", start_agent="billing")
"""


def test_a_scenario_is_chosen_by_name(tmp_path: Path) -> None:
    file = tmp_path / "team.py"
    file.write_text(TEAM)
    run = chat(file, "--scenario", "day", "--json", "-m", "My bill?")
    assert run.returncode == 0, run.stderr
    told = [(each["type"], each.get("agent")) for each in events(run)]
    assert told[0] == ("chat", "desk")
    assert told[-1] == ("response", "billing")
    assert "handoff" in {kind for kind, _ in told}
    assert events(chat(file, "--scenario", "night", "--json", "-m", "My bill?"))[-1]["agent"] == "billing"
    wrong = chat(file, "--scenario", "nigth", "-m", "My bill?")
    assert wrong.returncode == 2
    assert "There is no scenario 'nigth' here; did you mean 'night'?" in wrong.stderr


ASKING = """
from antiphon import Agent
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.collect import collect_email

replies = [
    Reply(calls=(call("collect_email"),)),
    "Your e-mail address?",
    Reply(calls=(call("record", email_address="ann at example dot com"),)),
    "Ann at example dot com?",
    Reply(calls=(call("confirm"),)),
    "It is on its way.",
]
agent = Agent("desk", tools=[collect_email()], model=ScriptedChatClient(replies))
"""


def test_a_collector_asks_turn_by_turn_and_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "asking.py"
    file.write_text(ASKING)
    run = chat(file, said="Send it to me.\nann at example dot com\nYes.\n")
    assert run.returncode == 0, run.stderr
    for line in (
        "⇢ collect_email asks",
        "collect_email: Your e-mail address?",
        '⇠ collect_email: {"email_address":"ann@example.com"}',
        "desk: It is on its way.",
    ):
        assert line in run.stdout
