"""The command line with the settings of a lab's worker."""

from __future__ import annotations

from tests.support.cli import CommandLine
from tests.support.lab import Lab


def command_line(lab: Lab) -> CommandLine:
    """Returns the command line of the server, the task queue and the state folder of a lab."""
    settings = lab.settings
    return CommandLine(
        {
            "TEMPORAL_ADDRESS": settings.temporal_address or "",
            "TEMPORAL_TASK_QUEUE": settings.temporal_task_queue,
            "STATE_PERSISTENCE_BACKEND": "memory",
            "HOLDFAST_HOME": str(settings.holdfast_home),
        }
    )
