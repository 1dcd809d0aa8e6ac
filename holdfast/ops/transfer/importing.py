"""Brings a bundle into what is kept here; looks at all of it first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from holdfast.errors import BundleDamaged
from holdfast.ops.transfer.bundle import Item, Line, read_bundle
from holdfast.ops.transfer.chain import ENTRY, RUN, VOID, Chain, entry_from, run_from
from holdfast.ops.transfer.part import Part, Tally
from holdfast.ops.transfer.runs import RunLoader
from holdfast.ports import Store

RUNS = "runs"
"""What people call the part that runs are."""
ITEMS = 100  # of one kind that are loaded together


@dataclass
class Inspection:
    """What a whole and sound file has."""

    counts: Counter[str] = field(default_factory=Counter)
    """Things by part; of runs, those that are whole."""
    entries: int = 0
    voids: set[int] = field(default_factory=set)
    """Lines at which runs begin that do not count."""


def inspect(lines: Iterable[bytes], parts: Sequence[Part]) -> Inspection:
    """Reads a whole file, writes nothing.

    Args:
        lines: of the file.
        parts: which there are beside runs.

    Raises:
        BundleDamaged: a line, or the whole, is not what was written; the message names the line.
        UsageError: it is no bundle, or one of a newer version.
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
                raise ValueError(f"things of kind {line.item['kind']!r} are not known to this version of Holdfast")
            part.check(line.item)
            found.counts[part.name] += 1
    runs.end()
    return found


class Importer:
    """Loads a file that `inspect` has found sound.

    Args:
        store: the mirror.
        parts: which there are beside runs.
        only: names of the parts to load; empty: all.
        tell: is called with the number of each line that is done.
    """

    def __init__(
        self,
        store: Store,
        parts: Sequence[Part],
        *,
        only: frozenset[str] = frozenset(),
        tell: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._parts = {kind: part for part in parts for kind in part.kinds}
        self._only = only
        self._tell = tell
        self._runs = RunLoader(store)
        self.tallies: dict[str, Tally] = {RUNS: self._runs.tally} | {part.name: Tally() for part in parts}
        """What became of what, part by part; good while it goes on, and after an error."""

    async def load(self, lines: Iterable[bytes], inspection: Inspection) -> None:
        """Loads everything, in the order of the file.

        Raises:
            BundleDamaged: the file is not the one that was inspected, or a line cannot be taken.
            StoreUnavailable: not all could be written; loading it again goes on where this ended.
        """
        for is_run, group in groupby(read_bundle(lines), lambda line: line.item["kind"] in (RUN, ENTRY, VOID)):
            if is_run:
                await self._load_runs(group, inspection.voids)
            else:
                await self._load_things(group)

    async def _load_runs(self, lines: Iterable[Line], voids: set[int]) -> None:
        counts = False
        for line in lines:
            with _named(line):
                kind = line.item["kind"]
                if kind == RUN:
                    counts = self._wants(RUNS) and line.number not in voids
                if counts and kind == RUN:
                    await self._runs.begin(run_from(line.item))
                elif counts and kind == ENTRY:
                    await self._runs.add(entry_from(line.item))
            self._tell(line.number)

    async def _load_things(self, lines: Iterable[Line]) -> None:
        for kind, group in groupby(lines, lambda line: line.item["kind"]):
            part = self._parts[kind]
            for batch in _batches(group):
                if self._wants(part.name):
                    with _named(batch[0]):
                        self.tallies[part.name] += await part.load([line.item for line in batch])
                self._tell(batch[-1].number)

    def _wants(self, name: str) -> bool:
        return not self._only or name in self._only


class _RunCheck:
    """Sees to it that runs are whole, or void."""

    def __init__(self, found: Inspection) -> None:
        self._found = found
        self._chain: Chain | None = None
        self._begun = 0

    def add(self, line: Line) -> None:
        kind = line.item["kind"]
        if kind == VOID:
            self._void(line.item)
        elif kind == RUN:
            self.end()
            self._chain, self._begun = Chain(run_from(line.item)), line.number
        elif self._chain is None or line.item.get("run_id") != self._chain.run_id:
            raise ValueError(f"this entry of run {line.item.get('run_id')!r} does not follow its run")
        else:
            self._chain.add(entry_from(line.item))
            self._found.entries += 1

    def end(self) -> None:
        """The run that was begun, if one was, has to be whole."""
        chain, self._chain = self._chain, None
        if chain is None:
            return
        if not chain.is_whole:
            raise BundleDamaged(
                f"line {self._begun}: run {chain.run_id!r} begins here, and its entries end before {chain.next}",
                self._begun,
            )
        self._found.counts[RUNS] += 1

    def _void(self, item: Item) -> None:
        if self._chain is None or item.get("run_id") != self._chain.run_id:
            raise ValueError(f"run {item.get('run_id')!r} is said not to count, and was not begun")
        self._found.voids.add(self._begun)
        self._found.entries -= self._chain.next
        self._chain = None


@contextmanager
def _named(line: Line) -> Iterator[None]:
    """Has errors about an item name its line."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        kind = line.item["kind"]
        raise BundleDamaged(f"line {line.number}: this {kind} cannot be taken: {_short(error)}", line.number) from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:500]


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) == ITEMS:
            yield batch
            batch = []
    if batch:
        yield batch
