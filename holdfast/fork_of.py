"""The origin of a fork, in its request and its activities."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holdfast.attachments import MessageAttachments
from holdfast.bounds import Indexed, Text
from holdfast.types import Entry, RunId, Tolerant
from holdfast.workspace_states import WorkspacePoint


class ForkOf(Tolerant):
    """The point of another run that a run begins with, and what it changes there.

    A client names the point by `seq`, with the digest that it has read; a request that was written by hand by `at`.
    """

    run: Indexed
    at: Text | None = None
    """`3`, `turn-3`, `message-5` or the name of a checkpoint; `None` means `seq`, or everything that is recorded."""
    seq: int | None = None
    """The last entry that the fork copies."""
    digest: str | None = None
    """Digest of that entry; the fork is refused if the log has another one. `None` accepts any."""
    chain: str | None = None
    """Chain of the run, as in `CarriedState.chain`; the fork is refused if the id is another run's now."""
    message: Text | None = None
    """The message that follows the copied entries."""
    attachments: MessageAttachments = []
    """Images and files of this message, which may have no text then."""
    tool_results: dict[Text, Text] = {}
    """New contents of tool results, by the id of the call, or by turn and id: `3/call_1`."""

    @property
    def has_message(self) -> bool:
        """Whether a message follows the copied entries."""
        return bool(self.message or self.attachments)


class ForkPageRequest(Tolerant):
    """The input of the activity that reads the log which a fork copies."""

    fork: ForkOf
    after: int = -1
    """Seq of the newest entry that the fork has."""
    session: bool = False
    """Whether the fork waits for the next message, instead of ending after an answer."""


class ForkPage(Tolerant):
    """A part of the log that a fork copies, oldest first."""

    entries: list[Entry]
    seq: int
    """The last entry to copy."""
    digest: str
    """Digest of that entry."""


class WorkspaceCopy(Tolerant):
    """The input of the activity that copies the workspace of a run for its fork."""

    run: RunId
    source: str | None = None
    """The folder that the run was started with; `None` means the one that it got."""
    target: str
    own_workspace: Annotated[str | None, Field(exclude_if=lambda name: name is None)] = None
    """Name of the fork's workspace, as in `Plan`."""
    kept: Annotated[WorkspacePoint | None, Field(exclude_if=lambda point: point is None)] = None
    """The recorded state of the run's workspace at the point; `None` means that nothing was recorded."""
    wrote: bool = False
    """Whether tools of the run have written files, so that its folder must exist."""
