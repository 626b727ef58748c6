"""``/v1/server``, ``/v1/agents`` and ``/v1/scenarios``: what runs here, and who answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from antiphon import __version__
from antiphon.agents.agent import Agent, Instructions
from antiphon.agents.handoff import team_of
from antiphon.agents.scenarios.graph import graph_of, mermaid_of
from antiphon.agents.scenarios.scenario import Scenario
from antiphon.calls.manners import silence_ms
from antiphon.server.access import require_key
from antiphon.server.switchboard import Switchboard

HAS_WEBRTC = find_spec("aiortc") is not None
"""Whether the extra ``webrtc`` is installed."""

router = APIRouter(prefix="/v1", dependencies=[Depends(require_key)])


@router.get("/server")
async def server(request: Request, response: Response) -> dict[str, Any]:
    """The version, the models, and how busy the process is."""
    board: Switchboard = request.app.state.board
    response.headers["Cache-Control"] = "no-store"
    models = board.models
    return {
        "version": __version__,
        "ready": not board.waiting_for,
        "models": models.names() if models is not None else {},
        "is_embedded_llm": models is not None and models.llm.name.startswith("embedded/"),
        "webrtc": HAS_WEBRTC,
        "calls_live": board.admission.live,
        "slots": board.admission.max_calls,
        "uptime_s": round((board.clock.utc() - board.started).total_seconds(), 1),
    }


@router.get("/agents")
async def agents(request: Request, response: Response) -> dict[str, Any]:
    """The agents that callers and other agents can reach; the default one comes first."""
    board: Switchboard = request.app.state.board
    response.headers["Cache-Control"] = "no-store"
    first, *others = board.agents.agents
    return {
        "agents": [_described(board, agent, is_default=agent is first) for agent in team_of(first, others).values()]
    }


@router.get("/scenarios")
async def scenarios(request: Request, response: Response) -> dict[str, Any]:
    """The scenarios that calls can choose."""
    board: Switchboard = request.app.state.board
    response.headers["Cache-Control"] = "no-store"
    return {"scenarios": [_outlined(board, scenario) for scenario in board.agents.scenarios]}


@router.get("/scenarios/{name}")
async def scenario(request: Request, response: Response, name: str) -> dict[str, Any]:
    """One scenario, with its graph for programs and as a drawing, and its agents as they answer in it."""
    board: Switchboard = request.app.state.board
    found = board.agents.find(name)
    if found is None:
        raise HTTPException(404, f"There is no scenario {name!r}; /v1/scenarios lists them.")
    response.headers["Cache-Control"] = "no-store"
    team = board.agents.team(found.name)
    graph = graph_of(found, team)
    return {
        **_outlined(board, found),
        **graph,
        "agents": [_described(board, agent, is_default=agent is team[0]) for agent in team],
        "mermaid": mermaid_of(graph),
    }


def _outlined(board: Switchboard, scenario: Scenario) -> dict[str, Any]:
    team = board.agents.team(scenario.name)
    return {
        "name": scenario.name,
        "aliases": list(scenario.aliases),
        "description": scenario.description,
        "icon": scenario.icon,
        "is_default": scenario is board.agents.scenario,
        "start_agent": team[0].name,
        "agents": [agent.name for agent in team],
    }


def _described(board: Switchboard, agent: Agent, *, is_default: bool) -> dict[str, Any]:
    model = agent.model
    tools = [{"name": tool.name, "description": tool.description, "kind": tool.kind} for tool in agent.toolset.values()]
    sources = [{"name": source.name, "description": "", "kind": "source"} for source in agent.sources]
    return {
        "name": agent.name,
        "description": agent.description,
        "greeting": agent.greeting,
        "return_greeting": agent.return_greeting,
        "instructions": _as_written(agent.instructions),
        "voice": agent.voice,
        "language": agent.language,
        "model": model if model is None or isinstance(model, str) else model.name,
        "turn_silence_ms": silence_ms(agent, board.policy, by_model=board.speech_model(agent) is not None),
        "is_default": is_default,
        "tools": [*tools, *sources],
        "handoffs": [
            {"target": route.target_name, "when": route.when or route.about, "type": route.handoff_type}
            for route in agent.routes
        ],
    }


def _as_written(instructions: Instructions) -> str:
    """Instructions for people to read: templates as they are, functions by what they say about themselves."""
    parts = [instructions] if isinstance(instructions, str) or callable(instructions) else instructions
    return "\n\n".join(part.strip() if isinstance(part, str) else _about(part) for part in parts)


def _about(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return inspect.getdoc(function) or f"(written by {name} for each conversation)"
