"""Formats that write each run by itself; `jsonl`, which can be imported, is a bundle instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.ops.transfer.markdown import markdown_page
from holdfast.ops.transfer.record import RunRecord
from holdfast.ops.transfer.sharegpt import sharegpt_line
from holdfast.training_examples import openai_line
from holdfast.types import RunStatus


@dataclass(frozen=True)
class Format:
    """A way to write a run.

    Attributes:
        write: returns the text of a run; `None` if it has nothing to write.
        statuses: statuses of the runs that are written by default; empty means all.
    """

    write: Callable[[RunRecord], str | None]
    statuses: frozenset[RunStatus] = frozenset()


GOOD = frozenset([RunStatus.COMPLETED])
"""Statuses of runs that are suitable as training data."""

FORMATS = {
    "openai": Format(openai_line, GOOD),
    "sharegpt": Format(sharegpt_line, GOOD),
    "markdown": Format(markdown_page),
}
