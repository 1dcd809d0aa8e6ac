"""Notices about the running parts of the local stack: they have other settings, or older code, than this command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli.program import command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.cli.render.output import Output
    from holdfast.stack import WorkerComparison


def warn_of_worker(out: Output, compared: WorkerComparison | None, *, runs: bool) -> None:
    """Warns if the worker that runs has other settings; before a run, also if it has older code, or another folder."""
    from holdfast.stack.worker import FOLDER  # noqa: PLC0415 - see notices

    if compared is None:
        return
    differences = [name for name in compared.differences if runs or name != FOLDER]
    older = (compared.changed_files, compared.outdated_model) if runs else ([], None)
    for text in notices(differences, *older):
        out.warn(text)


def notices(differences: Sequence[str], changed_files: Sequence[Path], outdated_model: str | None) -> list[str]:
    """Returns in words in what the running parts differ, and which command changes that."""
    from holdfast.stack.serving import shown_files  # noqa: PLC0415 - `--help` needs no stack

    found = []
    if differences:
        found.append(
            f"the running worker has other settings than this command and keeps them: {', '.join(differences)}. "
            f"`{command('up')}` restarts it with those of this command"
        )
    if changed_files:
        found.append(
            f"the running worker serves older code: {shown_files(changed_files)} changed since it started. "
            f"`{command('up')}` restarts it"
        )
    if outdated_model:
        found.append(
            f"the running scripted model server answers with older code: {outdated_model}. "
            f"`{command('up')}` restarts it"
        )
    return found
