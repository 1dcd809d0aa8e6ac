"""Options that all workers of the package share."""

from __future__ import annotations

import uuid
from pathlib import Path

from holdfast._version import __version__
from holdfast.settings import Settings

BUILD_ID = f"holdfast-{__version__}"
"""Names the code of a worker that is not a version of a deployment. The SDK's default is a digest of all loaded
modules, which takes a second at each start."""


def own_queue(task_queue: str) -> str:
    """Returns the name of a task queue that no other process has ever served.

    Args:
        task_queue: the one that the process shares with others.
    """
    return f"{task_queue}/process/{uuid.uuid4().hex}"


def workspace_roots(settings: Settings) -> list[Path]:
    """Returns the folders below which workspaces may be: by default the current one, if it is not everything."""
    if settings.workspace_roots:
        return [Path(root) for root in settings.workspace_roots]
    here = Path.cwd()
    return [] if here == Path(here.anchor) else [here]
