"""Options of budgets, and of tags, to which daily budgets belong."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
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


@dataclass(frozen=True)
class BudgetOptions:
    """The limits of a run that is to start, and of its children: a group of options."""

    max_cost_usd: Annotated[
        float | None,
        typer.Option(
            "--max-cost-usd", metavar="USD", callback=dollars, help="US dollars that it and its children may cost."
        ),
    ] = None
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens", metavar="N", callback=at_least(1), help="Input and output tokens that they may use."
        ),
    ] = None
    max_tool_calls: Annotated[
        int | None,
        typer.Option("--max-tool-calls", metavar="N", callback=at_least(0), help="Tool calls that they may make."),
    ] = None
    on_limit: Annotated[
        OnLimit | None,
        typer.Option(
            help="Before a limit is exceeded: stop the run, or ask a person (`budget` raises it). Default: stop."
        ),
    ] = None
    allow_unpriced: Annotated[
        bool,
        typer.Option(
            "--allow-unpriced", help="Accept a limit of the cost although the price of the model is not known."
        ),
    ] = False

    def budget(self) -> dict[str, Any] | None:
        """The budget that the options stand for; `None` means none."""
        fields = {
            "cost_usd": self.max_cost_usd,
            "tokens": self.max_tokens,
            "tool_calls": self.max_tool_calls,
            "on_limit": self.on_limit and self.on_limit.value,
            "allow_unpriced": self.allow_unpriced or None,
        }
        return {name: value for name, value in fields.items() if value is not None} or None


TagOption = Annotated[
    list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="A tag of the run; repeatable.")
]


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
