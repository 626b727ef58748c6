"""What was made once is found again, and the oldest leaves."""

from __future__ import annotations

from antiphon.models.llm.messages import Message
from antiphon.models.llm.wire_cache import WireCache


def cache(most_bytes: int) -> tuple[WireCache[Message, str], list[str]]:
    made: list[str] = []

    def make(message: Message) -> tuple[str, int]:
        made.append(message.text)
        return message.text.upper(), len(message.text)

    return WireCache(make, most_bytes=most_bytes), made


def test_the_same_object_is_made_once_and_an_equal_one_again() -> None:
    wires, made = cache(1000)
    first, equal = Message("user", "hello"), Message("user", "hello")
    assert [wires.of(first), wires.of(first), wires.of(equal)] == ["HELLO"] * 3
    assert made == ["hello", "hello"]


def test_an_object_is_held_so_that_its_place_is_not_taken() -> None:
    wires, _ = cache(100_000)
    for index in range(500):
        assert wires.of(Message("user", f"m{index}")) == f"M{index}"


def test_the_oldest_leave_when_it_is_full() -> None:
    wires, made = cache(640)
    messages = [Message("user", f"{index:010}") for index in range(65)]
    for message in messages:
        wires.of(message)
    made.clear()
    wires.of(messages[-1])
    wires.of(messages[0])
    assert made == [messages[0].text]


def test_what_would_take_much_of_the_room_is_not_kept() -> None:
    wires, made = cache(640)
    large = Message("user", "x" * 11)
    wires.of(large)
    wires.of(large)
    assert len(made) == 2
