"""The models by name: what the settings may say for each role, and how it is made.

A provider's module is imported when it is asked for, and never replaced by another one without a word.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from antiphon.clock import Clock, WallClock
from antiphon.errors import ConfigurationError, IntegrationInitializationError
from antiphon.models.llm.connect import connect, provider_named
from antiphon.models.llm.contract import ChatClient, ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.providers import PROVIDERS
from antiphon.models.s2s.names import SPEECH
from antiphon.models.speech import STT_EXAMPLES, TTS_EXAMPLES, connect_stt, connect_tts
from antiphon.models.stt.contract import STT
from antiphon.models.tts.contract import TTS
from antiphon.models.turn.contract import TurnModel
from antiphon.models.vad.contract import VAD
from antiphon.settings import Settings, load_settings

if TYPE_CHECKING:
    from antiphon.models.weights.store import OnProgress, WeightStore

T = TypeVar("T")

Prompt = tuple[Sequence[Message], ChatOptions]
"""The beginning of every request of an agent."""

BENCH_TRANSCRIPT = "Hello, what can you do for me?"
BENCH_REPLY = "I can help you with your booking and payments today. Please tell me which one of these you would like. "
BENCH_CLAUSE_S = 1.0

EXAMPLES: Mapping[str, str] = MappingProxyType({"openai": "gpt-4o-mini", "groq": "llama-3.3-70b-versatile"})

_CHAT_NAME = re.compile(r"(?P<provider>[a-z][a-z0-9_-]*)[/:](?P<model>\S+)")


@dataclass(slots=True)
class Models:
    """What a call hears, thinks and speaks with; shared by all calls of a process."""

    vad: VAD
    stt: STT
    llm: ChatClient
    tts: TTS
    turn: TurnModel | None

    def names(self) -> dict[str, str]:
        """The providers by role."""
        named = {"vad": self.vad.name, "stt": self.stt.name, "llm": self.llm.name, "tts": self.tts.name}
        return {**named, "turn": self.turn.name} if self.turn is not None else named

    @property
    def has_room(self) -> bool:
        """Whether the providers have a connection left for one more call."""
        room: bool = getattr(self.tts, "has_room", True)
        return room

    async def warm(self, prompts: Sequence[Prompt] = ()) -> None:
        """Load everything and run it once, so that no caller waits.

        Args:
            prompts: What the language model should have in its prefix cache.

        Raises:
            IntegrationException: A model does not start.
            ChatClientException: The language model's endpoint cannot be used.
        """
        turn = [self.turn.warm()] if self.turn is not None else []
        with _missing_packages_named():
            await asyncio.gather(self.vad.warm(), self.stt.warm(), self.tts.warm(), *turn)
            for messages, options in prompts or [((), ChatOptions())]:
                await self.llm.warm(messages, options)

    async def aclose(self) -> None:
        """Free everything."""
        turn = [self.turn.aclose()] if self.turn is not None else []
        await asyncio.gather(self.vad.aclose(), self.stt.aclose(), self.llm.aclose(), self.tts.aclose(), *turn)


@dataclass(frozen=True, slots=True)
class _Kit:
    """What models are made of."""

    settings: Settings
    weights: WeightStore
    clock: Clock
    agents: int = 1


async def load(settings: Settings, *, clock: Clock, on_progress: OnProgress | None = None, agents: int = 1) -> Models:
    """Make the models that the settings name, and fetch what weights they need. ``warm`` then loads them.

    Args:
        settings: Names, data folder, mirror and keys.
        clock: The process's time.
        on_progress: Told about weights that are fetched.
        agents: How many different agents will ask the language model.

    Raises:
        ConfigurationError: A name is not known.
        IntegrationInitializationError: A package or weight is missing and cannot be fetched.
    """
    chosen = {"vad": settings.vad, "turn": settings.turn}
    chosen |= dict.fromkeys(("stt", "llm", "tts"), "bench") if settings.models == "bench" else _spoken(settings)
    kit = _kit(settings, clock, agents)
    make_vad, make_stt = _pick("vad", VADS, chosen["vad"]), _pick_stt(chosen["stt"])
    make_tts, make_turn = _pick_tts(chosen["tts"]), _pick("turn", TURNS, chosen["turn"])
    make_llm = _pick_llm(chosen["llm"])
    needed = {
        role: [weight for name in names.split("|") for weight in WEIGHTS.get((role, name.strip()), ())]
        for role, names in chosen.items()
    }
    embedded = "embedded" in chosen["llm"].split("|")
    with _missing_packages_named():  # what needs no weights first: a missing key is told before anything is fetched
        stt = None if needed["stt"] else make_stt(kit)
        llm = None if embedded else make_llm(kit)
        tts = make_tts(kit)
    await kit.weights.ensure([weight for weights in needed.values() for weight in weights], on_progress)
    if embedded:
        await _ensure_llm(kit.weights, on_progress)
    with _missing_packages_named():
        return Models(make_vad(kit), stt or make_stt(kit), llm or make_llm(kit), tts, make_turn(kit))


async def load_vad(name: str, settings: Settings, *, clock: Clock) -> VAD:
    """A detector alone, ready to listen.

    Raises:
        ConfigurationError: The name is not known.
        IntegrationInitializationError: A package or weight is missing and cannot be fetched.
    """
    make, kit = _pick("vad", VADS, name), _kit(settings, clock)
    await kit.weights.ensure(WEIGHTS.get(("vad", name), ()))
    with _missing_packages_named():
        vad = make(kit)
        await vad.warm()
    return vad


def chat_client(name: str | None = None, settings: Settings | None = None) -> ChatClient:
    """A language model by name, for text turns outside of a server; one object for each event loop and name.

    Args:
        name: A name of ``LLMS``, ``provider:model`` or ``provider/model``, or several of these joined by ``|``, of
            which the next answers when one cannot be had; what the settings say unless given.
        settings: The operator's, read from the environment unless given.

    Raises:
        ConfigurationError: The name is not known.
        IntegrationInitializationError: The model's package or weight is missing.
    """
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    asked = name or (settings.llm if settings is not None else _AS_CONFIGURED)
    if asked not in clients:
        settings = settings or load_settings()
        name = name or settings.llm
        if name not in clients:
            with _missing_packages_named():
                clients[name] = _pick_llm(name)(_kit(settings, WallClock()))
        clients[asked] = clients[name]
    return clients[asked]


async def close_clients() -> None:
    """Free what ``chat_client`` has made on the running event loop."""
    clients = _clients.pop(asyncio.get_running_loop(), {})
    await asyncio.gather(*(client.aclose() for client in {id(client): client for client in clients.values()}.values()))


_AS_CONFIGURED = ""
# Connections belong to an event loop, and a program may run several, one after the other.
_clients: WeakKeyDictionary[AbstractEventLoop, dict[str, ChatClient]] = WeakKeyDictionary()


@contextmanager
def _missing_packages_named() -> Iterator[None]:
    """Turn a failed import into a sentence that says what to install."""
    try:
        yield
    except ImportError as exc:
        package = (exc.name or "").partition(".")[0]
        raise IntegrationInitializationError(
            f"The package {package or '?'} is missing or does not load ({exc}): install Antiphon again with "
            "`pip install --force-reinstall antiphon`, or choose another model."
        ) from exc


def _spoken(settings: Settings) -> dict[str, str]:
    return {"stt": settings.stt, "llm": settings.llm, "tts": settings.tts}


def _kit(settings: Settings, clock: Clock, agents: int = 1) -> _Kit:
    from antiphon.models.weights.store import WeightStore

    return _Kit(settings, WeightStore(settings.data_dir, mirror=settings.model_mirror), clock, agents)


def _pick(role: str, makers: Mapping[str, T], name: str, others: Sequence[str] = ()) -> T:
    if name in makers:
        return makers[name]
    names = sorted(makers.keys() - {"bench"})
    nearest = difflib.get_close_matches(name, [*names, *others], n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"use one of {', '.join([*names, *others])}."
    raise ConfigurationError(f"There is no {role} model {name!r}; {hint}")


def _pick_llm(name: str) -> Callable[[_Kit], ChatClient]:
    """How a language model is made: by a name of ``LLMS``, ``provider:model``, or several of these joined by ``|``."""
    if "|" in name:
        return partial(_failover, [_pick_llm(each.strip()) for each in name.split("|")])
    match = _CHAT_NAME.fullmatch(name)
    if name.startswith(SPEECH):
        raise ConfigurationError(
            f"{name} hears and speaks, and holds phone calls: make it an agent's `model`; name one that writes here."
        )
    if match is not None:
        return partial(_connect, provider_named(match["provider"]), match["model"])
    if name not in LLMS and name in PROVIDERS:
        raise ConfigurationError(f"Name the model too, such as --llm {name}/{EXAMPLES.get(name, 'MODEL')}.")
    return _pick("llm", LLMS, name)


def _pick_stt(name: str) -> Callable[[_Kit], STT]:
    """How a recogniser is made: by a name of ``STTS``, ``provider/model``, or several of these joined by ``|``."""
    makers = [_pick_speech("stt", STTS, each.strip(), connect_stt, STT_EXAMPLES) for each in name.split("|")]
    return makers[0] if name in STTS else partial(_failover_stt, makers)


def _pick_tts(name: str) -> Callable[[_Kit], TTS]:
    """The same for a voice."""
    makers = [_pick_speech("tts", TTSS, each.strip(), connect_tts, TTS_EXAMPLES) for each in name.split("|")]
    return makers[0] if name in TTSS else partial(_failover_tts, makers)


def _pick_speech(
    role: str,
    makers: Mapping[str, Callable[[_Kit], T]],
    name: str,
    connect: Callable[[str, str, Settings, Clock], T],
    examples: Mapping[str, str],
) -> Callable[[_Kit], T]:
    match = _CHAT_NAME.fullmatch(name)
    if match is not None and match["provider"] in examples:
        return lambda kit: connect(match["provider"], match["model"], kit.settings, kit.clock)
    if name in examples:
        raise ConfigurationError(f"Name the model too, such as --{role} {name}/{examples[name]}.")
    return _pick(role, makers, name, [f"{provider}/{model}" for provider, model in sorted(examples.items())])


async def _ensure_llm(weights: WeightStore, on_progress: OnProgress | None) -> None:
    """Fetch the embedded language model, or the last resort when no source has it; its client says which it is."""
    try:
        await weights.ensure([LLM_WEIGHT], on_progress)
    except IntegrationInitializationError:
        await weights.ensure([LLM_LAST_RESORT], on_progress)


LLM_WEIGHT = "qwen2.5-coder-0.5b"
LLM_LAST_RESORT = "smollm2-135m"
MOST_PREFIXES = 4
"""Agents whose instructions the embedded model keeps at once; each takes 150 MB."""

WEIGHTS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("vad", "silero"): ("silero-vad",),
        ("stt", "moonshine"): ("moonshine-tiny-encoder", "moonshine-tiny-decoder", "moonshine-tokenizer"),
        ("turn", "smart-turn"): ("smart-turn",),
    }
)
"""Weights that a model needs, by role and name."""


# One function a model, so that its package is imported when it is chosen.


def _silero(kit: _Kit) -> VAD:
    from antiphon.models.vad.silero import SileroVAD

    return SileroVAD(kit.weights, clock=kit.clock)


def _energy(_kit: _Kit) -> VAD:
    from antiphon.models.vad.energy import EnergyVAD

    return EnergyVAD()


def _moonshine(kit: _Kit) -> STT:
    from antiphon.models.stt.moonshine import Moonshine

    return Moonshine(kit.weights)


def _scripted_stt(kit: _Kit) -> STT:
    from antiphon.models.stt.scripted import ScriptedSTT

    return ScriptedSTT([BENCH_TRANSCRIPT], clock=kit.clock)


def _failover_stt(makers: Sequence[Callable[[_Kit], STT]], kit: _Kit) -> STT:
    from antiphon.models.stt.failover import FailoverSTT

    return FailoverSTT([make(kit) for make in makers], clock=kit.clock)


def _embedded(kit: _Kit) -> ChatClient:
    from antiphon.models.llm.llama import EmbeddedChatClient

    is_last_resort = kit.weights.has(LLM_LAST_RESORT) and not kit.weights.has(LLM_WEIGHT)
    name = LLM_LAST_RESORT if is_last_resort else LLM_WEIGHT
    agents = min(kit.agents, MOST_PREFIXES)
    client = EmbeddedChatClient(kit.weights.path(name), name=f"embedded/{name}", agents=agents, clock=kit.clock)
    if is_last_resort:
        client.notice = f"{LLM_WEIGHT} could not be fetched, so the much weaker {name} answers. {client.notice}"
    return client


def _connect(provider: str, model: str, kit: _Kit) -> ChatClient:
    return connect(provider, model, kit.settings)


def _failover(makers: Sequence[Callable[[_Kit], ChatClient]], kit: _Kit) -> ChatClient:
    from antiphon.models.llm.failover import FailoverChatClient

    return FailoverChatClient([make(kit) for make in makers], clock=kit.clock)


def _scripted_llm(kit: _Kit) -> ChatClient:
    from antiphon.models.llm.scripted import ScriptedChatClient

    return ScriptedChatClient(lambda _messages, _options: BENCH_REPLY, clock=kit.clock)


def _hibari(_kit: _Kit) -> TTS:
    from antiphon.models.tts.hibari import HibariTTS

    return HibariTTS()


def _failover_tts(makers: Sequence[Callable[[_Kit], TTS]], kit: _Kit) -> TTS:
    from antiphon.models.tts.failover import FailoverTTS

    return FailoverTTS([make(kit) for make in makers], clock=kit.clock)


def _scripted_tts(kit: _Kit) -> TTS:
    from antiphon.models.tts.scripted import ScriptedTTS

    return ScriptedTTS(seconds=BENCH_CLAUSE_S, clock=kit.clock)


def _smart_turn(kit: _Kit) -> TurnModel:
    from antiphon.models.turn.smart_turn import SmartTurn

    return SmartTurn(kit.weights)


def _no_turn(_kit: _Kit) -> None:
    """Silence and words decide alone."""


VADS: Mapping[str, Callable[[_Kit], VAD]] = MappingProxyType({"silero": _silero, "energy": _energy})
STTS: Mapping[str, Callable[[_Kit], STT]] = MappingProxyType(
    {"moonshine": _moonshine, "scripted": _scripted_stt, "bench": _scripted_stt}
)
LLMS: Mapping[str, Callable[[_Kit], ChatClient]] = MappingProxyType(
    {"embedded": _embedded, "scripted": _scripted_llm, "bench": _scripted_llm}
)
TTSS: Mapping[str, Callable[[_Kit], TTS]] = MappingProxyType(
    {"hibari": _hibari, "scripted": _scripted_tts, "bench": _scripted_tts}
)
TURNS: Mapping[str, Callable[[_Kit], TurnModel | None]] = MappingProxyType(
    {"none": _no_turn, "smart-turn": _smart_turn}
)
