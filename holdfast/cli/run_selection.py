"""The arguments of commands that act on one run, or on all runs that match a list filter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import OptionalRunIdArgument, WhereOption
from holdfast.errors import UsageError


@dataclass(frozen=True)
class RunSelection:
    """The runs that a command is to treat, and how: a group of options.

    Raises:
        UsageError: the arguments contradict each other.
    """

    run_id: OptionalRunIdArgument = None
    """The only run; `None` means many."""
    where: WhereOption = None
    """List filter of many runs; `None` means those of a job that is resumed."""
    yes: Annotated[bool, typer.Option("--yes", help="With --where: do not ask.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --where: only show which runs match.")] = False
    ids_file: Annotated[
        Path | None,
        typer.Option(
            "--ids-file",
            metavar="FILE",
            help="Keeps the ids, and what was done. Default: a new one.",
            show_default=False,
        ),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue what was interrupted, and retry what failed.")] = (
        False
    )

    def __post_init__(self) -> None:
        """Refuses arguments that contradict each other."""
        if [self.run_id is not None, self.where is not None, self.resume].count(True) != 1:
            raise UsageError(
                "name one run, or many with --where QUERY, or continue an interrupted command with --resume"
            )
        if self.run_id is not None and (self.ids_file or self.yes or self.dry_run):
            raise UsageError("--yes, --dry-run and --ids-file need --where")
        if self.resume and self.dry_run:
            raise UsageError("--resume and --dry-run contradict each other")

    def check_one(self, option: str | None, why: str) -> None:
        """Refuses an option that is only for one run.

        Args:
            option: its value; `None` means that it is not given.
            why: why many runs cannot have it.

        Raises:
            UsageError: it is given, and the selection is not one run.
        """
        if self.run_id is None and option is not None:
            raise UsageError(why)
