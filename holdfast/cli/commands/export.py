"""`export`: writes runs and everything else that is kept to a file."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.destination import STDOUT, Write, written
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.moment import moment
from holdfast.cli.render.output import Output
from holdfast.cli.render.progress import Progress
from holdfast.cli.render.text import count, one_line
from holdfast.cli.session import connected
from holdfast.cli.storage import check_kept, opened_persistence
from holdfast.errors import MirrorDamaged, RunNotFound, UsageError
from holdfast.ops.doctor import RunFinder
from holdfast.ops.transfer import (
    FORMATS,
    BundleWriter,
    Format,
    HistorySource,
    JsonlExport,
    MirrorSource,
    RunRecord,
    RunSource,
    Selection,
)
from holdfast.ops.transfer.parts import contents_of, parts_of
from holdfast.settings import Settings
from holdfast.storage.persistence import Persistence
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import RunId, RunStatus

EXAMPLES = """
    $ export --all -o backup.jsonl
    $ export researcher-3f9a12bc --format markdown
    $ export --all --format openai --agent guide -o sft.jsonl
    $ export --all --format markdown --since 7d --status failed
"""


class FormatName(enum.StrEnum):
    """Formats of the file."""

    JSONL = "jsonl"
    OPENAI = "openai"
    SHAREGPT = "sharegpt"
    MARKDOWN = "markdown"


@dataclass(frozen=True)
class _Wanted:
    """The runs to write, and whether to write everything else too."""

    run_id: RunId | None
    selection: Selection

    @property
    def is_everything(self) -> bool:
        return self.run_id is None and not self.selection

    def ids(self, source: RunSource) -> AsyncIterable[RunId]:
        return source.ids() if self.run_id is None else _one(self.run_id)


@dataclass
class _Done:
    """Counts of the written data."""

    runs: int = 0
    items: int = 0
    empty: int = 0
    """Runs that have nothing to write in this format."""
    skipped: dict[RunId, str] | None = None


async def export(
    run_id: Annotated[str | None, typer.Argument(metavar="ID", help="A run's id.", show_default=False)] = None,
    *,
    all: Annotated[bool, typer.Option("--all", help="All runs; in jsonl also everything else.")] = False,  # noqa: A002
    format: Annotated[  # noqa: A002 - the option's name
        FormatName, typer.Option(metavar="FORMAT", help="jsonl, openai, sharegpt or markdown.")
    ] = FormatName.JSONL,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="- is standard output.")] = STDOUT,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Runs started since, as 2d or 2026-11-01.", show_default=False)
    ] = None,
    agent: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Runs of this agent; repeatable.", show_default=False)
    ] = None,
    status: Annotated[
        list[RunStatus] | None,
        typer.Option(metavar="STATUS", help="Runs in this status; repeatable.", show_default=False),
    ] = None,
    from_history: Annotated[
        bool, typer.Option("--from-history", help="Read Temporal's history instead of the mirror.")
    ] = False,
) -> ExitCode:
    """Writes runs, or everything that is stored, to a file.

    \b
      jsonl     everything, exactly: `import` restores it, on any engine
      openai    one line per run, for fine-tuning chat models
      sharegpt  one line per run, for training open models
      markdown  one document per run, for people

    With --all, jsonl contains everything that Holdfast stores: runs, agents with all
    versions, vectors, memories, payloads, files, events and more (`import --help`
    lists the parts). With --since, --agent or --status it contains only the matching
    runs, with their images and files. openai and sharegpt contain completed runs
    unless --status says otherwise, up to the last complete answer; jsonl and markdown
    contain runs in any status.

    The file gets its name when it is complete, and only its owner may read it.
    Runs in it are not encrypted, whatever the settings are. A run that is not in the
    mirror is read from Temporal's history; without a worker, the newest entries of an
    open run are left out.

    Exit code: 0, or 4 when a run was left out because its mirror is damaged.
    """  # noqa: D301 - \b keeps the list from being wrapped
    out, settings = Output(), Settings.load()
    form = FORMATS.get(format.value)
    wanted = _wanted(run_id, form, all=all, since=since, agents=agent, statuses=status)
    from_history = from_history or settings.is_in_memory  # this process cannot reach the mirror then, but the history
    if not from_history:
        check_kept(settings, "exported")
    progress = Progress(out)
    async with opened_persistence(settings) as persistence:
        source = MirrorSource(persistence.store)
        in_mirror = run_id is None or await source.run(run_id) is not None
        async with _source(out, settings, source, persistence, history=from_history or not in_mirror) as chosen:
            if run_id is not None and not in_mirror and await chosen.run(run_id) is None:
                raise RunNotFound(f"no run {run_id!r}; see `list`")
            with written(output) as write:
                if form is None:
                    done = await _everything(progress, write, chosen, wanted, persistence)
                else:
                    done = await _shown(progress, write, chosen, wanted, form)
    return _say(out, progress, done, output)


def _wanted(
    run_id: str | None,
    form: Format | None,
    *,
    all: bool,  # noqa: A002 - the option's name
    since: str | None,
    agents: list[str] | None,
    statuses: list[RunStatus] | None,
) -> _Wanted:
    if (run_id is None) != all:
        raise UsageError("name one run, or use --all")
    if run_id is not None:
        if since or agents or statuses:
            raise UsageError("--since, --agent and --status need --all")
        return _Wanted(run_id, Selection())
    usual = form.statuses if form else frozenset[RunStatus]()
    return _Wanted(None, Selection(moment(since), frozenset(agents or ()), frozenset(statuses or usual)))


@asynccontextmanager
async def _source(
    out: Output, settings: Settings, mirror: MirrorSource, persistence: Persistence, *, history: bool
) -> AsyncIterator[RunSource]:
    if not history:
        yield mirror
        return
    out.note("reading Temporal's history, not the mirror")
    async with connected(out) as session:
        finder = RunFinder(session.client, settings.temporal_task_queue, persistence.store)
        has_worker = await session.has_worker()
        log = TemporalRunLog(session.client) if has_worker else session.recorded_log(has_worker=False)
        yield HistorySource(finder, log)


async def _everything(
    progress: Progress, write: Write, source: RunSource, wanted: _Wanted, persistence: Persistence
) -> _Done:
    def on_progress(writer: BundleWriter) -> None:
        progress.report(writer.counts.total(), "item")

    writer = BundleWriter(write)
    job = JsonlExport(writer, on_progress)
    writer.begin()
    if wanted.is_everything:
        await job.parts(parts_of(persistence))
    await job.write_runs(source, wanted.ids(source), wanted.selection)
    if not wanted.is_everything and persistence.database is not None:
        await job.items(contents_of(persistence.database).of(job.attached))
    _check_found(wanted, job.runs, job.skipped)
    writer.end()
    return _Done(job.runs, writer.counts.total(), skipped=job.skipped)


async def _shown(progress: Progress, write: Write, source: RunSource, wanted: _Wanted, form: Format) -> _Done:
    done, skipped = _Done(), dict[RunId, str]()
    async for run_id in wanted.ids(source):
        try:
            run = await source.run(run_id)
            if run is None or not wanted.selection.includes(run.summary):
                continue
            text = form.write(RunRecord([entry async for entry in source.entries(run)], run.summary))
        except MirrorDamaged as error:
            skipped[run_id] = str(error)
            continue
        if text is None:
            done.empty += 1
            continue
        write(text.encode("utf-8", "replace"))
        done.runs += 1
        progress.report(done.runs, "run")
    _check_found(wanted, done.runs + done.empty, skipped)
    done.skipped = skipped
    return done


def _check_found(wanted: _Wanted, runs: int, skipped: dict[RunId, str]) -> None:
    """Checks that the run that was named has been written, as an empty file would look like success."""
    if wanted.run_id is None or runs:
        return
    if skipped:
        raise MirrorDamaged(
            f"{skipped[wanted.run_id]}; `doctor rebuild` repairs it, and --from-history does not need it"
        )
    raise RunNotFound(f"no run {wanted.run_id!r}; see `list`")


def _say(out: Output, progress: Progress, done: _Done, output: Path) -> ExitCode:
    for run_id, why in (done.skipped or {}).items():
        out.warn(f"{one_line(run_id)} is left out: {one_line(why)}")
    if done.empty:
        out.note(f"{count(done.empty, 'run')} without a complete answer left out")
    place = "standard output" if output == STDOUT else str(output)
    items = f" ({count(done.items, 'item')})" if done.items else ""
    out.note(f"{count(done.runs, 'run')}{items} written to {place} in {progress.seconds:.1f} s")
    return ExitCode.DAMAGED if done.skipped else ExitCode.OK


async def _one(run_id: RunId) -> AsyncIterator[RunId]:
    yield run_id
