"""Budgets as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from holdfast.cli.render.text import count

if TYPE_CHECKING:
    from holdfast.budgets import DayBudget
    from holdfast.ports.day_budgets import DayUse
    from holdfast.progress import RunProgress


def budget_rows(progress: RunProgress) -> list[tuple[str, str]]:
    """What counts towards each limit of a run, in rows of a table."""
    return list(_rows(progress))


def budget_line(progress: RunProgress) -> str:
    """The same on one line; empty if there is no budget."""
    if progress.budget is None:
        return ""
    return " · ".join(value for name, value in _rows(progress) if name in ("cost", "tokens", "tool calls"))


def budget_document(progress: RunProgress) -> dict[str, Any]:
    """The same as JSON."""
    return progress.model_dump(
        mode="json",
        include={
            "run_id",
            "status",
            "turn",
            "max_turns",
            "tool_calls",
            "usage",
            "budget",
            "spent",
            "held",
            "waits_for",
        },
    )


def day_rows(limits: dict[str, DayBudget], used: dict[str, DayUse]) -> list[tuple[str, str]]:
    """What counts towards each daily budget."""
    return [(scope, " · ".join(_day(limit, used[scope]))) for scope, limit in limits.items()]


def _rows(progress: RunProgress) -> Iterator[tuple[str, str]]:
    budget, usage = progress.budget, progress.usage
    tokens = progress.spent.tokens if progress.spent else usage.total_tokens
    calls = progress.spent.tool_calls if progress.spent else progress.tool_calls
    cost = progress.spent.cost_usd if progress.spent else usage.cost_usd
    shown = usage.shown_cost if cost == usage.cost_usd else f"${cost:.4f}"
    limit = budget.cost_usd if budget else None
    yield "cost", f"{shown or '$0'}" + (f" of ${limit:.4f}" if limit is not None else "")
    limit = budget.tokens if budget else None
    yield "tokens", f"{tokens:,}" + (f" of {limit:,} tokens" if limit is not None else " tokens")
    limit = budget.tool_calls if budget else None
    yield "tool calls", count(calls, "tool call") if limit is None else f"{calls:,} of {limit:,} tool calls"
    yield "turns", f"{progress.turn:,}" + (f" of {progress.max_turns:,}" if progress.max_turns else "")
    if progress.held and (progress.held.tokens or progress.held.cost_usd or progress.held.tool_calls):
        held = progress.held
        yield "set aside", f"${held.cost_usd:.4f}, {held.tokens:,} tokens, {held.tool_calls:,} tool calls for children"
    if budget is not None:
        yield "at a limit", "ask a person" if budget.asks else "stop the run"


def _day(limit: DayBudget, use: DayUse) -> Iterator[str]:
    spent, held = use.used, use.held
    if limit.cost_usd_per_day is not None:
        reserved = f" and ${held.cost_usd:.4f} reserved" if held.cost_usd else ""
        yield f"${spent.cost_usd:.4f} used{reserved} of ${limit.cost_usd_per_day:.4f}"
    if limit.tokens_per_day is not None:
        reserved = f" and {held.tokens:,} reserved" if held.tokens else ""
        yield f"{spent.tokens:,} used{reserved} of {limit.tokens_per_day:,} tokens"
