"""Comparison of the worker that runs with the settings of this process and with the files on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from holdfast.settings import Settings
from holdfast.stack import model_server
from holdfast.stack import worker as workers
from holdfast.stack.serving import Serving
from holdfast.stack.state import Part, StackState, StateFile


@dataclass(frozen=True)
class WorkerComparison:
    """The worker of the local stack, compared with this process."""

    worker: Part
    differences: list[str]
    """Names of the settings in which it differs from this process."""
    changed_files: list[Path]
    """Files of which it serves an older version."""
    agents: frozenset[str] | None
    """Names of the agents that it serves from code; `None` if they are not known."""
    outdated_model: str | None = None
    """As in `StackStatus`."""


def compare(settings: Settings) -> WorkerComparison | None:
    """Compares the worker of the local stack with these settings; `None` if none is running."""
    home = settings.holdfast_home.absolute()
    state = StateFile(home).read()
    worker = state.alive("worker")
    if worker is None:
        return None
    serving = Serving.read(home, worker)
    return WorkerComparison(
        worker,
        _differences(settings, state, worker),
        serving.changed_files() if serving else [],
        frozenset(serving.agents) if serving else None,
        outdated_model(settings, state),
    )


def outdated_model(settings: Settings, state: StackState) -> str | None:
    """Returns why the scripted model server does not answer as the code on disk would; `None` if it does, or is unused.

    Args:
        settings: those of this process.
        state: what runs.
    """
    running = None if settings.has_model else state.alive("model")
    return model_server.outdated(settings.holdfast_home.absolute(), running) if running else None


def _differences(settings: Settings, state: StackState, worker: Part) -> list[str]:
    if not worker.fingerprint:
        return []
    temporal, model = state.parts.get("temporal"), state.parts.get("model")
    address = settings.temporal_address or (temporal.address if temporal else None) or ""
    model_url = model_server.base_url(model) if model and not settings.has_model else None
    wanted = workers.fingerprint(settings, workers.command(), address, model_url)
    changed = workers.changes(worker.fingerprint, wanted)
    follows = workers.MODEL_SERVER  # from the settings of a model, which say more
    return [name for name in changed if name != follows] or changed
