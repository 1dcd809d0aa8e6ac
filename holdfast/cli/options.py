"""Arguments and options that several commands share."""

from __future__ import annotations

import math
from typing import Annotated

import typer

MAX_ID = 1000  # characters that Temporal takes


def _id(text: str) -> str:
    if not text.strip() or len(text) > MAX_ID:
        raise typer.BadParameter(f"a run id has 1 to {MAX_ID} characters; `list` shows them")
    return text


def seconds(value: float | None) -> float | None:
    """Checks a length of time.

    Raises:
        BadParameter: it is not a positive number.
    """
    if value is not None and not (math.isfinite(value) and value > 0):
        raise typer.BadParameter(f"{value:g} is not a positive number of seconds")
    return value


RunIdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The run's id, as `list` shows it.", callback=_id, show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, the rest on stderr.")]
