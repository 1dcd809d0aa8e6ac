"""Prices of models, as people set them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from holdfast.bounds import MAX_COST, MAX_COUNT
from holdfast.rejection import place_of, reason_of
from holdfast.types import Tolerant, Usage

MTOK = 1_000_000
EXAMPLE = '{"my-model": {"input": 0.25, "output": 2}}'

Rate = Annotated[float, Field(ge=0, le=MAX_COST, allow_inf_nan=False)]


class ModelPrice(Tolerant):
    """The price of a model, in US dollars per million tokens, and the size of its context."""

    input: Rate
    output: Rate
    cached_input: Rate | None = None
    """Of input tokens that the provider reads from its cache; `None` means the price of other input."""
    context_window: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Maximum number of tokens of a request; `None` means that it is not known."""

    def cost(self, usage: Usage) -> float:
        """Returns what calls cost, in US dollars."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        cached_rate = self.input if self.cached_input is None else self.cached_input
        spent = (usage.input_tokens - cached) * self.input + cached * cached_rate + usage.output_tokens * self.output
        return spent / MTOK


FREE = ModelPrice(input=0, output=0)

PriceTable = Mapping[str, ModelPrice]
"""Prices by the name of the model, or by a pattern such as `qwen*`."""


def find_price(table: PriceTable, model: str) -> ModelPrice | None:
    """Returns the price of a model: that of its name, else of the first pattern that matches it."""
    if model in table:
        return table[model]
    return next((price for pattern, price in table.items() if fnmatchcase(model, pattern)), None)


def parse_prices(text: str) -> dict[str, ModelPrice]:
    """Parses a table of prices.

    Args:
        text: a JSON object such as `EXAMPLE`, or the path of a file with one.

    Raises:
        ValueError: it is neither; the message says what is wrong.
    """
    try:
        found = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None
    except OSError as error:
        raise ValueError(f"it is neither JSON such as {EXAMPLE} nor a file: {error.strerror}") from None
    except ValueError:
        raise ValueError("the file is not UTF-8 text") from None
    if not isinstance(found, dict):
        raise ValueError(f"it must be a JSON object such as {EXAMPLE}")  # noqa: TRY004 - for pydantic
    try:
        return {name: ModelPrice.model_validate(price, extra="forbid") for name, price in found.items()}
    except ValidationError as error:
        first = error.errors()[0]
        name = place_of(first) or "a price"
        raise ValueError(f"{name} {reason_of(first)}; it must be a JSON object such as {EXAMPLE}") from None
