"""What the use of models costs, by a dated table of public list prices. A price that is not known is None, no guess."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib.resources import files

import msgspec

_MILLION = 1e6


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The list price of a model.

    Attributes:
        seen: The date for which the source tells it.
        source: The page that tells it.
        input_per_million, output_per_million: For tokens, in the table's currency.
        characters_per_million: For characters that are voiced.
        per_minute: For sound that is listened to.
    """

    seen: str
    source: str
    input_per_million: float | None = None
    output_per_million: float | None = None
    characters_per_million: float | None = None
    per_minute: float | None = None


class PriceTable(msgspec.Struct, frozen=True):
    """List prices by ``provider/model``.

    Attributes:
        currency: Of all prices.
        dated: When the table was made.
        models: The prices.
        local: Providers that run in this process, and charge nothing.
    """

    currency: str
    dated: str
    models: dict[str, Price]
    local: tuple[str, ...]

    def cost(self, model: str, used: Used) -> float | None:
        """What the use of a model cost; None where something was used whose price is not known.

        Args:
            model: As ``provider/model``.
            used: What was used of it.
        """
        if model.partition("/")[0] in self.local:
            return 0.0
        price = self.models.get(model)
        total = 0.0
        for amount, unit in (
            (used.input_tokens / _MILLION, "input_per_million"),
            (used.output_tokens / _MILLION, "output_per_million"),
            (used.characters / _MILLION, "characters_per_million"),
            (used.audio_s / 60, "per_minute"),
        ):
            if not amount:
                continue
            each: float | None = getattr(price, unit, None)
            if each is None:
                return None
            total += amount * each
        return total


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What was used of a model; ``+`` adds.

    Attributes:
        input_tokens, output_tokens: Of a model that writes or speaks.
        characters: That were voiced.
        audio_s: Seconds of speech that were listened to.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    characters: int = 0
    audio_s: float = 0.0

    def __add__(self, more: Used) -> Used:
        return Used(
            input_tokens=self.input_tokens + more.input_tokens,
            output_tokens=self.output_tokens + more.output_tokens,
            characters=self.characters + more.characters,
            audio_s=self.audio_s + more.audio_s,
        )


def total(costs: Collection[float | None]) -> float | None:
    """The whole cost; None when a part of it is not known."""
    known = [cost for cost in costs if cost is not None]
    return round(sum(known), 6) if len(known) == len(costs) else None


@cache
def price_table() -> PriceTable:
    """The table that comes with Antiphon."""
    text = files("antiphon.models").joinpath("prices.json").read_bytes()
    return msgspec.json.decode(text, type=PriceTable)
