"""The sandbox for commands of models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from holdfast._util.logger import get_logger
from holdfast.sandbox import Limits, Sandbox
from holdfast.sandbox.limits import MB
from holdfast.settings import Settings

log = get_logger(__name__)


def configured_sandbox(settings: Settings) -> Sandbox:
    """Returns the sandbox that the settings describe; whether it works is checked before its first command."""
    if settings.holdfast_sandbox == "off":
        log.warning("HOLDFAST_SANDBOX=off: commands of agents run with everything that this process may do")
    limits = replace(Limits(), memory=settings.sandbox_memory_mb * MB)
    return Sandbox(settings.holdfast_sandbox, limits, [str(Path(path).absolute()) for path in settings.sandbox_paths])
