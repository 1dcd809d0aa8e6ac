"""The approval that a call of a tool needs from a person: `never`, on a `condition` of the tool, or `always`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

ALL = "all"
"""Stands for every tool of an agent, except those that the run performs itself, such as `sleep`."""

_WORDS = {False: "never", True: "always"}


def _word(value: Any) -> Any:
    return _WORDS[value] if isinstance(value, bool) else value


Approval = Annotated[Literal["never", "condition", "always"], BeforeValidator(_word)]
"""`condition` means that a function of the tool decides, on the worker. Older specifications say true or false."""

Required = Literal["always"]
"""What agents may say about the approval of their tools, as they can only be stricter than a tool."""

_STRICTNESS: tuple[Literal["never", "condition", "always"], ...] = ("never", "condition", "always")


def strictest(*approvals: Approval) -> Approval:
    """Returns the one of these that asks a person most often."""
    return max(approvals, key=_STRICTNESS.index)
