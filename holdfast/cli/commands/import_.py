"""`import`: restores what `export` wrote."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.progress import Progress
from holdfast.cli.render.table import Column, show_table
from holdfast.cli.render.text import one_line
from holdfast.cli.storage import opened_persistence
from holdfast.errors import UsageError
from holdfast.ops.transfer import Importer, Part, Tally, inspect
from holdfast.ops.transfer.importing import RUNS, Inspection
from holdfast.ops.transfer.parts import parts_of
from holdfast.settings import Settings

STDIN = Path("-")
SHOWN_KEPT = 20  # reasons; --json has them all

EXAMPLES = """
    $ import backup.jsonl
    $ import backup.jsonl --dry-run
    $ import backup.jsonl --only runs,agents
    $ export --all | ssh other holdfast import -
"""


async def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `export`; - is standard input.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file, write nothing.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let later runs in the file replace ended ones of the same id.")
    ] = False,
    only: Annotated[
        str | None, typer.Option(metavar="PARTS", help="Only these parts, as runs,agents.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> ExitCode:
    """Restores what was exported as JSONL.

    The whole file is checked first: its trailer, its digest, and that every entry
    of a run follows the one before it. A file that is truncated or altered is
    rejected before anything is written, and the error names the line.

    An import adds. What exists already stays unchanged, and is listed if it differs
    from the file. With --replace, a later run in the file replaces one of the same
    id that has ended; a run that is active is never touched. With --dry-run, what
    would be replaced or kept is listed. Importing twice changes nothing, and an
    interrupted import resumes when it is repeated. A run that is only partly imported
    is `running` until then.

    Parts: runs, agents, vectors, memories, payloads, files, file_uses, memory_folders,
    memory_files, events, ledger, contents, conversations.
    """
    out, settings = Output(json=json), Settings.load()
    if settings.is_in_memory:
        raise UsageError("with these settings, each process keeps everything in memory: nothing can be imported")
    async with opened_persistence(settings) as persistence:
        parts = parts_of(persistence)
        chosen = _chosen(only, parts)
        with _opened(file) as stream:
            progress = Progress(out)
            found = inspect(stream, parts)
            out.note(f"the file is complete: {_contents(found)}")
            stream.seek(0)
            importer = Importer(
                persistence.store,
                parts,
                only=chosen,
                replace=replace,
                dry_run=dry_run,
                on_progress=lambda line: progress.report(line, "line"),
            )
            try:
                await importer.load(stream, found)
            except BaseException:
                out.warn(f"interrupted; written so far: {_so_far(importer.tallies)}. Repeat the import to resume it")
                raise
    _say(out, importer.tallies, found, dry_run=dry_run)
    return ExitCode.OK


def _chosen(only: str | None, parts: Sequence[Part]) -> frozenset[str]:
    names = [name.strip() for name in (only or "").split(",") if name.strip()]
    known = [RUNS, *(part.name for part in parts)]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--only {unknown[0]!r} is unknown; known: {', '.join(known)}")
    return frozenset(names)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """Opens a file that can be read twice; standard input is copied to a temporary file first."""
    if file == STDIN:
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.seek(0)
            yield copy
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    with stream:
        yield stream


def _contents(found: Inspection) -> str:
    counts = {**found.counts, "entries of runs": found.entries}
    return ", ".join(f"{name} {number:,}" for name, number in counts.items() if number) or "it is empty"


def _so_far(tallies: dict[str, Tally]) -> str:
    return ", ".join(f"{name} {tally.written:,}" for name, tally in tallies.items() if tally.written) or "nothing"


def _say(out: Output, tallies: dict[str, Tally], found: Inspection, *, dry_run: bool) -> None:
    if out.json:
        imported: dict[str, Any] = {
            name: {"in_file": found.counts[name], **asdict(tally)} for name, tally in tallies.items()
        }
        out.document({"dry_run": dry_run, "entries": found.entries, "parts": imported})
        return
    _say_differing(out, tallies, dry_run=dry_run)
    if dry_run:
        out.say("nothing was written")
        return
    counted = {name: tally for name, tally in tallies.items() if tally.written or tally.same or tally.kept}
    numbers = {
        "WRITTEN": [tally.written for tally in counted.values()],
        "UNCHANGED": [tally.same for tally in counted.values()],
        "DIFFERENT": [len(tally.kept) for tally in counted.values()],
    }
    columns = [Column(title, [f"{count:,}" for count in counts], is_number=True) for title, counts in numbers.items()]
    show_table(out, [Column("PART", list(counted), "bold", is_whole=True), *columns])


def _say_differing(out: Output, tallies: dict[str, Tally], *, dry_run: bool) -> None:
    replaced = [why for tally in tallies.values() for why in tally.replaced]
    for why in replaced[:SHOWN_KEPT]:
        out.warn(f"{'would be replaced' if dry_run else 'replaced'}: {one_line(why)}")
    if len(replaced) > SHOWN_KEPT:
        out.warn(f"and {len(replaced) - SHOWN_KEPT:,} more; --json has them all")
    kept = [why for tally in tallies.values() for why in tally.kept]
    for why in kept[:SHOWN_KEPT]:
        out.warn(f"not replaced: {one_line(why)}")
    if len(kept) > SHOWN_KEPT:
        out.warn(f"and {len(kept) - SHOWN_KEPT:,} more; --json has them all")
