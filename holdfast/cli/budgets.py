"""Options of budgets, and of tags, to which daily budgets belong."""

from __future__ import annotations

import enum
import math
from typing import Annotated, Any

import typer

from holdfast.cli.options import BadValue, at_least
from holdfast.errors import UsageError


class OnLimit(enum.StrEnum):
    """What happens before a limit would be passed."""

    STOP = "stop"
    ASK = "ask"


def dollars(context: typer.Context, option: typer.CallbackParam, value: float | None) -> float | None:
    """A callback that refuses what is not a positive amount."""
    if value is not None and not (math.isfinite(value) and value > 0) and not context.resilient_parsing:
        raise BadValue(f"{option.opts[0]} must be a positive number of US dollars")
    return value


MaxCostOption = Annotated[
    float | None,
    typer.Option(
        "--max-cost-usd", metavar="USD", callback=dollars, help="US dollars that it and its children may cost."
    ),
]
MaxTokensOption = Annotated[
    int | None,
    typer.Option("--max-tokens", metavar="N", callback=at_least(1), help="Input and output tokens that they may use."),
]
MaxToolCallsOption = Annotated[
    int | None,
    typer.Option("--max-tool-calls", metavar="N", callback=at_least(0), help="Tool calls that they may make."),
]
OnLimitOption = Annotated[
    OnLimit | None,
    typer.Option(help="Before a limit is passed: stop the run, or ask a person (`budget` raises it). Default: stop."),
]
UnpricedOption = Annotated[
    bool,
    typer.Option("--allow-unpriced", help="Accept a limit of the cost although the price of the model is not known."),
]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="A tag of the run; can be repeated.")
]


def budget_of(
    cost_usd: float | None, tokens: int | None, tool_calls: int | None, on_limit: OnLimit | None, *, unpriced: bool
) -> dict[str, Any] | None:
    """The budget that options stand for; `None` means none."""
    fields = {
        "cost_usd": cost_usd,
        "tokens": tokens,
        "tool_calls": tool_calls,
        "on_limit": on_limit and on_limit.value,
        "allow_unpriced": unpriced or None,
    }
    return {name: value for name, value in fields.items() if value is not None} or None


def tags_of(options: list[str] | None) -> dict[str, str] | None:
    """The tags that options stand for.

    Raises:
        UsageError: one is not NAME=VALUE, or a name is given twice.
    """
    tags: dict[str, str] = {}
    for option in options or ():
        name, sign, value = option.partition("=")
        if not (name and sign and value):
            raise UsageError(f"--tag {option!r} is not NAME=VALUE")
        if name in tags:
            raise UsageError(f"--tag {name!r} is given twice")
        tags[name] = value
    return tags or None
