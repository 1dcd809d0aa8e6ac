"""Parts of the state that a run carries over continue-as-new: what commands determine."""

from __future__ import annotations

from holdfast.attachments import AttachmentList
from holdfast.bounds import Text
from holdfast.messages import CarriedSize
from holdfast.progress import Wait
from holdfast.types import Tolerant


class QueuedMessage(Tolerant):
    """A message that no model call has seen yet."""

    id: str
    """Of the command that sent it."""
    text: Text
    attachments: AttachmentList = []
    after_answer: bool = False
    """Whether it waits for the answer; otherwise the next model call sees it."""
    pinned: bool = False
    """As in `Message`."""
    by: str | None = None


class CommandAnswer(Tolerant):
    """What a command was answered with, kept so that a repeated one is not carried out again."""

    digest: str
    """Of its name and fields."""
    seq: int | None = None
    state: str
    note: str | None = None


class RestoreOrder(Tolerant):
    """A command to go back to a checkpoint."""

    checkpoint: str
    command: str
    """Id of the command."""
    by: str | None = None


class CompactOrder(Tolerant):
    """A command to compact the context."""

    id: str
    """Of the command."""
    focus: str | None = None
    """As in `Compact`."""
    by: str | None = None


class CarriedContext(Tolerant):
    """The part of the carried state that determines the context of the next model call, beside the log."""

    size: CarriedSize = CarriedSize()
    restoring: RestoreOrder | None = None
    """A restore whose checkpoint has not been found yet."""
    compacting: CompactOrder | None = None
    """A person's order to compact the context before the next model call."""


class CarriedControl(Tolerant):
    """The part of the carried state that commands and waits determine."""

    paused: bool = False
    answered: bool = False
    """Whether the session has answered its last message."""
    interrupted: bool = False
    """Whether the current turn was stopped by a command, and has not ended yet."""
    exchange: int = 0
    """Number of turns before the current exchange of the session."""
    queue: list[QueuedMessage] = []
    waits: list[Wait] = []
    answers: dict[str, CommandAnswer] = {}
    """By the id of the command, oldest first."""
