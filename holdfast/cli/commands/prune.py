"""`prune`: deletes runs that ended long ago."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import typer

from holdfast.cli.exit_code import ExitCode
from holdfast.cli.moment import moment
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.progress import Progress
from holdfast.cli.render.text import count, local_time, one_line
from holdfast.cli.storage import check_kept, opened_persistence
from holdfast.errors import PayloadUnreadable, TemporalUnavailable, UsageError
from holdfast.ops.retention.executions import BEGINNING, Executions
from holdfast.ops.retention.pruning import Prunable, Pruner, Retained
from holdfast.ops.retention.sizes import log_bytes, old_events
from holdfast.settings import Settings
from holdfast.stack import local_address
from holdfast.storage.payloads.chunk_table import Amount
from holdfast.storage.persistence import Persistence
from holdfast.temporal.connection import connect_temporal
from holdfast.types import FINAL_STATUSES, RunStatus

SHOWN_KEPT = 20  # runs; --json has them all
NOTHING = Amount(0, 0)

EXAMPLES = """
    $ prune --older-than 30d --dry-run
    $ prune --older-than 30d --keep-failed
    $ prune --older-than 2026-01-01 --yes --json
"""


@dataclass
class _Plan:
    """The data to be deleted."""

    before: datetime
    prunable: list[Prunable] = field(default_factory=list)
    retained: list[Retained] = field(default_factory=list)
    log_bytes: int = 0
    payloads: Amount = NOTHING
    contents: Amount = NOTHING
    """Of attachments."""
    files: Amount = NOTHING
    """Files of workspaces."""
    events: int = 0
    """On the bus."""

    @property
    def entries(self) -> int:
        return sum(each.entries for each in self.prunable)

    def line(self) -> str:
        runs = f"{count(len(self.prunable), 'run')} that ended before {local_time(self.before)}"
        chunks = f", {_size(self.payloads.bytes)} of payloads" if self.payloads.count else ""
        events = f", {count(self.events, 'event')}" if self.events else ""
        contents = f", {_size(self.contents.bytes)} of attachments" if self.contents.count else ""
        return f"{runs}: {self.entries:,} entries, about {_size(self.log_bytes)}{chunks}{contents}{events}"

    def __bool__(self) -> bool:
        return bool(self.prunable or self.payloads.count or self.contents.count or self.events)


async def prune(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Runs that ended longer ago than 30d, or before 2026-01-01.")
    ],
    *,
    keep_failed: Annotated[bool, typer.Option("--keep-failed", help="Delete only completed runs.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted, and delete nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> ExitCode:
    """Deletes runs that ended long ago.

    All rows of these runs are deleted, payloads and events of that time, and attachments
    that no other run has. So are the files of their workspaces in the store, nine days
    after they were last stored, unless another run needs them; folders stay. The
    histories in Temporal stay, as do agents, memories and vectors. A run is deleted
    only if the mirror says that it has ended, and Temporal does not say that it is
    open. Runs on which the two disagree are kept and listed. If Temporal does not
    answer, the mirror alone decides, and payloads and attachments are kept, as
    histories may still need them.

    You can interrupt it, and use it while other runs are active. With RETENTION
    set, workers prune by themselves, every hour.
    """
    out, settings = Output(json=json), Settings.load()
    before = max(moment(older_than) or BEGINNING, BEGINNING)
    check_kept(settings, "pruned")
    keep = FINAL_STATUSES - {RunStatus.COMPLETED} if keep_failed else frozenset[RunStatus]()
    executions = await _executions(out, settings)
    async with opened_persistence(settings) as persistence:
        pruner = Pruner(persistence.store, executions, keep, ledger=persistence.ledger, files=persistence.files)
        plan = await _plan(out, pruner, executions, persistence, before)
        _list_kept(out, plan.retained)
        deleted = 0
        if not dry_run and _is_agreed(out, plan, yes=yes):
            deleted = await _delete(out, pruner, executions, persistence, plan)
        elif not json:
            out.say(f"{'would be deleted' if dry_run else 'kept'}: {plan.line()}")
    if json:
        out.document(_document(plan, deleted, dry_run=dry_run))
    return ExitCode.OK


async def _executions(out: Output, settings: Settings) -> Executions | None:
    """Temporal, if it answers; it is not started for pruning."""
    address = settings.temporal_address or local_address(settings.holdfast_home)
    if address is not None:
        try:
            return Executions(await connect_temporal(address, settings.temporal_namespace))
        except TemporalUnavailable as error:
            out.note(str(error))
    out.warn("Temporal does not answer: the mirror alone says which runs have ended, and payloads are kept")
    return None


async def _plan(
    out: Output, pruner: Pruner, executions: Executions | None, persistence: Persistence, before: datetime
) -> _Plan:
    plan, progress = _Plan(before), Progress(out)
    async for found in pruner.find(before):
        if isinstance(found, Retained):
            plan.retained.append(found)
            continue
        plan.prunable.append(found)
        plan.log_bytes += await log_bytes(persistence.database, found.run.summary.run_id)
        progress.report(len(plan.prunable), "run", "found")
    plan.payloads = await _payloads(executions, persistence, before, dry_run=True)
    plan.contents = await _contents(executions, persistence, before, dry_run=True)
    plan.events = await old_events(persistence.database, before)
    return plan


async def _delete(
    out: Output, pruner: Pruner, executions: Executions | None, persistence: Persistence, plan: _Plan
) -> int:
    deleted, progress = 0, Progress(out)
    for prunable in plan.prunable:
        deleted += await pruner.drop(prunable)
        progress.report(deleted, "run", "deleted")
    plan.payloads = await _payloads(executions, persistence, plan.before, dry_run=False)
    plan.contents = await _contents(executions, persistence, plan.before, dry_run=False)
    await _prune_ledger(executions, persistence, plan.before)
    plan.files = await _sweep(out, persistence)
    plan.events = await persistence.bus.prune(plan.before)
    if not out.json:
        chunks = f", {_size(plan.payloads.bytes)} of payloads" if plan.payloads.count else ""
        events = f", {count(plan.events, 'event')}" if plan.events else ""
        contents = f", {_size(plan.contents.bytes)} of attachments" if plan.contents.count else ""
        files = f", {_size(plan.files.bytes)} of files" if plan.files.count else ""
        out.say(f"deleted: {count(deleted, 'run')}{chunks}{contents}{files}{events}")
    if deleted < len(plan.prunable):
        out.note(f"{count(len(plan.prunable) - deleted, 'run')} continued meanwhile and were kept")
    return deleted


async def _payloads(
    executions: Executions | None, persistence: Persistence, before: datetime, *, dry_run: bool
) -> Amount:
    if executions is None or persistence.payloads is None:
        return NOTHING
    return await persistence.payloads.prune(await executions.earliest_start_bound(before), dry_run=dry_run)


async def _contents(
    executions: Executions | None, persistence: Persistence, before: datetime, *, dry_run: bool
) -> Amount:
    """Deletes contents of attachments that no run refers to any more."""
    if executions is None:
        return NOTHING
    bound = await executions.earliest_start_bound(before)
    return Amount(*await persistence.contents.prune(bound, dry_run=dry_run))


async def _sweep(out: Output, persistence: Persistence) -> Amount:
    """Deletes the files of workspaces that no run needs any more."""
    if persistence.files is None:
        return NOTHING
    try:
        return await persistence.files.sweep()
    except PayloadUnreadable as error:
        out.warn(f"files of workspaces are kept, as it is not known which are needed: {error}")
        return NOTHING


async def _prune_ledger(executions: Executions | None, persistence: Persistence, before: datetime) -> None:
    """Deletes the ledger's entries of runs that neither the mirror nor Temporal has any more."""
    if executions is not None and persistence.ledger is not None:
        await persistence.ledger.prune(await executions.earliest_start_bound(before))


def _is_agreed(out: Output, plan: _Plan, *, yes: bool) -> bool:
    if yes or not plan:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            f"there is no terminal to confirm on; use --yes to delete {plan.line()}, "
            "or --dry-run to see what would be deleted"
        )
    out.note(plan.line())
    return typer.confirm("delete them for good?", err=True)


def _list_kept(out: Output, retained: Sequence[Retained]) -> None:
    for each in retained[:SHOWN_KEPT]:
        out.warn(f"{one_line(each.run_id)} is kept: {one_line(each.reason)}")
    if len(retained) > SHOWN_KEPT:
        out.warn(f"and {len(retained) - SHOWN_KEPT:,} more; --json has them all")


def _document(plan: _Plan, deleted: int, *, dry_run: bool) -> dict[str, Any]:
    return {
        "before": plan.before.isoformat(),
        "dry_run": dry_run,
        "found": len(plan.prunable),
        "dropped": deleted,
        "entries": plan.entries,
        "log_bytes": plan.log_bytes,
        "payloads": {"count": plan.payloads.count, "bytes": plan.payloads.bytes},
        "contents": {"count": plan.contents.count, "bytes": plan.contents.bytes},
        "files": {"count": plan.files.count, "bytes": plan.files.bytes},
        "events": plan.events,
        "runs": [each.run.summary.run_id for each in plan.prunable],
        "retained": [{"run_id": each.run_id, "reason": each.reason} for each in plan.retained],
    }


def _size(number: int) -> str:
    """Bytes as `12 KB`, `3.4 MB`."""
    if number < 1_000_000:
        return f"{number / 1_000:.0f} KB"
    return f"{number / 1_000_000:,.1f} MB"
