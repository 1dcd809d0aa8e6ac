"""Files of a run's workspace, as arguments and results of tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import RootModel


class File(RootModel[Path]):
    """A file of the workspace, by its path: `File("report.pdf")`.

    A tool that returns one, or a list of them, reports it as written. A parameter of this type is a path that the model
    passes.
    """

    @property
    def path(self) -> Path:
        """The path as it was given; a relative one is below the workspace."""
        return self.root

    def __str__(self) -> str:
        return str(self.root)


class NotInWorkspace(ValueError):
    """A tool returned a file that is not one of its run's workspace."""


def returned_files(returned: Any, workspace: Path | None) -> list[str] | None:
    """Returns the files that a tool has returned, relative to the workspace; `None` if it returned something else.

    Args:
        returned: a `File`, or a list of them. A `Path` counts if it is a file of the workspace.
        workspace: of the run; `None` means that it is not known, so that paths stay as they are.

    Raises:
        NotInWorkspace: a `File` is not a file of the workspace.
    """
    values = list(returned) if isinstance(returned, list | tuple) else [returned]
    if not values or not all(isinstance(value, File | Path) for value in values):
        return None
    places = []
    for value in values:
        place = _place(value.root if isinstance(value, File) else value, workspace)
        if place is None:
            if isinstance(value, File):
                raise NotInWorkspace(f"{str(value)!r} is not a file of the workspace")
            return None
        places.append(place)
    return places


def _place(path: Path, workspace: Path | None) -> str | None:
    """Returns a path relative to the workspace, with all links resolved; `None` if there is no such file in it."""
    if workspace is None:
        return str(path)
    root = workspace.resolve()
    real = (root / path).resolve()
    return real.relative_to(root).as_posix() if real.is_file() and real.is_relative_to(root) else None
