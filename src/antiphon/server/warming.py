"""What happens between the open socket and the first call: models loaded, prompts cached, phrases voiced."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import team_of
from antiphon.agents.instructions import instructions_for, template_values
from antiphon.agents.templates import check_template, render, undefined_variables
from antiphon.audio.formats import PHONE
from antiphon.audio.sounds import load_sound
from antiphon.calls.manners import policy_for
from antiphon.calls.policy import CallPolicy
from antiphon.calls.speech import Speaker
from antiphon.errors import ConfigurationError
from antiphon.models import catalog
from antiphon.models.catalog import Models, Prompt
from antiphon.models.llm.messages import Message
from antiphon.models.weights.store import OnProgress
from antiphon.server.switchboard import Switchboard

LOAD_SOUND_S = 20.0


async def load_and_warm(board: Switchboard, models: Models | None, on_progress: OnProgress | None) -> Models:
    """Load the models that the settings name, and run everything once that a caller would else wait for.

    Args:
        board: Whose agents will use them.
        models: Loaded ones, in place of those that the settings name.
        on_progress: Told about weights that are fetched.

    Raises:
        AntiphonException: A model, or a source of tools that is required, is missing or does not start.
    """
    agents = list({id(agent): agent for team in board.agents.teams for agent in _with_targets(team)}.values())
    models = models or await catalog.load(
        board.settings, clock=board.clock, on_progress=on_progress, agents=len(agents)
    )
    board.waiting_for["models"] = "they are being warmed up"
    try:
        await board.open_sources(agents)
        await models.warm([await _prompt(agent) for agent in agents if agent.model is None])
        await _warm_own(board, models, agents)
        await _voice_phrases(board, models, agents)
        await _load_sounds(agents)
    except BaseException:
        await models.aclose()
        raise
    return models


async def warm_agents(board: Switchboard, agents: Sequence[Agent]) -> None:
    """Prepare agents that come while the server runs.

    Raises:
        AntiphonException: One of them names a model or source of tools that is not there, or its instructions cannot
            be rendered.
    """
    if board.models is None:
        return
    agents = _with_targets(agents)
    try:
        await board.open_sources(agents)
        for agent in agents:
            if agent.model is None:
                await board.models.llm.warm(*await _prompt(agent))
        await _warm_own(board, board.models, agents)
        await _voice_phrases(board, board.models, agents)
        await _load_sounds(agents)
    except BaseException:
        await board.close_unused_sources()
        raise


async def _warm_own(board: Switchboard, models: Models, agents: Iterable[Agent]) -> None:
    """Find out now, and not in a call, that an agent names a model that is not there."""
    for agent in agents:
        speech = board.speech_model(agent)
        if speech is not None:
            await speech.warm()
        if agent.model is not None and (speech is None or board.writes(agent)):
            await board.with_own_llm(models, agent).llm.warm(*await _prompt(agent))


async def _voice_phrases(board: Switchboard, models: Models, agents: Iterable[Agent]) -> None:
    """Fixed phrases sound at once then, and even when the voice has failed."""
    for agent in agents:
        texts = [text for text in _phrases(board.policy, agent) if text]
        # Voice and language of an agent that speaks by its model are that model's, not those of our phrases.
        speaker = Speaker.of(agent) if board.speech_model(agent) is None else None
        await board.phrases.prepare(models.tts, PHONE, texts, speaker=speaker)


async def _load_sounds(agents: Iterable[Agent]) -> None:
    """What is heard behind agents is there before the first call, or is found to be missing."""
    beds = [agent.background for agent in agents if agent.background is not None]
    for bed in {bed.sound: bed for bed in beds}.values():
        try:
            async with asyncio.timeout(LOAD_SOUND_S):
                await asyncio.to_thread(load_sound, bed.sound, PHONE.rate_hz)
        except (OSError, TimeoutError) as error:
            raise ConfigurationError(f"The background {bed.name!r} cannot be loaded: {error}.") from error


def _with_targets(agents: Sequence[Agent]) -> Sequence[Agent]:
    """The agents and those that they hand calls over to."""
    return tuple(team_of(agents[0], agents).values()) if agents else ()


def _phrases(policy: CallPolicy, agent: Agent) -> Iterable[str]:
    yield from _greetings(agent)
    yield from agent.fillers or policy.fillers
    yield from (words for tool in agent.toolset.values() for words in tool.filler)
    own = policy_for(agent, policy)
    yield from (own.apology, *own.reminders, own.voicemail_message)
    yield from (own.goodbye, own.idle_goodbye, own.limit_goodbye, own.failure_goodbye)


def _greetings(agent: Agent) -> Iterable[str]:
    """The greetings that are the same in every conversation; the templates of the others are compiled for them."""
    values = template_values(agent)
    for text in (agent.greeting, agent.return_greeting):
        check_template(text)
        if not undefined_variables(text, values):
            yield render(text, values)


async def _prompt(agent: Agent) -> Prompt:
    """The beginning of every request of an agent."""
    text = await instructions_for(agent)
    return ((Message("system", text),) if text else (), agent.request_options)
