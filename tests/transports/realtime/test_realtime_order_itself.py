"""The check of the order finds what is out of order: a good conversation is spoilt in every place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, call
from tests.transports.realtime.order import Order
from tests.transports.realtime.talk import talking

Step = tuple[str, dict[str, Any], float]
LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend. "


def conversation(*, is_played: bool) -> list[Step]:
    """A spoken turn, its answer, an interruption, a call, an item that is read and deleted, an answer aside."""
    clock = VirtualClock()
    steps: list[Step] = []

    async def talk() -> None:
        replies = [LONG, Reply("", (call("order", what="tea"),)), "Aside.", "Bye."]
        async with talking(clock, stt=["When?", "Tea!"], llm=replies, is_played=is_played) as client:
            client.listen_by({"type": "server_vad"})
            client.update(tools=[{"type": "function", "name": "order"}])
            await client.turn(0.6, then=0.6)
            await client.until("response.content_part.added")
            await client.quiet(1.0)
            await client.turn()
            await client.until("response.done", 2)
            client.ask(conversation="none", output_modalities=["text"])
            await client.until("response.done", 3)
            client.write("Bye!", item_id="bye")
            client.ask()
            await client.until("response.done", 4)
            await client.wait(5.0)
            client.send("conversation.item.retrieve", item_id="bye")
            client.send("conversation.item.delete", item_id="bye")
            client.send("input_audio_buffer.clear")
            client.check()
            steps.extend(client.both)

    clock.run(talk())
    return steps


def check(steps: Sequence[Step]) -> None:
    order = Order()
    for side, event, at in steps:
        order.asked(event, at) if side == "asked" else order.told(event, at)
    order.closed()


def is_in_order(steps: Sequence[Step]) -> bool:
    try:
        check(steps)
    except (AssertionError, KeyError):
        return False
    return True


STEPS = {is_played: conversation(is_played=is_played) for is_played in (False, True)}
FREE = ("response.output_audio.delta", "conversation.item.input_audio_transcription.delta")
"""Nobody can tell how many of these there should be."""


def places(*, is_played: bool) -> list[int]:
    """Where the server's events stand that have to come once."""
    free = (*FREE, "conversation.item.truncated") if is_played else FREE
    return [
        place for place, (side, event, _) in enumerate(STEPS[is_played]) if side == "told" and event["type"] not in free
    ]


@pytest.mark.parametrize("is_played", [False, True])
def test_a_good_conversation_is_in_order(is_played: bool) -> None:
    check(STEPS[is_played])
    assert len({STEPS[is_played][place][1]["type"] for place in places(is_played=is_played)}) >= 25


@pytest.mark.parametrize("is_played", [False, True])
def test_no_event_may_be_missing(is_played: bool) -> None:
    steps = STEPS[is_played]
    unseen = [
        steps[place][1]["type"]
        for place in places(is_played=is_played)
        if is_in_order([*steps[:place], *steps[place + 1 :]])
    ]
    assert unseen == []


@pytest.mark.parametrize("is_played", [False, True])
def test_no_event_may_come_twice(is_played: bool) -> None:
    steps = STEPS[is_played]
    unseen = []
    for place in places(is_played=is_played):
        side, event, at = steps[place]
        again = side, {**event, "event_id": "event_again"}, at
        if is_in_order([*steps[: place + 1], again, *steps[place + 1 :]]):
            unseen.append(event["type"])
    assert unseen == []


def test_two_events_may_not_change_places() -> None:
    steps = STEPS[False]
    unseen = []
    for place in range(len(steps) - 1):
        (side, event, _), (next_side, next_event, _) = steps[place : place + 2]
        kinds = {event["type"], next_event["type"]}
        if (side, next_side) != ("told", "told") or any(".delta" in kind or "transcription" in kind for kind in kinds):
            continue
        if is_in_order([*steps[:place], steps[place + 1], steps[place], *steps[place + 2 :]]):
            unseen.append(kinds)
    assert unseen == []
