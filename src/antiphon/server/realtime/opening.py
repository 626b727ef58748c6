"""What must be right before a Realtime session begins: the key, the agent, its configuration, a slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import HTTPConnection

from antiphon.agents.agent import Agent
from antiphon.agents.instructions import instructions_for
from antiphon.calls.call import Call
from antiphon.calls.log import CallLog
from antiphon.calls.policy import CallPolicy
from antiphon.errors import ConfigurationError
from antiphon.models.catalog import Models
from antiphon.server.realtime.faults import RealtimeFault
from antiphon.server.session import Session
from antiphon.server.switchboard import Switchboard
from antiphon.transports.realtime.channel import Channel
from antiphon.transports.realtime.line import Player, RealtimeLine
from antiphon.transports.realtime.session import RealtimeSession, SessionLimits
from antiphon.transports.realtime.terms import check_prompt, check_tools
from antiphon.wire.realtime.codec import Dialect, RealtimeCodec
from antiphon.wire.realtime.refusal import Refusal
from antiphon.wire.realtime.session import Kind, SessionConfig, merged

CARRIER = "realtime"
RTC_CARRIER = "webrtc"
BETA_OFF = "The beta shape of the Realtime API is switched off here: leave out the header OpenAI-Beta."
KEY_PROTOCOL = "openai-insecure-api-key."


@dataclass(frozen=True, slots=True)
class Opening:
    """What a session begins with.

    Attributes:
        agent: Who answers.
        models: What the call uses.
        config: Before the client has said anything.
        parameters: Values for the agent's templates.
        is_ours: The client knows Antiphon: it gets the log of the call.
        greets: The agent speaks first; not to a client that goes on with a conversation, nor to one of others.
        scenario: The one that is asked for.
    """

    agent: Agent
    models: Models
    config: SessionConfig
    parameters: Mapping[str, str]
    is_ours: bool
    greets: bool
    scenario: str | None = None


def check_enabled(board: Switchboard) -> None:
    """Refuse everything where the protocol is not spoken.

    Raises:
        RealtimeFault: It is not.
    """
    if not board.settings.realtime_enabled:
        raise RealtimeFault(404, "not_found", "The Realtime API is switched off here.")


def key_of(connection: HTTPConnection) -> str:
    """The key that a request brings, in a header or in a WebSocket's sub-protocols; empty for none."""
    headers = connection.headers
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return bearer.strip()
    for offered in connection.scope.get("subprotocols", ()):
        if offered.startswith(KEY_PROTOCOL):
            return str(offered.removeprefix(KEY_PROTOCOL))
    return headers.get("api-key", "") or headers.get("x-api-key", "")


def authorize(board: Switchboard, connection: HTTPConnection) -> Mapping[str, Any]:
    """Let a holder of a key or a client secret in; gives the configuration that a secret brings, else nothing.

    Raises:
        RealtimeFault: The key is not good.
    """
    key = key_of(connection)
    secret = board.client_secrets.find(key) if key.startswith("ek_") else None
    if secret is not None:
        if not board.client_secrets.is_good(secret):
            raise RealtimeFault(401, "expired_client_secret", "The client secret has expired: ask for another one.")
        return secret.session
    if not board.keys.knows(key):
        raise RealtimeFault(401, "invalid_api_key", "Send an API key as 'Authorization: Bearer KEY'.")
    return {}


def secret_of(board: Switchboard, connection: HTTPConnection) -> str:
    """The client secret that a request brings; empty for a key of the server, which opens more."""
    key = key_of(connection)
    return key if key.startswith("ek_") and not board.keys.dev else ""


def dialect_of(connection: HTTPConnection) -> Dialect:
    """The dialect that a client asks for."""
    is_beta = connection.query_params.get("beta") == "1" or connection.headers.get("openai-beta") == "realtime=v1"
    return "beta" if is_beta else "ga"


def codec_for(board: Switchboard, dialect: Dialect) -> RealtimeCodec:
    """The codec of a connection; the server may want the older dialect always."""
    settings = board.settings
    return RealtimeCodec(
        "beta" if settings.realtime_beta == "on" else dialect,
        strict=settings.realtime_strict,
        item_created=settings.realtime_item_created,
    )


async def open_for(
    board: Switchboard, connection: HTTPConnection, *, model: str | None, given: Mapping[str, Any]
) -> Opening:
    """What a connection's session begins with.

    Args:
        board: What all calls share.
        connection: The request.
        model: The name that it asks for.
        given: Of the configuration, what the client brings.

    Raises:
        RealtimeFault: There is no such agent, or the configuration is wrong.
    """
    query = connection.query_params
    name = model or given.get("model")
    scenario = query.get("scenario")
    if scenario and board.agents.find(scenario) is None:
        names = ", ".join(each.name for each in board.agents.scenarios) or "none"
        message = f"The scenario '{scenario}' does not exist: there are {names}."
        raise RealtimeFault(404, "scenario_not_found", message, "scenario")
    agent = board.agents.pick(name if isinstance(name, str) else None, scenario=scenario)
    if agent is None:
        names = ", ".join(each.name for each in board.agents.team(scenario))
        message = f"The model '{name}' does not exist: the agents here are {names}."
        raise RealtimeFault(404, "model_not_found", message, "model")
    if not board.writes(agent):
        message = f"The agent '{agent.name}' speaks by a model of its own and answers phone calls only: pick another."
        raise RealtimeFault(400, "model_not_supported", message, "model")
    models = board.models_for(agent)
    if models is None:
        raise RealtimeFault(503, "overloaded", "The models are still being loaded: try again in a moment.")
    is_transcription = query.get("intent") == "transcription" or given.get("type") == "transcription"
    kind: Kind = "transcription" if is_transcription else "realtime"
    parameters = {name.removeprefix("var."): value for name, value in query.items() if name.startswith("var.")}
    config = await first_config(agent, models, kind=kind, given=given)
    is_ours = query.get("antiphon") == "1" or config.antiphon_events
    greets = is_ours and kind == "realtime" and query.get("greet") != "0"
    return Opening(agent, models, config, parameters, is_ours, greets, scenario)


async def first_config(agent: Agent, models: Models, *, kind: Kind, given: Mapping[str, Any]) -> SessionConfig:
    """The configuration before the client has said anything.

    Raises:
        RealtimeFault: What is given is wrong, or the agent's template is.
    """
    try:
        instructions = await instructions_for(agent)
    except ConfigurationError as error:
        raise RealtimeFault(500, "server_error", str(error)) from error
    voice = agent.voice or models.tts.name
    config = SessionConfig(
        kind=kind,
        model=agent.name,
        instructions=instructions,
        default_instructions=instructions,
        voice=voice,
        default_voice=voice,
    )
    if kind == "transcription":
        config = replace(config, transcription={})
    try:
        config = merged(config, given)[0]
        check_prompt(config.prompt, agent.name, "session.prompt")
        check_tools(config.tools, "session.tools")
    except Refusal as refusal:
        raise RealtimeFault(400, refusal.code, refusal.message, refusal.param) from refusal
    return config


def take_slot(board: Switchboard) -> None:
    """Take a slot for a session; it is given back by ``board.close_session``.

    Raises:
        RealtimeFault: There is none.
    """
    limit = board.settings.realtime_max_sessions
    if limit and board.live_sessions(CARRIER) + board.live_sessions(RTC_CARRIER) >= limit:
        raise RealtimeFault(503, "overloaded", "All sessions of this server are taken: try again later.")
    refusal = board.admission.enter()
    if refusal is not None:
        raise RealtimeFault(503, "overloaded", f"No session can be opened now: {refusal}.")


def make_session(
    board: Switchboard,
    session: Session,
    channel: Channel,
    *,
    opening: Opening,
    player: Player | None = None,
    tells_log: bool | None = None,
    most_retrieved: int | None = None,
) -> RealtimeSession:
    """The session of a connection, over whatever channel.

    Args:
        board: What all calls share.
        session: The server's.
        channel: Where events go.
        opening: What it begins with.
        player: Where the server plays the sound itself.
        tells_log: Whether the log of the call goes along; only to clients that know Antiphon unless given.
        most_retrieved: Base64 of an item's sound that the channel can carry.
    """
    settings, models = board.settings, opening.models
    retrieve_bytes = settings.realtime_retrieve_audio_bytes
    return RealtimeSession(
        channel,
        opening.agent,
        models,
        client_for=lambda agent: session.client_for(agent, models),
        config=opening.config,
        policy=board.policy,
        limits=SessionLimits(
            max_s=settings.realtime_max_session_s,
            idle_s=settings.realtime_idle_s,
            max_items=settings.realtime_max_items,
            retrieve_bytes=retrieve_bytes if most_retrieved is None else min(retrieve_bytes, most_retrieved),
            strict=settings.realtime_strict,
        ),
        clock=board.clock,
        greets=opening.greets,
        tells_log=opening.is_ours if tells_log is None else tells_log,
        player=player,
    )


def call_opener(
    session: Session, opening: Opening, *, call_id: str | None = None
) -> Callable[[RealtimeSession, RealtimeLine, CallPolicy], tuple[Call, CallLog]]:
    """Makes the call of a Realtime session; its id is the session's unless given."""

    def open_call(realtime: RealtimeSession, line: RealtimeLine, policy: CallPolicy) -> tuple[Call, CallLog]:
        return session.open_call(
            opening.agent,
            line,
            opening.models,
            call_id=call_id or realtime.id,
            parameters=opening.parameters,
            policy=policy,
            history=realtime.conversation,
            watcher=realtime.responses,
            greets=realtime.greets,
        )

    return open_call
