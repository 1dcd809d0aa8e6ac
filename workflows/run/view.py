"""The view of a run in Temporal's UI: search attributes and current details, readable without opening a payload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from holdfast.bounds import indexed
    from holdfast.call_progress import indexed_stage
    from holdfast.endings import endings, shell_command, signals
    from holdfast.search_attributes import (
        AGENT_COST,
        AGENT_FINISHED_AT,
        AGENT_NAME,
        AGENT_PARENT,
        AGENT_ROOT,
        AGENT_STAGE,
        AGENT_STARTED_AT,
        AGENT_STATUS,
        AGENT_TAGS,
        AGENT_TOKENS,
        AGENT_TURN,
        AGENT_WAITS_FOR,
    )
    from holdfast.tags import indexed_tags
    from holdfast.types import RunStatus
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.state import RunState

LAST_LINES = ("", "\N{NO-BREAK SPACE}", "", "\N{NO-BREAK SPACE}")  # the UI cuts off the last lines of the details
FIRST_INTERVAL, LONGEST_INTERVAL = timedelta(seconds=1), timedelta(seconds=30)
"""Between two upserts of search attributes, each an event and a write to the visibility store. It grows with the run,
whose figures change less and less: a run of a minute makes some seven upserts, not sixty."""
SHOWN_WAITS = 10  # in the details; `show` has all of them
SHOWN_ENDINGS = 10  # of one wait, likewise
SHOWN_CHARS = 2_000  # of the output in the details; `result` shows all of it


class View:
    """Keeps search attributes and current details up to date; writes only what has changed."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._shown: dict[str, str | int | float | datetime | list[str] | None] = {}
        # The time of a run's first task is another one in a replay, as in `RunState.begin`.
        self._first_at = None if state.request.carried else state.started_at
        """When the first upsert counts as made; `None` means when it is."""
        self._began = self._first_at or workflow_time.now()
        self._upserted_at: datetime | None = None

    def update(self, *, final: bool = False, now: bool = False) -> None:
        """Updates the details, and the search attributes after an interval that grows, and at the end.

        If the status has changed, or if `now` is set, they are updated at once.

        Called right before a model call, so that the server does this work while the model answers.
        """
        self._show()
        is_new_status = self._shown.get(AGENT_STATUS.name) != self._state.shown_status.value
        if not (final or now or is_new_status or self._is_due(workflow_time.now())):
            return
        if updates := self._updates(self._state):
            workflow.upsert_search_attributes(updates)
            is_first = self._upserted_at is None
            self._upserted_at = (self._first_at if is_first else None) or workflow_time.now()

    @property
    def rest(self) -> float:
        """Seconds until the search attributes may change again for anything but a change of the status."""
        since = workflow_time.now() - self._upserted_at if self._upserted_at else FIRST_INTERVAL
        return max((FIRST_INTERVAL - since).total_seconds(), 0.0)

    def _is_due(self, now: datetime) -> bool:
        if self._upserted_at is None:
            return True
        interval = max(FIRST_INTERVAL, self._upserted_at - self._began)
        return now - self._upserted_at >= min(interval, LONGEST_INTERVAL)

    def show_activity(self, text: str) -> None:
        """Shows what the run is doing now; it is not recorded in history."""
        self._state.doing = text
        self._show()

    @contextmanager
    def waiting_for(self, what: str) -> Iterator[None]:
        """Shows what the run waits for while the body runs, instead of what it is doing."""
        waits = self._state.waits
        waits.append(what)
        self._show()
        try:
            yield
        finally:
            waits.remove(what)

    def _show(self) -> None:
        if workflow.in_workflow():  # not in the clean-up of a run that the worker drops from its cache
            workflow.set_current_details(details(self._state))

    def _updates(self, state: RunState) -> list[SearchAttributeUpdate[Any]]:
        wanted: list[tuple[SearchAttributeKey[Any], Any]] = [
            (AGENT_NAME, indexed(state.plan.spec.name)),
            (AGENT_STATUS, state.shown_status.value),
            (AGENT_TURN, state.turns),
            (AGENT_TOKENS, state.usage.total_tokens),
            (AGENT_STARTED_AT, state.started_at),
        ]
        if state.finished_at:
            wanted.append((AGENT_FINISHED_AT, state.finished_at))
        if state.usage.cost_usd:
            wanted.append((AGENT_COST, state.usage.cost_usd))
        if state.request.parent:
            wanted.append((AGENT_PARENT, indexed(state.request.parent)))
        if state.request.root:
            wanted.append((AGENT_ROOT, indexed(state.request.root)))
        if (tags := indexed_tags(state.request.tags)) and not state.plan.private:
            wanted.append((AGENT_TAGS, tags))
        stage = indexed_stage(state.stage.stage) if state.stage and not state.plan.private else None
        wanted.append((AGENT_STAGE, stage))
        kinds = sorted({wait.kind for wait in state.open_waits.values()})
        if kinds or AGENT_WAITS_FOR.name in self._shown:
            wanted.append((AGENT_WAITS_FOR, kinds))
        changed = [(key, value) for key, value in wanted if self._shown.get(key.name) != value]
        self._shown.update({key.name: value for key, value in changed})
        return [key.value_unset() if value is None else key.value_set(value) for key, value in changed]


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun, in the plural if need be."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _version(number: int | None) -> str:
    return f" version {number}" if number else ""


def wait_lines(state: RunState) -> list[str]:
    """Returns what a run waits for, since when, and what ends the wait, in Markdown."""
    lines = []
    for wait in list(state.open_waits.values())[:SHOWN_WAITS]:
        until = f", until {_utc(wait.until)}" if wait.until else ""
        lines.append(f"- waits for **{_plain(wait.what)}**, since {_utc(wait.since)}{until}")
        lines += [f"  - `{shell_command(words)}`" for words in endings(state.run_id, wait)[:SHOWN_ENDINGS]]
        if here := [f"`{name}`" + (f" with `{given}`" if given else "") for name, given in signals(wait)]:
            lines.append(f"  - or here, with *Send a Signal*: {' or '.join(here)}")
    return lines


def _plain(text: str) -> str:
    """Returns a text whose characters mean nothing in Markdown."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", text)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _budget_lines(state: RunState) -> list[str]:
    budget = state.plan.budget
    if budget is None:
        return []
    limits = [
        *([f"${budget.cost_usd:.4f}"] if budget.cost_usd is not None else []),
        *([f"{budget.tokens:,} tokens"] if budget.tokens is not None else []),
        *([counted(budget.tool_calls, "tool call")] if budget.tool_calls is not None else []),
    ]
    return [f"- budget {', '.join(limits)}"] if limits else []


def _headline(state: RunState) -> str:
    status = state.shown_status
    is_said_below = status in (RunStatus.WAITING, RunStatus.PAUSED) and state.open_waits
    return f"**{status}**" if status.is_final or is_said_below else f"**{status}** · {state.activity}"


def details(state: RunState) -> str:
    """Returns the current details of a run, in Markdown."""
    plan, usage = state.plan, state.usage
    handed = f", handed to agent `{state.active_agent}`" if state.active_agent else ""
    lines = [
        _headline(state),
        "",
        *wait_lines(state),
        f"- agent `{plan.spec.name}`{_version(plan.spec.version)}{handed}, model `{state.asked_model}`",
        f"- turn {state.turns} of at most {state.max_turns}, {counted(state.tool_calls, 'tool call')}",
        f"- {usage.total_tokens:,} tokens ({usage.input_tokens:,} in, {usage.output_tokens:,} out)"
        + (f", {usage.shown_cost}" if usage.shown_cost else ""),
        *_budget_lines(state),
        f"- workspace `{plan.workspace}`",
    ]
    if (tree := state.tree.usage(usage)) is not None:
        below = f"{tree.total_tokens:,} tokens" + (f", {tree.shown_cost}" if tree.shown_cost else "")
        lines.append(f"- {counted(state.tree.started, 'child run')}; with them {below}")
    if (reported := state.reported) is not None:
        lines.append(f"- last stage: {_plain(str(reported))} (`{reported.tool}`, turn {reported.turn})")
    if files := state.files.names:
        lines.append(f"- wrote {', '.join(f'`{file}`' for file in files)}")
    if state.error:
        lines += ["", f"**{state.error.type}**: {state.error.message}"]
    if state.output:
        lines += ["", "---", "", state.output[:SHOWN_CHARS]]
    return "\n".join([*lines, *LAST_LINES])
