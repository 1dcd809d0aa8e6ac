"""Imports of the modules of HOLDFAST_AGENTS, during which no agent can be run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import UsageError

_imports: list[str] = []


@contextmanager
def importing(module: str) -> Iterator[None]:
    """Refuses to run agents during the block, in which a module is imported."""
    _imports.append(module)
    try:
        yield
    finally:
        _imports.remove(module)


def refuse_during_import() -> None:
    """Checks that no module is being imported.

    Raises:
        UsageError: one is. What it started would wait for a worker, and each worker imports the module first.
    """
    if _imports:
        raise UsageError(
            f"{_imports[-1]!r} runs an agent, or connects, while it is imported, which each worker does before it can "
            'serve a run: put what runs agents below `if __name__ == "__main__":`'
        )
