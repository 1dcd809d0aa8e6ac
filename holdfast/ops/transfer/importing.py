"""Import of a bundle, which is checked completely before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from holdfast._util.batches import batches
from holdfast.errors import BundleDamaged
from holdfast.ops.transfer.bundle import Item, Line, read_bundle
from holdfast.ops.transfer.chain import ENTRY, RUN, VOID, Chain, entry_from, run_from
from holdfast.ops.transfer.part import Part, Tally
from holdfast.ops.transfer.runs import RunLoader
from holdfast.ops.transfer.storable import check_storable
from holdfast.ports import Store
from holdfast.storage.mirror.append_plan import check_batch
from holdfast.storage.mirror.rows import project, run_row
from holdfast.types import Entry, EntryBatch, MirroredRun

RUNS = "runs"
"""Name of the part that consists of runs."""
ITEMS = 100  # of one kind, loaded together


@dataclass
class Inspection:
    """The contents of a valid bundle."""

    counts: Counter[str] = field(default_factory=Counter)
    """Number of items by part; of runs, only complete ones count."""
    entries: int = 0
    voids: set[int] = field(default_factory=set)
    """Line numbers of runs that must be ignored."""


def inspect(lines: Iterable[bytes], parts: Sequence[Part]) -> Inspection:
    """Checks a whole file without writing anything.

    Args:
        lines: lines of the file.
        parts: the parts besides runs.

    Raises:
        BundleDamaged: the file is truncated or altered; the message names the line.
        UsageError: the file is not a bundle, or a newer version wrote it.
    """
    found = Inspection()
    runs = _RunCheck(found)
    by_kind = {kind: part for part in parts for kind in part.kinds}
    for line in read_bundle(lines):
        with _named(line):
            if line.item["kind"] in (RUN, ENTRY, VOID):
                runs.add(line)
                continue
            runs.end()
            part = by_kind.get(line.item["kind"])
            if part is None:
                raise ValueError(f"this version of Holdfast has no items of kind {line.item['kind']!r}")
            part.check(line.item)
            found.counts[part.name] += 1
    runs.end()
    return found


class Importer:
    """Loads a file that `inspect` has checked.

    Args:
        store: the mirror.
        parts: the parts besides runs.
        only: names of the parts to load; empty means all.
        replace: whether an ended run of the mirror may be replaced by another one of the same id.
        dry_run: write nothing; the tallies of runs show what would be kept and replaced.
        on_progress: called with the number of each line that has been loaded.
    """

    def __init__(
        self,
        store: Store,
        parts: Sequence[Part],
        *,
        only: frozenset[str] = frozenset(),
        replace: bool = False,
        dry_run: bool = False,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._parts = {kind: part for part in parts for kind in part.kinds}
        self._only = only
        self._on_progress = on_progress
        self._dry_run = dry_run
        self._runs = RunLoader(store, replace=replace, dry_run=dry_run)
        self.tallies: dict[str, Tally] = {RUNS: self._runs.tally} | {part.name: Tally() for part in parts}
        """Results by part; valid during the import and after an error."""

    async def load(self, lines: Iterable[bytes], inspection: Inspection) -> None:
        """Loads everything, in the order of the file.

        Raises:
            BundleDamaged: the file has changed since the inspection, or a line cannot be imported.
            StoreUnavailable: something could not be written; a repeated import continues where this one ended.
        """
        for is_run, group in groupby(read_bundle(lines), lambda line: line.item["kind"] in (RUN, ENTRY, VOID)):
            if is_run:
                await self._load_runs(group, inspection.voids)
            else:
                await self._load_parts(group)

    async def _load_runs(self, lines: Iterable[Line], voids: set[int]) -> None:
        is_wanted = False
        for line in lines:
            with _named(line):
                kind = line.item["kind"]
                if kind == RUN:
                    is_wanted = self._wants(RUNS) and line.number not in voids
                if is_wanted and kind == RUN:
                    await self._runs.begin(run_from(line.item))
                elif is_wanted and kind == ENTRY:
                    await self._runs.add(entry_from(line.item))
            self._on_progress(line.number)

    async def _load_parts(self, lines: Iterable[Line]) -> None:
        for kind, group in groupby(lines, lambda line: line.item["kind"]):
            part = self._parts[kind]
            for batch in batches(group, most=ITEMS):
                if self._wants(part.name) and not self._dry_run:
                    with _named(batch[0]):
                        self.tallies[part.name] += await part.load([line.item for line in batch])
                self._on_progress(batch[-1].number)

    def _wants(self, name: str) -> bool:
        return not self._only or name in self._only


class _RunCheck:
    """Checks that every run is complete or marked as void."""

    def __init__(self, found: Inspection) -> None:
        self._found = found
        self._run: MirroredRun | None = None
        self._chain: Chain | None = None
        self._begun = 0

    def add(self, line: Line) -> None:
        kind = line.item["kind"]
        if kind == VOID:
            self._void(line.item)
        elif kind == RUN:
            self.end()
            self._run = run_from(line.item)
            check_storable(run_row(self._run.summary, self._run.chain, self._run.head))
            self._chain, self._begun = Chain(self._run), line.number
        elif self._chain is None or line.item.get("run_id") != self._chain.run_id:
            raise ValueError(f"an entry of run {line.item.get('run_id')!r} does not follow its run")
        else:
            entry, previous = entry_from(line.item), self._chain.digest
            self._chain.add(entry)
            self._check_rows(entry, previous)
            self._found.entries += 1

    def end(self) -> None:
        """Checks that the current run, if any, is complete."""
        chain, self._chain = self._chain, None
        if chain is None:
            return
        if not chain.is_complete:
            raise BundleDamaged(
                f"line {self._begun}: run {chain.run_id!r} is incomplete: entry {chain.next} is missing",
                self._begun,
            )
        self._found.counts[RUNS] += 1

    def _check_rows(self, entry: Entry, previous: str) -> None:
        """Checks that a store would accept an entry, and its database the rows of it."""
        run = self._run
        assert run is not None
        batch = EntryBatch(
            run_id=run.summary.run_id, chain=run.chain, previous_digest=previous, entries=[entry], summary=run.summary
        )
        check_batch(batch)
        rows = project(batch, batch.entries)
        check_storable(
            [rows.events, rows.messages, list(rows.tool_calls.values()), rows.checkpoints, rows.results, rows.edges]
        )

    def _void(self, item: Item) -> None:
        if self._chain is None or item.get("run_id") != self._chain.run_id:
            raise ValueError(f"run {item.get('run_id')!r} is marked as void, but it is not the preceding run")
        self._found.voids.add(self._begun)
        self._found.entries -= self._chain.next
        self._chain = None


@contextmanager
def _named(line: Line) -> Iterator[None]:
    """Adds the line number to errors about an item."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        kind = line.item["kind"]
        raise BundleDamaged(
            f"line {line.number}: this {kind} cannot be imported: {_short(error)}", line.number
        ) from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
