"""Address of the local stack's Temporal server."""

from __future__ import annotations

from pathlib import Path

from holdfast.stack.state import StateFile


def local_address(home: Path) -> str | None:
    """Returns host:port of the local stack's Temporal server; `None` if it is not running.

    Args:
        home: the state folder.
    """
    temporal = StateFile(home.absolute()).read().alive("temporal")
    return temporal.address if temporal else None
