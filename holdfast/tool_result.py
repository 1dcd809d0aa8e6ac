"""The result of a tool call."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holdfast.attachments import AttachmentList
from holdfast.bounds import Count, Elapsed, Text
from holdfast.call_outcome import CallOutcome
from holdfast.call_progress import CallProgress
from holdfast.data import Tolerant
from holdfast.elicitation import Elicitation
from holdfast.messages import MadeCheckpoint
from holdfast.usage import Usage
from holdfast.workspace_states import WorkspaceSnapshot

RunId = str
"""A run's id, which is its workflow id."""


class ToolResult(Tolerant):
    """The result of a tool call."""

    content: Text = ""
    """The text for the model."""
    error: Text | None = None
    """What went wrong, in words that the model can act on; `None` means that the call succeeded."""
    files: list[str] = []
    """Files that the tool wrote, relative to the workspace."""
    attachments: AttachmentList = []
    """Images and files that the model is shown with the result."""
    seconds: Elapsed = 0.0
    attempts: Count = 1
    """Number of attempts."""
    outcome: CallOutcome | str | None = None
    """How the result is known; `None` means that the call was made and returned it."""
    checkpoints: list[MadeCheckpoint] = []
    """Those that the tool made, oldest first."""
    pinned: bool = False
    """Whether compaction leaves the result in the context."""
    run: RunId | None = None
    """The child run whose answer it is."""
    usage: Usage | None = None
    """What the child run and its own children have used."""
    progress: CallProgress | None = None
    """What the call reported last of how far it was; `None` means that it reported nothing."""
    handoff: Text | None = None
    """The agent to which the call has handed the run."""
    left_out: Count = 0
    """Number of bytes at the end of the content that were left out."""
    snapshots: Annotated[list[WorkspaceSnapshot], Field(exclude_if=lambda snapshots: not snapshots)] = []
    """States of the workspace after the call, if the run does not know them; several if a child run has ended."""
    elicitation: Annotated[Elicitation | None, Field(exclude_if=lambda asked: asked is None)] = None
    """What the tool's MCP server asks a person before it has a result; never in a transcript."""
