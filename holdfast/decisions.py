"""Decisions of people about what a run waits for, and what follows from them for later calls."""

from __future__ import annotations

import json
from typing import Any

from holdfast.attachments import AttachmentList
from holdfast.bounds import Json, Text
from holdfast.data import Tolerant

MAX_GRANTS = 100
"""Approvals of a run that also cover later calls; a run carries them when it continues as new."""
KEPT_DECISIONS = 100
"""Decisions of a run that are remembered, so that a second person hears who has decided."""


class Decision(Tolerant):
    """How a wait of a run ended."""

    outcome: str
    """`approved`, `denied`, `answered`, `expired` or `withdrawn`; `event` or `full` of a wait for an event."""
    by: str | None = None
    """Who decided."""
    text: Text | None = None
    """The reason of a denial, or the answer to a question."""
    attachments: AttachmentList = []
    """Images and files of the answer."""
    arguments: Text | None = None
    """The arguments, as JSON, with which a call was approved instead of the model's."""
    data: Json = None
    """What the emitted event says."""


class Grant(Tolerant):
    """An approval that also covers later calls of the tool in this run."""

    tool: str
    arguments: dict[Text, Json]
    """What a later call must have."""
    exact: bool = True
    """Whether it may have no other arguments."""
    by: str | None = None

    def covers(self, tool: str, arguments: dict[str, Any] | None) -> bool:
        """Whether a call needs no further approval.

        Args:
            tool: name of the tool.
            arguments: its arguments; `None` means that they are malformed.
        """
        if tool != self.tool or arguments is None:
            return False
        some = {name: value for name, value in arguments.items() if name in self.arguments}
        return _canonical(arguments if self.exact else some) == _canonical(self.arguments)


class CarriedDecisions(Tolerant):
    """The part of the carried state that people's decisions and events determine."""

    decisions: dict[str, Decision] = {}
    """By the id of the wait, oldest first."""
    grants: list[Grant] = []
    events: dict[str, int] = {}
    """By name, the offset of the newest event that the run has received."""


def parsed_arguments(text: str) -> dict[str, Any] | None:
    """Returns the arguments of a call; `None` if they are not a JSON object."""
    try:
        value = json.loads(text.strip() or "{}")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _canonical(value: Any) -> str:
    """Returns JSON text that is the same for the same value; 1 and true differ, as do 1 and 1.0."""
    return json.dumps(value, sort_keys=True)
