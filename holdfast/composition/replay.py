"""Construction of what replays histories, with the workflow code and the settings of a worker."""

from __future__ import annotations

from temporalio.converter import DataConverter

from holdfast.temporal.connection import quiet_runtime
from holdfast.temporal.replay.replayer import HistoryReplayer
from holdfast.workflows.registered import WORKFLOWS

FAILURES: tuple[type[BaseException], ...] = (ValueError, TypeError)
"""Errors of workflow code that end the run; others fail the workflow task, which Temporal repeats."""


def history_replayer(converter: DataConverter) -> HistoryReplayer:
    """Returns what replays histories on the workflow code of this process.

    Args:
        converter: decodes the payloads of the histories.
    """
    return HistoryReplayer(WORKFLOWS, converter, FAILURES, quiet_runtime())
