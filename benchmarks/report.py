"""Reports of figures as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.figure import Figure

MARKS = {None: "", True: "met", False: "MISSED"}


def show(console: Console, machine: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Prints the machine and the table."""
    for name, value in machine.items():
        console.print(f"{name}: {value}", highlight=False)
    table = Table("figure", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("median", "samples", "target"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for _, group in groupby(figures, lambda figure: figure.name.partition(".")[0]):
        for figure in group:
            table.add_row(figure.title, _shown(figure), _range(figure), _limit(figure), MARKS[figure.is_met])
        table.add_section()
    console.print(table)


def write(file: Path, machine: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Writes everything as one JSON document."""
    document = {
        "machine": machine,
        "figures": {figure.name: asdict(figure) | {"met": figure.is_met} for figure in figures},
    }
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _shown(figure: Figure) -> str:
    return f"{_number(figure.value)} {figure.unit}".rstrip()


def _limit(figure: Figure) -> str:
    return "" if figure.limit is None else f"≤ {_number(figure.limit)}"


def _range(figure: Figure) -> str:
    if len(figure.samples) < 2:
        return ""
    return f"{_number(min(figure.samples))}–{_number(max(figure.samples))}"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
