"""Where a run's files are."""

from __future__ import annotations

from pathlib import Path


def absolute(files: list[str], workspace: str | None) -> list[str]:
    """Files of a workspace by their absolute paths; as they are when the workspace is not known."""
    if workspace is None:
        return files
    return [str(Path(workspace) / file) for file in files]
