"""`import`: brings back what `export` took out."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.progress import News
from holdfast.cli.render.table import show_table
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
    only: Annotated[
        str | None, typer.Option(metavar="PARTS", help="Only these, as runs,agents.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> ExitCode:
    """Brings what was exported as JSONL into what is kept here.

    The whole file is checked first: its trailer, its digest, and of each run that
    every entry follows the one before it. A file that is cut short or altered is
    refused, and the line named, before anything is written.

    An import adds. What is here already stays as it is, and is listed where the
    file has it otherwise. Of two lives of one run id the newer one stays. Doing
    it twice changes nothing; what was broken off goes on when it is done again.
    A run that is only half there says `running` until then.

    Parts: runs, agents, vectors, memories, payloads, conversations, forks, events.
    """
    out, settings = Output(json=json), Settings.load()
    if settings.is_in_memory:
        raise UsageError("the settings keep everything in the memory of each process: nothing can be imported")
    async with opened_persistence(settings) as persistence:
        parts = parts_of(persistence)
        chosen = _chosen(only, parts)
        with _opened(file) as stream:
            news = News(out)
            found = inspect(stream, parts)
            out.note(f"the file is whole: {_contents(found)}")
            stream.seek(0)
            importer = Importer(persistence.store, parts, only=chosen, tell=lambda line: news.tell(line, "line"))
            if not dry_run:
                try:
                    await importer.load(stream, found)
                except BaseException:
                    out.warn(f"broken off; so far: {_so_far(importer.tallies)}. Do it again and it goes on")
                    raise
    _say(out, importer.tallies, found, dry_run=dry_run)
    return ExitCode.OK


def _chosen(only: str | None, parts: Sequence[Part]) -> frozenset[str]:
    names = [name.strip() for name in (only or "").split(",") if name.strip()]
    known = [RUNS, *(part.name for part in parts)]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--only {unknown[0]!r} is not known; known: {', '.join(known)}")
    return frozenset(names)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """A file that can be read twice; what comes through a pipe is put aside first."""
    if file == STDIN:
        with tempfile.TemporaryFile() as aside:
            shutil.copyfileobj(sys.stdin.buffer, aside)
            aside.seek(0)
            yield aside
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


def _contents(found: Inspection) -> str:
    counts = {**found.counts, "entries of runs": found.entries}
    return ", ".join(f"{name} {number:,}" for name, number in counts.items() if number) or "it has nothing in it"


def _so_far(tallies: dict[str, Tally]) -> str:
    return ", ".join(f"{name} {tally.written:,}" for name, tally in tallies.items() if tally.written) or "nothing"


def _say(out: Output, tallies: dict[str, Tally], found: Inspection, *, dry_run: bool) -> None:
    if out.json:
        imported: dict[str, Any] = {
            name: {"in_file": found.counts[name], "written": tally.written, "same": tally.same, "kept": tally.kept}
            for name, tally in tallies.items()
        }
        out.document({"dry_run": dry_run, "entries": found.entries, "parts": imported})
        return
    if dry_run:
        out.say("nothing was written")
        return
    rows = [
        [name, f"{tally.written:,}", f"{tally.same:,}", f"{len(tally.kept):,}"]
        for name, tally in tallies.items()
        if tally.written or tally.same or tally.kept
    ]
    show_table(out, ("WHAT", "WRITTEN", "HERE ALREADY", "HERE OTHERWISE"), rows)
    kept = [why for tally in tallies.values() for why in tally.kept]
    for why in kept[:SHOWN_KEPT]:
        out.warn(f"left as it is here: {one_line(why)}")
    if len(kept) > SHOWN_KEPT:
        out.warn(f"and {len(kept) - SHOWN_KEPT:,} more; --json has them all")
