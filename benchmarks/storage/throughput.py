"""Appends and reads per second, by engine and number of tasks."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.figure import Figure
from benchmarks.storage.engines import GATEWAY, HTTP, MEM, MEMORY, NARROW, SURREALKV, WS, Engine, Engines
from holdfast.ports import Store
from holdfast.stack.progress import Report
from holdfast.storage.mirror.sample import SampleRun

KINDS = (MEMORY, MEM, SURREALKV, GATEWAY, WS, NARROW, HTTP)
TEXT = "What a run says in a turn, and what its tools say to it. " * 4  # some 0.2 KB; a turn has nine of them
FIRST = 2  # entries before the first turn
IN_A_TURN = 3  # entries: a message, a tool's result, a status
PAGE = 10  # entries that a read returns


@dataclass(frozen=True)
class Ratio:
    """A comparison of two engines."""

    name: str
    title: str
    dividend: str
    divisor: str


RATIOS = (
    Ratio("server", "ws to surrealkv", WS, SURREALKV),
    Ratio("gateway", "shared to direct", GATEWAY, SURREALKV),
    Ratio("width", "4 connections to 1", WS, NARROW),
)

Rates = dict[tuple[str, str, int], list[float]]
"""Verb, engine and number of tasks -> calls per second."""


async def measure(
    engines: Engines, report: Report, *, repeats: int, tasks: Sequence[int], appends: int, reads: int
) -> list[Figure]:
    """Repeats the same work on each engine in turn, so that other load on the machine affects all of them.

    Args:
        engines: what is measured.
        report: is told how far it is.
        repeats: how often.
        tasks: how many append, and read, at the same time.
        appends: of all tasks together; each is one turn of a run.
        reads: total of all tasks; each returns PAGE entries.
    """
    opened = await engines.open(*KINDS)
    rates: Rates = defaultdict(list)
    for repeat in range(repeats):
        for engine in opened:
            report(f"appends and reads, {engine.title}, {repeat + 1} of {repeats}")
            for number in tasks:
                appended, read = await _rates(engine.persistence.store, number, appends, reads)
                rates["appends", engine.kind, number].append(appended)
                rates["reads", engine.kind, number].append(read)
    return [
        figure
        for verb in ("appends", "reads")
        for figure in (*_by_engine(rates, verb, opened, tasks), *_compared(rates, verb, tasks))
    ]


async def _rates(store: Store, tasks: int, appends: int, reads: int) -> tuple[float, float]:
    runs = [SampleRun(turns=max(appends // tasks, 1), text=TEXT) for _ in range(tasks)]
    for run in runs:
        await store.append(run.batch(0, FIRST))
    chance = random.Random(tasks)
    appended = await _per_second(runs, appends // tasks, lambda run, number: _append(store, run, number))
    read = await _per_second(runs, reads // tasks, lambda run, _: _read(store, run, chance))
    return appended, read


async def _per_second(runs: list[SampleRun], each: int, call: Callable[[SampleRun, int], Awaitable[None]]) -> float:
    """Returns the calls per second with one task for each run."""

    async def work(run: SampleRun) -> None:
        for number in range(each):
            await call(run, number)

    started = time.perf_counter()
    await asyncio.gather(*map(work, runs))
    return len(runs) * each / (time.perf_counter() - started)


async def _append(store: Store, run: SampleRun, turn: int) -> None:
    first = FIRST + turn * IN_A_TURN
    await store.append(run.batch(first, first + IN_A_TURN))


async def _read(store: Store, run: SampleRun, chance: random.Random) -> None:
    await store.entries(run.run_id, chance.randrange(len(run.entries)) - 1, PAGE)


def _by_engine(rates: Rates, verb: str, engines: list[Engine], tasks: Sequence[int]) -> list[Figure]:
    return [
        Figure.of_samples(
            rates[verb, engine.kind, number],
            name=f"{verb}.{engine.kind}.{number}",
            title=f"{verb}, {engine.title}, {_tasks(number)}",
            unit="/s",
        )
        for engine in engines
        for number in tasks
    ]


def _compared(rates: Rates, verb: str, tasks: Sequence[int]) -> list[Figure]:
    return [
        Figure.of_samples(
            [one / other for one, other in zip(dividends, divisors, strict=True)],
            name=f"{verb}.ratio.{ratio.name}.{number}",
            title=f"{verb}, {ratio.title}, {_tasks(number)}",
        )
        for ratio in RATIOS
        for number in tasks
        if (dividends := rates.get((verb, ratio.dividend, number)))
        and (divisors := rates.get((verb, ratio.divisor, number)))
    ]


def _tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number} tasks"
