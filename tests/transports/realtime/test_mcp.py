"""MCP servers of a session: a real server on loopback, a real socket, the model's calls in between."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.agents.agent import Agent
from antiphon.models.llm.scripted import Reply, call
from antiphon.telemetry import setup_logging
from antiphon.tools.tool import tool
from tests.tools.mcp.harness import REFERENCE, http_server
from tests.transports.realtime.mcp_client import TEXT, Talk, talking


@pytest.fixture(scope="module")
def reference() -> Iterator[int]:
    """The port of a server in a process of its own."""
    with subprocess.Popen([sys.executable, str(REFERENCE), "http"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.fixture
def port(reference: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """The port of a server that this process may reach."""
    monkeypatch.setenv("ANTIPHON_URL_ALLOW_HOSTS", f"127.0.0.1:{reference}")
    return reference


def sums(port: int, **options: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/mcp"
    return {"type": "mcp", "server_label": "sums", "server_url": url, "allowed_tools": ["add"], **options}


async def test_a_call_runs_and_the_agent_answers_with_what_came_of_it(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        await talk.use(sums(port, require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        [listed] = [event["item"] for event in talk.of("conversation.item.done")]
        assert (listed["type"], listed["server_label"]) == ("mcp_list_tools", "sums")
        assert [tool["name"] for tool in listed["tools"]] == ["add"]
        assert listed["tools"][0]["input_schema"]["required"] == ["a", "b"]
        assert talk.about(listed["id"]) == [
            "conversation.item.added",
            "mcp_list_tools.in_progress",
            "conversation.item.done",
            "mcp_list_tools.completed",
        ]
        done = await talk.ask("Add 2 and 3.")
        called, message = done["output"]
        assert (called["type"], called["name"], called["server_label"]) == ("mcp_call", "add", "sums")
        assert (called["arguments"], called["output"], called["status"]) == ('{"a":2,"b":3}', "5", "completed")
        assert message["content"] == [{"type": "output_text", "text": "It is 5."}]
        assert talk.about(called["id"]) == [
            "response.output_item.added",
            "conversation.item.added",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.mcp_call.in_progress",
            "response.mcp_call.completed",
            "response.output_item.done",
            "conversation.item.done",
        ]
        await talk.ask("Thanks.")
        assert talk.prompt() == [
            ("user", "Add 2 and 3."),
            ("assistant", 'sums_add({"a":2,"b":3})'),
            ("tool", "5"),
            ("assistant", "It is 5."),
            ("user", "Thanks."),
        ]


async def test_a_spoken_answer_goes_on_after_the_call(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        await talk.use(sums(port, require_approval="never"), output_modalities=["audio"])
        await talk.until("mcp_list_tools.completed")
        done = await talk.ask("Add 2 and 3.")
        assert [item["type"] for item in done["output"]] == ["mcp_call", "message"]
        assert done["output"][1]["content"][0]["transcript"] == "It is 5."
        assert len(talk.of("response.output_audio.delta")) > 0
        assert [event["output_index"] for event in talk.of("response.output_audio.done")] == [1]


async def test_words_in_front_of_a_call_are_a_message_of_their_own(tmp_path: Path, port: int) -> None:
    def script(messages: Any, _options: Any) -> Any:
        if messages[-1].role == "tool":
            return f"It is {messages[-1].text}."
        return Reply("One moment.", calls=(call("sums_add", a=2, b=3),)) if "Add" in messages[-1].text else "Bye."

    async with talking(tmp_path, script) as talk:
        await talk.use(sums(port, require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        done = await talk.ask("Add 2 and 3.")
        assert [item["type"] for item in done["output"]] == ["message", "mcp_call", "message"]
        await talk.ask("Thanks.")
        assert talk.prompt()[1:5] == [
            ("assistant", 'One moment. sums_add({"a":2,"b":3})'),
            ("tool", "5"),
            ("assistant", "It is 5."),
            ("user", "Thanks."),
        ]


async def approval_asked(talk: Talk, port: int, **options: Any) -> dict[str, Any]:
    """Come to the point where the client has to approve; gives the request."""
    await talk.use(sums(port, **options))
    await talk.until("mcp_list_tools.completed")
    done = await talk.ask("Add 2 and 3.")
    [request] = done["output"]
    assert (done["status"], request["type"]) == ("completed", "mcp_approval_request")
    return dict(request)


async def answer(talk: Talk, request_id: str, *, approve: bool, **fields: Any) -> None:
    item = {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve, **fields}
    await talk.send("conversation.item.create", item=item)


async def test_a_call_waits_for_approval_and_runs_then(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        request = await approval_asked(talk, port)  # nothing said of approval: each call needs it
        assert (request["name"], request["server_label"]) == ("add", "sums")
        assert request["arguments"] == '{"a":2,"b":3}'
        assert not talk.of("response.mcp_call.in_progress")
        await answer(talk, request["id"], approve=True)
        done = await talk.ask()
        called, message = done["output"]
        assert (called["type"], called["output"]) == ("mcp_call", "5")
        assert called["approval_request_id"] == request["id"]
        assert message["content"][0]["text"] == "It is 5."
        assert talk.about(called["id"])[4:6] == ["response.mcp_call.in_progress", "response.mcp_call.completed"]
        await talk.ask("Thanks.")
        assert talk.prompt()[1:3] == [("assistant", 'sums_add({"a":2,"b":3})'), ("tool", "5")]
        assert len([role for role, _ in talk.prompt() if role == "tool"]) == 1


async def test_a_refused_call_does_not_run_and_the_model_reads_why(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        request = await approval_asked(talk, port, require_approval="always")
        await answer(talk, request["id"], approve=False, reason="Too much.")
        done = await talk.ask()
        assert [item["type"] for item in done["output"]] == ["message"]
        assert done["output"][0]["content"][0]["text"].startswith("It is A person did not approve this call.")
        assert "Too much." in talk.prompt()[-1][1]
        assert not talk.of("response.mcp_call.in_progress")
        await talk.ask("Thanks.")
        assert "Too much." in dict(talk.prompt())["tool"]


async def test_a_call_that_waits_is_no_answer_and_can_be_decided_later(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        request = await approval_asked(talk, port)
        await talk.ask("Hello?")
        assert "no decision yet" in dict(talk.prompt())["tool"]
        await answer(talk, request["id"], approve=True)
        done = await talk.ask()
        assert [item["type"] for item in done["output"]] == ["mcp_call", "message"]
        await answer(talk, request["id"], approve=True)  # a second answer changes nothing
        await talk.ask("Thanks.")
        assert len(talk.of("response.mcp_call.in_progress")) == 1


async def test_an_approval_runs_no_tool_of_the_agent(tmp_path: Path, port: int) -> None:
    ran: list[int] = []

    async def sums_add(a: int, b: int) -> str:
        ran.append(a + b)
        return "paid"

    agent = Agent("desk", "Help.", tools=[tool(sums_add, approval_mode="always_require")])
    async with talking(tmp_path, agent=agent) as talk:
        request = await approval_asked(talk, port)
        await answer(talk, request["id"], approve=True)
        assert (await talk.ask())["output"][0]["output"] == "5"
        request = (await talk.ask("Add 2 and 3."))["output"][0]
        await talk.use()  # the server is gone, and the agent's own tool has the name
        await answer(talk, request["id"], approve=True)
        done = await talk.ask()
        assert done["output"][0]["content"][0]["text"] == "It is The server of this tool is no longer there.."
        assert ran == []


async def test_an_answer_to_no_request_is_refused(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        await talk.say("Hello.")
        added = await talk.until("conversation.item.added")
        await answer(talk, "mcpr_none", approve=True)
        await answer(talk, added["item"]["id"], approve=True)
        await talk.until("error", 2)
        assert {(event["error"]["code"], event["error"]["param"]) for event in talk.of("error")} == {
            ("invalid_value", "item.approval_request_id")
        }


async def test_a_request_that_the_client_deletes_is_forgotten(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        request = await approval_asked(talk, port)
        await talk.send("conversation.item.delete", item_id=request["id"])
        await talk.until("conversation.item.deleted")
        await talk.ask("Thanks.")
        assert [role for role, _ in talk.prompt()] == ["user"]


async def test_a_deleted_call_takes_its_result_along(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        await talk.use(sums(port, require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        done = await talk.ask("Add 2 and 3.")
        await talk.send("conversation.item.delete", item_id=done["output"][0]["id"])
        await talk.until("conversation.item.deleted")
        await talk.ask("Thanks.")
        assert talk.prompt() == [("user", "Add 2 and 3."), ("assistant", "It is 5."), ("user", "Thanks.")]


def calling(name: str) -> Any:
    def script(messages: Any, options: Any) -> Any:
        if messages[-1].role == "tool":
            return "Done."
        return Reply(calls=(call(name),)) if any(tool.name == name for tool in options.tools) else "There is none."

    return script


async def test_a_tool_that_fails_is_told_with_its_words(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path, calling("sums_fail")) as talk:
        await talk.use(sums(port, allowed_tools=["fail"], require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        done = await talk.ask("Go.")
        called = done["output"][0]
        assert called["error"] == {"type": "tool_execution_error", "message": "no such customer"}
        assert "output" not in called
        assert talk.about(called["id"])[5:] == [
            "response.mcp_call.failed",
            "response.output_item.done",
            "conversation.item.done",
        ]
        assert talk.prompt()[-1] == ("tool", "no such customer")
        assert done["status"] == "completed"


async def test_a_cancelled_response_closes_its_call(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path, calling("sums_slow")) as talk:
        await talk.use(sums(port, allowed_tools=["slow"], require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        await talk.say("Go.")
        await talk.send("response.create")
        await talk.until("response.mcp_call.in_progress")
        await talk.send("response.cancel")
        done = (await talk.until("response.done"))["response"]
        assert done["status"] == "cancelled"
        assert done["output"][0]["error"]["message"] == "The response ended before the tool did."
        assert talk.about(done["output"][0]["id"])[-3:] == [
            "response.mcp_call.failed",
            "response.output_item.done",
            "conversation.item.done",
        ]


async def test_a_call_that_a_cut_answer_leaves_behind_goes_on_for_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"Wait.": "sums_started", "Go.": "sums_slow"}

    def script(messages: Any, _options: Any) -> Any:
        name = names.get(messages[-1].text)
        return Reply(calls=(call(name),)) if name else "Well."

    monkeypatch.setenv("ANTIPHON_URL_ALLOW_HOSTS", "127.0.0.1")
    async with http_server() as (port, _), talking(tmp_path, script) as talk:
        await talk.use(sums(port, allowed_tools=["started", "slow"], require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        for number, text in enumerate(names, 1):  # the second call lets the first one end
            await talk.say(text)
            await talk.send("response.create")
            await talk.until("response.mcp_call.in_progress", number)
            await talk.send("response.cancel")
            await talk.until("response.done", number)
        results: list[str] = []
        async with asyncio.timeout(10):
            while not results or "interrupted" in results[0]:
                await talk.ask("And?")
                results = [text for role, text in talk.prompt() if role == "tool"]
        assert results[0] == ""
        assert "interrupted" in results[1]


# What the client says of tools.


async def test_only_allowed_tools_are_listed(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        await talk.use(sums(port, allowed_tools={"tool_names": ["add", "fail"], "read_only": False}))
        await talk.until("mcp_list_tools.completed")
        item = talk.of("conversation.item.done")[0]["item"]
        assert sorted(tool["name"] for tool in item["tools"]) == ["add", "fail"]
        await talk.ask("Hello.")
        assert sorted(tool.name for tool in talk.llm.requests[-1].options.tools) == ["sums_add", "sums_fail"]


async def test_a_tool_choice_names_a_server(tmp_path: Path, port: int) -> None:
    choice = {"type": "mcp", "server_label": "sums", "name": "add"}
    async with talking(tmp_path) as talk:
        await talk.use(sums(port, allowed_tools=["add", "fail"], require_approval="never"), tool_choice=choice)
        await talk.until("mcp_list_tools.completed")
        await talk.ask("Add 2 and 3.")
        options = talk.llm.requests[0].options
        assert (options.tool_choice, options.allowed_tools) == ("required", ("sums_add",))


async def test_a_response_waits_for_the_tools_that_it_brings(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        await talk.use()
        done = await talk.ask("Add 2 and 3.", tools=[sums(port, require_approval="never")])
        assert [item["type"] for item in done["output"]] == ["mcp_call", "message"]
        done = await talk.ask("Add 2 and 3.")
        assert done["output"][0]["content"][0]["text"] == "I cannot add."
        await talk.ask("Add 2 and 3.", tools=[sums(port, require_approval="never")])
        assert len(talk.of("mcp_list_tools.completed")) == 1


async def test_an_answer_beside_the_conversation_calls_what_needs_no_approval(tmp_path: Path, port: int) -> None:
    content = [{"type": "input_text", "text": "Add 2 and 3."}]
    aside: dict[str, Any] = {"conversation": "none", "input": [{"type": "message", "role": "user", "content": content}]}
    async with talking(tmp_path) as talk:
        await talk.use(sums(port))
        await talk.until("mcp_list_tools.completed")
        done = await talk.ask(**aside)
        assert done["output"][0]["content"][0]["text"] == "I cannot add."
        done = await talk.ask(**aside, tools=[sums(port, require_approval="never")])
        assert [item.get("output") for item in done["output"]] == ["5", None]
        assert done["output"][1]["content"][0]["text"] == "It is 5."
        in_conversation = [event["item"]["type"] for event in talk.of("conversation.item.added")]
        assert in_conversation == ["mcp_list_tools", "mcp_list_tools"]


async def test_servers_leave_with_the_tools_of_the_session(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        await talk.use(sums(port, require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        await talk.use()
        done = await talk.ask("Add 2 and 3.")
        assert done["output"][0]["content"][0]["text"] == "I cannot add."
        await talk.use(sums(port, require_approval="never"))
        await talk.until("mcp_list_tools.completed", 2)
        await talk.use(sums(port, require_approval="never"), instructions="Be brief.")
        assert (await talk.ask("Add 2 and 3."))["output"][0]["output"] == "5"
        assert len(talk.of("mcp_list_tools.in_progress")) == 2


async def test_a_server_that_is_left_at_once_is_no_longer_reached(tmp_path: Path, port: int) -> None:
    before = asyncio.all_tasks()
    async with talking(tmp_path) as talk:
        for _ in range(5):
            await talk.send("session.update", session={**TEXT, "tools": [sums(port)]})
            await talk.send("session.update", session={**TEXT, "tools": []})
        await talk.until("session.updated", 10)
        await talk.wait_for(lambda: len(over(talk)) == 5)
        assert over(talk) == {event["item_id"] for event in talk.of("mcp_list_tools.in_progress")}
        await ended(before, "mcp-sums")
        assert not talk.of("error")


def over(talk: Talk) -> set[str]:
    return {each["item_id"] for state in ("completed", "failed") for each in talk.of(f"mcp_list_tools.{state}")}


async def test_a_session_reaches_so_many_servers_and_no_more(tmp_path: Path) -> None:
    def servers(port: int) -> list[dict[str, Any]]:
        return [{**sums(port), "server_label": f"s{number}"} for number in range(16)]

    async with talking(tmp_path) as talk:
        await talk.use(*servers(1))
        assert (await talk.ask("Hello.", tools=servers(2)))["status"] == "completed"
        await talk.send("response.create", response={"tools": servers(3)})
        error = (await talk.until("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "response.tools")
        await talk.use(*servers(1))
        assert (await talk.ask("Hello.", tools=servers(3)))["status"] == "completed"


# What cannot be reached.


async def test_a_private_address_is_refused(tmp_path: Path) -> None:
    async with http_server() as (port, _), talking(tmp_path) as talk:
        await talk.use(sums(port))
        failed = await talk.until("mcp_list_tools.failed")
        item = talk.of("conversation.item.done")[0]["item"]
        assert (item["id"], item["tools"]) == (failed["item_id"], [])
        assert "not on the public network" in item["antiphon"]["error"]["message"]
        assert (await talk.ask("Add 2 and 3."))["output"][0]["content"][0]["text"] == "I cannot add."
        assert not talk.of("error")


async def test_a_server_that_failed_is_tried_again_with_the_next_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http_server() as (port, process), talking(tmp_path) as talk:
        monkeypatch.setenv("ANTIPHON_URL_ALLOW_HOSTS", "127.0.0.1")
        process.kill()
        await process.wait()
        await talk.use(sums(port, require_approval="never"))
        await talk.until("mcp_list_tools.failed")
        async with http_server(port=port):
            await talk.use(sums(port, require_approval="never"))
            await talk.until("mcp_list_tools.completed")
            assert (await talk.ask("Add 2 and 3."))["output"][0]["output"] == "5"


async def test_a_server_that_dies_is_a_failed_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with http_server() as (port, process), talking(tmp_path) as talk:
        monkeypatch.setenv("ANTIPHON_URL_ALLOW_HOSTS", "127.0.0.1")
        await talk.use(sums(port, require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        process.kill()
        await process.wait()
        done = await talk.ask("Add 2 and 3.")
        assert done["status"] == "completed"
        assert done["output"][0]["error"]["type"] == "tool_execution_error"


def kept_in(folder: Path, but: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path != but)


async def test_the_key_opens_the_server_and_is_told_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("sesame-1234")
    setup_logging("DEBUG", "json")
    async with http_server(str(key_file)) as (port, _), talking(tmp_path) as talk:
        monkeypatch.setenv("ANTIPHON_URL_ALLOW_HOSTS", "127.0.0.1")
        await talk.use(sums(port, authorization="sesame-1234", require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        assert (await talk.ask("Add 2 and 3."))["output"][0]["output"] == "5"
        await talk.use(sums(port, headers={"Authorization": "Bearer sesame-1234"}))
        await talk.until("mcp_list_tools.completed", 2)
        await talk.use(sums(port, authorization="wrong-5678"))
        await talk.until("mcp_list_tools.failed")
        assert "credentials" in str(talk.of("conversation.item.done")[-1]["item"]["antiphon"])
        assert "authorization" not in talk.of("session.updated")[0]["session"]["tools"][0]
        told = str(talk.events)
    written = "".join(capfd.readouterr())
    files = kept_in(tmp_path, key_file)
    assert "mcp.connected" in written
    for secret in ("sesame-1234", "wrong-5678"):
        assert secret not in told
        assert secret not in written
        assert secret.encode() not in files


# The end.


async def ended(before: set[asyncio.Task[Any]], *names: str) -> float:
    """Seconds until nothing is left of a session and its servers."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while any(task.get_name().startswith(names or ("mcp-", "sess_")) for task in asyncio.all_tasks() - before):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return loop.time() - began


async def test_the_connections_end_with_the_session(tmp_path: Path, port: int) -> None:
    before = asyncio.all_tasks()
    async with talking(tmp_path) as talk:
        await talk.use(sums(port))
        await talk.until("mcp_list_tools.completed")
        assert any(task.get_name() == "mcp-sums" for task in asyncio.all_tasks() - before)
        await talk.close()
        assert await ended(before) < 2


async def test_a_call_that_goes_on_does_not_keep_the_session(tmp_path: Path, port: int) -> None:
    before = asyncio.all_tasks()
    async with talking(tmp_path, calling("sums_slow")) as talk:
        await talk.use(sums(port, allowed_tools=["slow"], require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        await talk.say("Go.")
        await talk.send("response.create")
        await talk.until("response.mcp_call.in_progress")
        await talk.close()
        assert await ended(before) < 2


async def test_a_server_that_never_answers_does_not_keep_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_000):
            pass
        writer.close()

    monkeypatch.setenv("ANTIPHON_URL_ALLOW_HOSTS", "127.0.0.1")
    before = asyncio.all_tasks()
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener, talking(tmp_path) as talk:
        await talk.use(sums(listener.sockets[0].getsockname()[1]))
        await talk.until("mcp_list_tools.in_progress")
        assert (await talk.ask("Add 2 and 3."))["output"][0]["content"][0]["text"] == "I cannot add."
        await talk.close()
        assert await ended(before) < 2
