"""`doctor rebuild`: repairs the mirror from Temporal's history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast._util.terminal import clean
from holdfast.cli.checked_runs import AllOption, CheckedRuns, RunOption, SinceOption, opened
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.render.doctor_text import count_entries, rebuilt_line
from holdfast.cli.render.output import Output
from holdfast.cli.render.progress import Progress
from holdfast.cli.render.text import count, duration
from holdfast.errors import RunNotFound
from holdfast.ops.doctor import Rebuilder, Rebuilt, concerns_one_run, map_concurrently
from holdfast.types import RunId

EXAMPLES = """
    $ doctor rebuild researcher-3f9a12bc
    $ doctor rebuild --all --since 2026-11-01
"""


async def rebuild(
    run_id: RunOption = None,
    all: AllOption = False,  # noqa: A002 - the option's name
    since: SinceOption = None,
    json: JsonOption = False,
) -> ExitCode:
    """Repairs the mirror from Temporal's history, row by row.

    Rows that are right stay; others are written or deleted. Readers therefore see
    no gap meanwhile, runs may continue, and an interrupted rebuild can simply be
    started again. A worker must run, as it replays the histories of open runs. Runs
    that Temporal has deleted are left unchanged.

    Exit code: 0, or 3 when a run could not be rebuilt.
    """
    out = Output(json=json)
    checked = CheckedRuns.of(run_id, all=all, since=since)
    done: list[_Attempt] = []
    progress = Progress(out)
    async with opened(out) as (session, persistence, log):
        store = persistence.store
        rebuilder = Rebuilder(store, log)

        async def attempt(run: RunId) -> _Attempt:
            return await _attempt(rebuilder, run, alone=not all)

        async for each in map_concurrently(checked.ids(session, store), attempt):
            done.append(each)
            if line := each.line():
                out.say(line)
            progress.report(len(done), "run")
    return _show_rebuilt(out, done, progress.seconds)


@dataclass(frozen=True)
class _Attempt:
    run_id: RunId
    rebuilt: Rebuilt | None = None
    refusal: str = ""
    is_gone: bool = False

    def line(self) -> str | None:
        if self.rebuilt:
            return rebuilt_line(self.rebuilt)
        return f"{clean(self.run_id)}: {'left unchanged: ' if self.is_gone else ''}{self.refusal}"

    def document(self) -> dict[str, Any]:
        counts = self.rebuilt
        if counts is None:
            return {"run_id": self.run_id, "rebuilt": False, "reason": self.refusal}
        numbers = {"entries": counts.entries, "written": counts.written, "repaired": counts.repaired}
        return {"run_id": self.run_id, "rebuilt": True, **numbers}


async def _attempt(rebuilder: Rebuilder, run_id: RunId, *, alone: bool) -> _Attempt:
    try:
        return _Attempt(run_id, await rebuilder.rebuild(run_id))
    except Exception as error:
        if alone or not concerns_one_run(error):
            raise
        return _Attempt(run_id, refusal=str(error) or type(error).__name__, is_gone=isinstance(error, RunNotFound))


def _show_rebuilt(out: Output, done: list[_Attempt], seconds: float) -> ExitCode:
    rebuilt = [each.rebuilt for each in done if each.rebuilt]
    entries = sum(each.entries for each in rebuilt)
    written, repaired = sum(each.written for each in rebuilt), sum(each.repaired for each in rebuilt)
    rate = round(entries / seconds) if seconds else 0
    if out.json:
        out.document(
            {
                "runs": [each.document() for each in done],
                "entries": entries,
                "written": written,
                "repaired": repaired,
                "seconds": round(seconds, 3),
                "entries_per_second": rate,
            }
        )
    else:
        out.say(f"{count(len(rebuilt), 'run')}, {count_entries(entries)} in {duration(seconds)}, {rate:,} a second")
        out.say(f"{count_entries(written)} written, {count(repaired, 'row')} repaired")
    failed = any(each.rebuilt is None and not each.is_gone for each in done)
    return ExitCode.UNAVAILABLE if failed else ExitCode.OK
