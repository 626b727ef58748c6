"""What a call uses of its models, and what that costs by list prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from antiphon.calls.events import ModelUsage, SessionUsage
from antiphon.models.prices import PriceTable, Used, price_table, total

Role = Literal["llm", "tts", "stt", "s2s"]
_Uses = dict[tuple[Role, str], Used]
_NOTHING = Used()


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used since the last time it was asked for.

    Attributes:
        models: By role, the models that were at work; of several the last.
        input_tokens, output_tokens: None where no model told.
        cost_usd: None where a price is not known.
    """

    models: dict[str, str]
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


class Ledger:
    """Counts for one call.

    Args:
        prices: What models cost; the table that comes with Antiphon unless given.
    """

    def __init__(self, prices: PriceTable | None = None) -> None:
        self._prices = price_table() if prices is None else prices
        self._all: _Uses = {}
        self._lately: _Uses = {}
        self._latest: dict[str, str] = {}

    def note(self, role: Role, model: str, used: Used = _NOTHING) -> None:
        """A model was at work, and this was used of it."""
        self._latest[role] = model
        for uses in (self._all, self._lately):
            uses[role, model] = uses.get((role, model), _NOTHING) + used

    def spend(self) -> Spent:
        """What was used since the last time."""
        uses, self._lately = self._lately, {}
        models, self._latest = self._latest, {}
        tokens = [used for used in uses.values() if used.input_tokens or used.output_tokens]
        return Spent(
            models,
            sum(used.input_tokens for used in tokens) if tokens else None,
            sum(used.output_tokens for used in tokens) if tokens else None,
            total([self._cost(role, model, used) for (role, model), used in uses.items()]),
        )

    def usage(self) -> SessionUsage:
        """What the call has used from its beginning."""
        parts = [self._part(role, model, used) for (role, model), used in self._all.items()]
        return SessionUsage(
            llm_input_tokens=sum(part.input_tokens for part in parts),
            llm_output_tokens=sum(part.output_tokens for part in parts),
            tts_characters=sum(part.characters for part in parts),
            stt_audio_s=round(sum(part.audio_s for part in parts), 2),
            cost_usd=total([part.cost_usd for part in parts]),
            parts=tuple(parts),
        )

    def _part(self, role: Role, model: str, used: Used) -> ModelUsage:
        cost = self._cost(role, model, used)
        return ModelUsage(
            role,
            model,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            characters=used.characters,
            audio_s=round(used.audio_s, 2),
            cost_usd=None if cost is None else round(cost, 6),
        )

    def _cost(self, role: Role, model: str, used: Used) -> float | None:
        # A model that listens itself counts the sound among its tokens.
        return self._prices.cost(model, replace(used, audio_s=0.0) if role == "s2s" else used)
