"""The inbox: what waits for a person, over all runs."""

from __future__ import annotations

from holdfast.progress import Wait
from holdfast.types import RunId, Tolerant


class OpenWait(Tolerant):
    """Something that a run waits for now."""

    run_id: RunId
    agent: str
    wait: Wait
