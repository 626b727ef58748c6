"""What a server may ask its client for. Without a handler the protocol's own answer is that it is not supported."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypedDict, TypeVar

from mcp.client.session import ClientRequestContext, ElicitationFnT, ListRootsFnT, SamplingFnT
from mcp_types import (
    INTERNAL_ERROR,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
    ErrorData,
    ListRootsResult,
    Root,
    TextContent,
)
from pydantic import FileUrl

from antiphon.logs import Log
from antiphon.tools.mcp.options import Elicitation, OnElicitation, OnRoots, OnSampling, Options

_log = Log(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Handlers(TypedDict):
    """The callbacks of the package's client; None denies."""

    sampling_callback: SamplingFnT | None
    elicitation_callback: ElicitationFnT | None
    list_roots_callback: ListRootsFnT | None


def handlers_of(options: Options) -> Handlers:
    """The callbacks for the handlers that were given."""
    return Handlers(
        sampling_callback=_sampling(options.sampling) if options.sampling else None,
        elicitation_callback=_elicitation(options.elicitation, options.name) if options.elicitation else None,
        list_roots_callback=_roots(options.roots) if options.roots else None,
    )


def _sampling(handler: OnSampling) -> SamplingFnT:
    async def answer(context: ClientRequestContext, params: CreateMessageRequestParams) -> CreateMessageResult:
        made = await handler(params)
        if isinstance(made, str):
            return CreateMessageResult(role="assistant", content=TextContent(text=made), model="antiphon")
        return made

    return _safely(answer)


def _elicitation(handler: OnElicitation, server: str) -> ElicitationFnT:
    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        if isinstance(params, ElicitRequestURLParams):
            values = await handler(Elicitation(server, params.message, url=params.url))
            return ElicitResult(action="decline" if values is None else "accept")
        values = await handler(Elicitation(server, params.message, params.requested_schema))
        return ElicitResult(action="decline") if values is None else ElicitResult(action="accept", content={**values})

    return _safely(answer)


def _roots(handler: OnRoots) -> ListRootsFnT:
    async def answer(context: ClientRequestContext) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=FileUrl(uri)) for uri in await handler()])

    return _safely(answer)


def _safely(answer: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R | ErrorData]]:
    """A handler that fails costs its own request, not the connection; what it says stays here."""

    @functools.wraps(answer)
    async def safe(*args: P.args, **kwargs: P.kwargs) -> R | ErrorData:
        try:
            return await answer(*args, **kwargs)
        except Exception:  # the root of somebody else's code
            _log.error("mcp.handler_failed", exc_info=True)
            return ErrorData(code=INTERNAL_ERROR, message="The client could not answer.")

    return safe
