"""The formats that show runs, one after the other; `jsonl`, which brings them back, is another matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.ops.transfer.markdown import markdown_page
from holdfast.ops.transfer.openai import openai_line
from holdfast.ops.transfer.record import RunRecord
from holdfast.ops.transfer.sharegpt import sharegpt_line
from holdfast.types import RunStatus


@dataclass(frozen=True)
class Format:
    """A way to write a run.

    Attributes:
        write: gives its text; None: there is nothing to show of it.
        statuses: runs that are written where nobody says which; empty: all.
    """

    write: Callable[[RunRecord], str | None]
    statuses: frozenset[RunStatus] = frozenset()


GOOD = frozenset([RunStatus.COMPLETED])
"""What one wants a model to learn from."""

FORMATS = {
    "openai": Format(openai_line, GOOD),
    "sharegpt": Format(sharegpt_line, GOOD),
    "markdown": Format(markdown_page),
}
