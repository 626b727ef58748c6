"""What a server does when it cannot start, and what it says when it can."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from antiphon.agents.agent import Agent
from antiphon.audio.formats import PHONE
from antiphon.calls.speech import Speaker
from antiphon.errors import ConfigurationError, IntegrationInitializationError, SettingNotFoundError
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.server.agents import AgentBook
from antiphon.server.greeting import print_start
from antiphon.server.policy import policy_from
from antiphon.server.run import listen, make_board, running
from antiphon.settings import Settings
from tests.server.harness import Serve, scripted_models, until


def settings(**options: Any) -> Settings:
    return Settings(**{"_env_file": None, "port": 0, "api_keys": "k", **options})


BOOK = AgentBook([Agent("desk")])


def test_busy_port_is_one_sentence() -> None:
    sentence = r"Port \d+ of 127.0.0.1 cannot be used .*--port"
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match=sentence):
        listen("127.0.0.1", taken.getsockname()[1])


def test_address_that_is_not_ours_is_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match=r"203\.0\.113\.7"):
        listen("203.0.113.7", 0)
    with pytest.raises(ConfigurationError, match="no address"):
        listen("no-such-host.invalid", 0)


def test_server_that_nobody_could_reach_safely_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="ANTIPHON_API_KEYS"):
        make_board(BOOK, settings(host="0.0.0.0", api_keys=""))
    with pytest.raises(ConfigurationError, match="loopback"):
        make_board(BOOK, settings(host="0.0.0.0", dev=True))
    make_board(BOOK, settings(host="0.0.0.0", api_keys="", twilio_auth_token="t"))


def test_loopback_server_without_a_key_makes_one() -> None:
    board = make_board(BOOK, settings(api_keys=""))
    assert board.own_key
    assert board.keys.accepts({"x-api-key": board.own_key})
    assert not board.keys.accepts({})


async def test_no_call_is_taken_before_the_models_are_warm() -> None:
    warm = asyncio.Event()

    class SlowTTS(ScriptedTTS):
        async def warm(self) -> None:
            await warm.wait()

    models = scripted_models()
    models.tts = SlowTTS()
    port = socket.create_server(("127.0.0.1", 0))
    number = port.getsockname()[1]
    port.close()

    async def look() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{number}") as http:
            while True:
                try:
                    ready = await http.get("/ready")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.01)
            assert ready.status_code == 503
            assert "models" in ready.json()
            assert (await http.get("/health")).status_code == 200
            answer = await http.post("/telephony/twilio/voice", headers={"X-API-Key": "k"})
            assert "<Reject" in answer.text
            warm.set()

    looking = asyncio.create_task(look())
    async with asyncio.timeout(20), running(BOOK, settings(port=number), models=models, keep_files=False) as up:
        await looking
        assert up.board.waiting_for == {}


async def test_model_that_does_not_start_ends_the_server_with_its_sentence() -> None:
    class Broken(ScriptedTTS):
        async def warm(self) -> None:
            raise IntegrationInitializationError("The voice is missing: run `antiphon models pull`.")

    models = scripted_models()
    models.tts = Broken()
    with pytest.raises(IntegrationInitializationError, match="models pull"):
        async with running(BOOK, settings(), models=models, keep_files=False):
            pass


async def test_start_text_says_where_who_and_what_next(serve: Serve) -> None:
    async with serve(api_keys="", agents=[Agent("front-desk")]) as up:
        console = Console(width=60, file=StringIO())
        print_start(console, up.board, up.port)
        text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"http://127.0.0.1:{up.port}" in text
    assert "front-desk" in text
    assert f"antiphon call ws://127.0.0.1:{up.port}/telephony/twilio" in text
    assert str(up.board.own_key) in text
    assert "--llm openai/" in text


def test_policy_is_read_from_the_settings() -> None:
    policy = policy_from(
        settings(
            turn_policy={"stop_s": "0.5", "speculate": "false", "interruption": "words"},
            call_policy={"max_call_s": "60", "fillers": "One moment.|Just a second.", "apology": "Sorry."},
        )
    )
    assert (policy.turn.stop_s, policy.turn.speculate, policy.turn.interruption) == (0.5, False, "words")
    assert policy.turn.start_s == policy_from(settings()).turn.start_s
    assert (policy.max_call_s, policy.fillers, policy.apology) == (60.0, ("One moment.", "Just a second."), "Sorry.")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"turn_policy": {"stop": "1"}}, "ANTIPHON_TURN_POLICY__STOP; did you mean ANTIPHON_TURN_POLICY__STOP_S"),
        ({"turn_policy": {"stop_s": "soon"}}, "ANTIPHON_TURN_POLICY__STOP_S cannot be used"),
        ({"call_policy": {"turn": "x"}}, "ANTIPHON_CALL_POLICY__TURN"),
    ],
)
def test_wrong_policy_is_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        policy_from(settings(**options))


async def test_changed_file_is_used_by_the_next_call_and_a_broken_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antiphon.agents.files import load_agents
    from antiphon.clock import WallClock

    monkeypatch.setattr("antiphon.server.agents.WATCH_EVERY_S", 0.02)
    path = tmp_path / "agent.yaml"
    write = path.write_text
    write("name: desk\ninstructions: First.\n")
    book = AgentBook(load_agents(path), path=path)
    checked: list[str] = []

    async def check(agents: Sequence[Agent]) -> None:
        checked.extend(str(agent.instructions) for agent in agents)
        if agents[0].model == "openai:none":
            raise ConfigurationError("There is no model none.")

    watching = asyncio.create_task(book.watch(WallClock(), check))
    await asyncio.sleep(0.1)
    try:
        async with asyncio.timeout(20):
            write("name: desk\nnonsense: [\n")
            await asyncio.sleep(0.2)
            assert book.agents[0].instructions == "First."
            write("name: desk\nmodel: openai:none\ninstructions: Worse.\n")
            await until(lambda: "Worse." in checked)
            assert book.agents[0].instructions == "First."
            write("name: desk\ninstructions: Second.\n")
            await until(lambda: book.agents[0].instructions == "Second.")
    finally:
        watching.cancel()


def test_agents_need_names_of_their_own() -> None:
    with pytest.raises(ConfigurationError, match="Two agents"):
        AgentBook([Agent("a"), Agent("a")])
    with pytest.raises(ConfigurationError, match="no agent"):
        AgentBook([])
    book = AgentBook([Agent("a"), Agent("b")])
    assert book.pick() is book.agents[0]
    assert book.pick("b") is book.agents[1]
    assert book.pick("c") is None


async def test_agent_with_a_model_that_is_not_there_stops_the_start() -> None:
    book = AgentBook([Agent("desk", model="openai/some-model")])
    with pytest.raises(SettingNotFoundError, match="OPENAI_API_KEY"):
        async with running(book, settings(openai_api_key=None), models=scripted_models(), keep_files=False):
            pass


async def test_agent_has_its_own_model_in_its_calls(serve: Serve) -> None:
    own = ScriptedChatClient(["Mine."])
    async with serve(agents=[Agent("desk"), Agent("other", model=own)]) as up:
        first, second = (up.board.models_for(agent) for agent in up.board.agents.agents)
        assert first is up.board.models
        assert second is not None
        assert second.llm is own
        assert len(own.warmed) == 1


def test_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="ANTIPHON_DATA_DIR"):
        make_board(BOOK, settings(data_dir=tmp_path / "file" / "data"))


async def test_fixed_phrases_are_voiced_before_the_first_call(serve: Serve) -> None:
    async with serve(agents=[Agent("desk", greeting="Good morning.")]) as up:
        models = up.board.models
        assert models is not None
        for text in ("Good morning.", up.board.policy.apology, *up.board.policy.fillers):
            assert up.board.phrases.get(models.tts, Speaker(), PHONE, text)
