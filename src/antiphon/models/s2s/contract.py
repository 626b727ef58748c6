"""The contract of speech to speech: the caller's sound in, the answer's sound out, one session for each call.

The model itself finds out who speaks and when a turn is over. What happens comes to one plain function on the event
loop, in order, so that no task has to wait for it; what is wanted is said by plain methods that never block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Said = tuple[Literal["user", "assistant"], str]
"""Who has said something, and the words."""

DoneStatus = Literal["completed", "cancelled", "incomplete", "failed"]


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function that the model may call: ``parameters`` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Brief:
    """Who the model is in a call.

    Attributes:
        instructions: What it is told before the conversation.
        tools: What it may call.
        voice: The provider's name of a voice; its default unless given.
        language: BCP 47 tag of the language to expect; found out by the model unless given.
        phrases: Words that the caller is likely to say.
        speed: Pace of the voice; 1 is its own.
        detection: How the end of a turn is found, where it is found by silence: some of ``threshold``,
            ``prefix_padding_ms`` and ``silence_duration_ms``.
    """

    instructions: str = ""
    tools: tuple[FunctionTool, ...] = ()
    voice: str | None = None
    language: str | None = None
    phrases: tuple[str, ...] = ()
    speed: float = 1.0
    detection: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """The model listens; what was fed before is not lost."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller has begun to speak: what is being played should fall silent, and be told by ``interrupt``.

    Attributes:
        item_id: The turn, as in ``UserTranscript``; empty where the provider does not tell.
    """

    item_id: str = ""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller has finished; ``item_id`` as in ``SpeechStarted``."""

    item_id: str = ""


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """The caller's words.

    Attributes:
        item_id: The turn.
        text: The words; of the whole turn so far, not a delta.
        is_final: Whether these words stay.
    """

    item_id: str
    text: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class AnswerAudio:
    """A piece of an answer's sound; often faster than it can be played.

    Attributes:
        item_id: The answer.
        pcm: Mono samples at the session's rate, shape (n,).
    """

    item_id: str
    pcm: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class AnswerAudioDone:
    """All of an answer's sound has come."""

    item_id: str


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A piece of an answer's words.

    Attributes:
        item_id: The answer.
        delta: What comes behind the words so far.
        start_ms: When it begins in the answer's sound, where the provider tells.
    """

    item_id: str
    delta: str
    start_ms: float | None = None


@dataclass(frozen=True, slots=True)
class FunctionCalled:
    """A function is to be run; ``tool_result`` must follow, whatever happens.

    Attributes:
        call_id: Of this call.
        name: The function.
        arguments: What the model wrote: JSON text, as a rule.
    """

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class AnswerDone:
    """An answer, or a step of calls before one, is over.

    Attributes:
        status: How.
        reason: Why it is not completed, in the provider's words.
        input_tokens: What it cost to hear, where the provider tells.
        output_tokens: What it cost to say.
    """

    status: DoneStatus
    reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """Something went wrong.

    Attributes:
        error: What, as one sentence.
        is_final: Whether the session is over. If not, only an answer is lost.
    """

    error: Exception
    is_final: bool


S2SEvent = (
    Ready
    | SpeechStarted
    | SpeechStopped
    | UserTranscript
    | AnswerAudio
    | AnswerAudioDone
    | AnswerText
    | FunctionCalled
    | AnswerDone
    | Failed
)
EventSink = Callable[[S2SEvent], None]


class S2SSession(Protocol):
    """The model in one call."""

    def feed(self, pcm: NDArray[np.int16]) -> None:
        """Take the caller's sound at the rate given to ``open``, mono, silence too. Never blocks."""
        ...

    def interrupt(self, item_id: str, heard_ms: float) -> None:
        """The answer's playout was stopped: nothing more of it is wanted, and only what was heard was said.

        Args:
            item_id: The answer; empty where none had begun to play.
            heard_ms: What was played of it. All of it is no interruption.
        """
        ...

    def tool_result(self, call_id: str, output: str) -> None:
        """Give what a function gave. When all calls of a step have theirs, the model goes on by itself."""
        ...

    def say(self, text: str) -> None:
        """Have this spoken, word for word, as the next answer."""
        ...

    def greet(self) -> None:
        """Have the model speak, as its instructions and the conversation say."""
        ...

    def write(self, text: str) -> None:
        """Add a turn of the caller's in writing, such as keys that were pressed, and have it answered."""
        ...

    def rebrief(self, brief: Brief) -> None:
        """Be someone else from the next answer on, without a word; the voice stays as it is."""
        ...

    async def aclose(self) -> None:
        """End the session; nothing comes after this."""
        ...


class S2S(Protocol):
    """A model that speaks, shared by all calls.

    Read where a model has them, and not asked for otherwise:

    - ``has_room``: whether one more call may be held.
    - ``reserve(call_id)``: a call is about to come; connect now.
    - ``for_call(call_id)``: the same model, which takes what was reserved for this call.
    """

    name: str

    def open(self, brief: Brief, rate_hz: int, on_event: EventSink, *, history: Sequence[Said] = ()) -> S2SSession:
        """Start one call; connects in the background.

        Args:
            brief: Who it is.
            rate_hz: Rate of the sound both ways; 8000, 16000, 24000 and 48000 are sure to work.
            on_event: Gets all that happens.
            history: What was said before, which the model is to know.
        """
        ...

    async def warm(self) -> None:
        """See that the model can be reached, so that the first call does not find out.

        Raises:
            IntegrationException: It cannot.
        """
        ...

    async def aclose(self) -> None:
        """Free everything."""
        ...
