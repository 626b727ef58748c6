"""A GGUF model in this process: prompts in, pieces of text out, on llama.cpp through ``xllamacpp``.

llama.cpp blocks, so all of it runs on one thread that this class owns; pieces cross to the event loop. One thread is
also what makes generations wait for each other in the order of their coming: two cores can feed only one at a time.
"""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from antiphon.errors import (
    ChatClientException,
    ChatClientInvalidRequestException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
)
from antiphon.models.llm.content import Usage

PROVIDER: Final = "embedded"
_BATCH_TOKENS = 16
"""Prompt tokens between two chances to stop. 64 would be 5 % faster, 16 stop four times as soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What to generate.

    Attributes:
        prompt: All text before the answer; special tokens such as ``<|im_end|>`` are read as such.
        slot: Which of the engine's prefix caches to use.
        max_tokens: Longest answer.
        grammar: LLGuidance grammar that the answer must match; empty for none.
        temperature: 0 is greedy.
        repeat_penalty: Above 1 makes words that were just used less likely.
        stop: Texts that end the answer.
        alternatives: How many likely tokens to tell with each piece.
    """

    prompt: str
    slot: int
    max_tokens: int
    grammar: str = ""
    temperature: float = 0.0
    repeat_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    alternatives: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer.

    Attributes:
        text: New text; may be empty.
        alternatives: Log probability by token text, of the tokens that could have stood here.
        finish_reason: ``stop`` or ``length``, on the last piece.
        usage: Tokens up to here.
    """

    text: str = ""
    alternatives: Mapping[str, float] | None = None
    finish_reason: str | None = None
    usage: Usage | None = None


class LlamaEngine:
    """One loaded model with some prefix caches.

    Args:
        path: The GGUF file.
        threads: Threads that compute; the machine's cores are a good number.
        context_tokens: Longest prompt and answer of a slot.
        slots: Prefix caches; each keeps the last prompt that used it.
    """

    def __init__(self, path: Path, *, threads: int, context_tokens: int, slots: int) -> None:
        self.context_tokens = context_tokens
        self._path = path
        self._threads = threads
        self._slots = slots
        self._server: Any = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="llama")
        self._running: set[threading.Event] = set()
        self._closed = False

    async def load(self) -> None:
        """Load the model, unless it is loaded.

        Raises:
            ChatClientUnavailableException: The file or the package is missing, or the file is no model.
        """
        if self._server is None:
            await self._in_worker(self._load)

    async def generate(self, wanted: Generation) -> AsyncGenerator[Piece]:
        """Generate; closing the generator stops llama.cpp after the token, or the 16 prompt tokens, it is at.

        Raises:
            ChatClientException: The model cannot be loaded, or refuses the prompt.
        """
        await self.load()
        loop = asyncio.get_running_loop()
        # Bounded by the answer itself: it has no more pieces than tokens, so a slow reader loses nothing.
        pieces: asyncio.Queue[Piece | ChatClientException | None] = asyncio.Queue(wanted.max_tokens + 8)
        stopped = threading.Event()

        def hand_over(piece: Piece | ChatClientException | None) -> None:
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            except RuntimeError:  # The loop has ended, so nobody listens.
                stopped.set()

        self._running.add(stopped)
        job = loop.run_in_executor(self._worker, self._run, wanted, stopped, hand_over)
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, ChatClientException):
                    raise piece
                yield piece
        finally:
            stopped.set()
            job.cancel()  # Of use where it has not begun.
            self._running.discard(stopped)

    async def complete(self, wanted: Generation) -> tuple[str, Piece]:
        """The whole text, and the piece that was first: its alternatives are the choice that the model had."""
        text = ""
        first = Piece()
        async for piece in self.generate(wanted):
            text += piece.text
            if piece.alternatives and first.alternatives is None:
                first = piece
        return text, first

    async def idle(self) -> None:
        """Wait until all that was asked for has ended or stopped."""
        await self._in_worker(lambda: None)

    async def aclose(self) -> None:
        """Stop what runs and free the model."""
        if self._closed:
            return
        self._closed = True
        for stopped in self._running:
            stopped.set()
        await asyncio.get_running_loop().run_in_executor(self._worker, self._unload)
        self._worker.shutdown(wait=False)

    async def _in_worker(self, job: Callable[[], None]) -> None:
        if self._closed:
            raise _unavailable("The embedded language model has been closed; make a new client.")
        await asyncio.get_running_loop().run_in_executor(self._worker, job)

    def _load(self) -> None:
        """Runs in the worker; a second caller that waited for the first finds the work done."""
        if self._server is not None:
            return
        if not self._path.is_file():
            raise _unavailable(f"There is no model at {self._path}; run `antiphon models pull` to fetch it.")
        # llama.cpp's threads meet several hundred times per token. libgomp lets them spin there for so long that
        # another busy process slows them many times; few spins cost nothing. Read once, when the library loads.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        try:
            import xllamacpp
        except ImportError as error:
            raise _unavailable("The package xllamacpp is missing; install it with `pip install xllamacpp`.") from error
        try:
            self._server = xllamacpp.Server(self._parameters(xllamacpp))
        except RuntimeError as error:
            raise _unavailable(
                f"The model at {self._path} does not load; run `antiphon models verify` to check the file."
            ) from error

    def _parameters(self, xllamacpp: Any) -> Any:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self._path)
        parameters.n_parallel = self._slots
        parameters.n_ctx = self.context_tokens * self._slots
        parameters.n_batch = parameters.n_ubatch = _BATCH_TOKENS
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = self._threads
        parameters.n_gpu_layers = 0
        parameters.verbosity = -1
        parameters.cache_ram_mib = 0
        # xllamacpp opens a port on the loopback address that cannot be turned off: nobody knows its key, and there
        # is nothing to look at.
        parameters.api_keys = [secrets.token_urlsafe(32)]
        parameters.n_threads_http = 1
        parameters.ui = False
        parameters.endpoint_slots = False
        return parameters

    def _unload(self) -> None:
        self._server = None

    def _run(
        self,
        wanted: Generation,
        stopped: threading.Event,
        hand_over: Callable[[Piece | ChatClientException | None], None],
    ) -> None:
        """Runs in the worker, from the first prompt token to the last of the answer."""

        def on_chunk(chunk: Mapping[str, Any]) -> bool:
            if stopped.is_set():
                return True
            if "choices" not in chunk:
                hand_over(_refusal(chunk))
                return True
            piece = _piece(chunk)
            if piece is not None:
                hand_over(piece)
            return False

        try:
            if self._server is None:
                hand_over(_unavailable("The embedded language model has been closed; make a new client."))
            elif not stopped.is_set():
                self._server.handle_completions(_request(wanted), on_chunk)
        except RuntimeError as error:
            hand_over(_refusal({"message": str(error)}))
        finally:
            hand_over(None)


def _request(wanted: Generation) -> dict[str, Any]:
    request: dict[str, Any] = {
        "prompt": wanted.prompt,
        "id_slot": wanted.slot,
        "cache_prompt": True,
        "max_tokens": wanted.max_tokens,
        "temperature": wanted.temperature,
        "repeat_penalty": wanted.repeat_penalty,
        "stream": True,
        "timings_per_token": True,  # So that an answer that is cut has its token counts too.
        "return_progress": True,  # A chunk for each batch of the prompt, at which a generation can be stopped.
    }
    if wanted.grammar:
        request["grammar"] = wanted.grammar
    if wanted.stop:
        request["stop"] = list(wanted.stop)
    if wanted.alternatives:
        request["n_probs"] = wanted.alternatives
    return request


def _piece(chunk: Mapping[str, Any]) -> Piece | None:
    """A chunk of llama.cpp's completion stream; None where it only tells how far the prompt is."""
    choice = chunk["choices"][0]
    finish_reason = choice["finish_reason"]
    alternatives = None
    if choice.get("logprobs"):
        top = choice["logprobs"]["content"][0]["top_logprobs"]
        alternatives = {each["token"]: each["logprob"] if each["logprob"] is not None else -math.inf for each in top}
    if not choice["text"] and finish_reason is None and alternatives is None:
        return None
    usage = None
    if told := chunk.get("timings"):
        usage = Usage(told["cache_n"] + told["prompt_n"], told["predicted_n"], told["cache_n"])
    return Piece(choice["text"], alternatives, finish_reason, usage)


def _refusal(chunk: Mapping[str, Any]) -> ChatClientException:
    error = chunk.get("error", chunk)
    told = str(error.get("message", error))
    if "context" in told:
        return ChatClientInvalidRequestException(
            "The instructions are too long for the embedded language model; shorten them, or set OPENAI_API_KEY "
            "and ANTIPHON_LLM to use a larger one.",
            provider=PROVIDER,
        )
    return ChatClientInvalidResponseException(f"The embedded language model failed: {told}.", provider=PROVIDER)


def _unavailable(message: str) -> ChatClientUnavailableException:
    return ChatClientUnavailableException(message, provider=PROVIDER, retryable=False)
