"""Commands to a run: what people and programs may ask of it while it is open, as Temporal updates and signals."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from holdfast.attachments import Attachment, MessageAttachments
from holdfast.bounds import MAX_ID_BYTES, MAX_NAME, Json, Label, Seconds, Text, Turns
from holdfast.budgets import CallCount, Dollars, TokenCount
from holdfast.checkpoints import MAX_DATA_BYTES
from holdfast.names import SIGNAL_EVENT
from holdfast.types import Data, Tolerant

MAX_ID_CHARS = 200
MAX_FOCUS_CHARS = 2_000
MAX_MESSAGE_BYTES = 512 * 1024
"""Of one message to a run, in UTF-8."""


def _message(text: str) -> str:
    if not text.strip():
        raise ValueError("it must not be blank")
    return _sized(text)


def _sized(text: str) -> str:
    if (size := len(text.encode())) > MAX_MESSAGE_BYTES:
        raise ValueError(
            f"it has {size:,} bytes, but at most {MAX_MESSAGE_BYTES:,} are accepted; put it in a file of the workspace"
        )
    return text


def _checkpoint_data(data: Any) -> Any:
    if (size := len(json.dumps(data))) > MAX_DATA_BYTES:
        raise ValueError(f"it has {size:,} bytes as JSON, but at most {MAX_DATA_BYTES:,} are accepted")
    return data


MAX_EDIT_BYTES = 256 * 1024
"""Of arguments with which a call is approved, as JSON; a run carries them when it continues as new."""

RUN_SENDER = "run:"
"""How `by` begins if a run sends a command; only people approve, deny and answer."""


def _edit(arguments: dict[str, Json]) -> dict[str, Json]:
    if (size := len(json.dumps(arguments))) > MAX_EDIT_BYTES:
        raise ValueError(f"it has {size:,} bytes as JSON, but at most {MAX_EDIT_BYTES:,} are accepted")
    return arguments


WaitName = Annotated[Text, Field(min_length=1, max_length=MAX_ID_BYTES)]
"""Id of something that a run waits for."""


class Policy(StrEnum):
    """When a message reaches the model."""

    STEER = "steer"
    """With the next model call."""
    ENQUEUE = "enqueue"
    """After the answer."""
    INTERRUPT = "interrupt"
    """At once: the current turn is stopped."""
    REJECT = "reject"
    """Only if the run waits for a message; otherwise the message is refused."""


class Command(Data):
    """What all commands have in common.

    Class attributes:
        NAME: of the update and of the signal.
        DESCRIPTION: one line, which Temporal's UI shows.
        TEXT: the field that a bare string sets; `None` means that the command has no text.
        BULK: fields that the entry of the command does not show, as another entry has them.
    """

    NAME: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    TEXT: ClassVar[str | None] = None
    BULK: ClassVar[frozenset[str]] = frozenset()

    id: Annotated[Text, Field(min_length=1, max_length=MAX_ID_CHARS)] | None = None
    """Idempotency key: a command is carried out once under one id. `None` means the id of the update, or a new one."""
    by: Label | None = None
    """Who sent it."""


class MessageCommand(Command):
    """A command with a text of a person, which may have images and files."""

    TEXT = "text"
    BULK = frozenset({"attachments"})

    attachments: MessageAttachments = []
    """Images and files that belong to the text."""

    @field_validator("attachments")
    @classmethod
    def _are_small(cls, attachments: list[Attachment]) -> list[Attachment]:
        if (size := sum(len(each.data or "") for each in attachments)) > MAX_MESSAGE_BYTES:
            raise ValueError(f"their `data` has {size:,} bytes, but at most {MAX_MESSAGE_BYTES:,} are accepted")
        return attachments

    @field_validator("text", check_fields=False)
    @classmethod
    def _is_given(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is None:
            return text
        return _sized(text) if info.data.get("attachments") else _message(text)


class Send(MessageCommand):
    """Sends a message to the agent."""

    NAME = "send"
    DESCRIPTION = 'Sends a message to the agent: {"text": "…", "policy": "steer"}, or just "the text"'

    text: Text
    """At most 512 KB; blank only with attachments."""
    policy: Policy = Policy.STEER
    to_session: bool = False
    """Refuse the message if the run is not a session."""
    pin: bool = False
    """Keep the message in the model's context when older ones are summarized."""


class Pause(Command):
    """Pauses the run: nothing new starts until it is resumed; calls in flight end and are recorded."""

    NAME = "pause"
    DESCRIPTION = 'Pauses the run; {"now": true} also stops the calls in flight'

    now: bool = False
    """Stop the calls in flight too; the model is called again when the run is resumed."""


class Resume(Command):
    """Resumes a paused run."""

    NAME = "resume"
    DESCRIPTION = "Resumes the paused run; needs no input"


class Interrupt(MessageCommand):
    """Stops the current turn: a session then waits for a message, any other run pauses."""

    NAME = "interrupt"
    DESCRIPTION = 'Stops the current turn; with {"text": "…"}, or just "a text", the agent continues with it'

    text: Text | None = None
    """A message with which the agent continues at once; as in `Send`."""

    @property
    def has_message(self) -> bool:
        """Whether the agent continues with a message."""
        return bool(self.text or self.attachments)


class RaiseBudget(Command):
    """Raises limits of the run; a run that waits for a larger budget tries again."""

    NAME = "raise_budget"
    DESCRIPTION = 'Raises limits of the run: {"cost_usd": 5}; also tokens, tool_calls, turns and seconds'

    cost_usd: Dollars | None = None
    """US dollars that the run may cost in all."""
    tokens: TokenCount | None = None
    tool_calls: CallCount | None = None
    turns: Turns | None = None
    seconds: Seconds | None = None
    """Running time in all."""

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are given, by name."""
        return self.model_dump(include=set(RAISABLE), exclude_none=True)


RAISABLE = ("cost_usd", "tokens", "tool_calls", "turns", "seconds")


class Resolve(Command):
    """Says what became of a call whose worker was lost, so that nobody else knows whether it took effect."""

    NAME = "resolve"
    DESCRIPTION = 'Says whether a lost call took effect: {"call": "2/call_1", "happened": true, "result": "…"}'

    call: Annotated[Text, Field(min_length=1, max_length=MAX_NAME)]
    """Id of the wait, or of the call."""
    happened: bool
    """Whether it took effect; if it did not, it is made again."""
    result: Annotated[Text, Field(max_length=MAX_MESSAGE_BYTES // 4)] = ""
    """What it returned, for the model."""


class CreateCheckpoint(Command):
    """Makes a checkpoint, whose id is that of the command."""

    NAME = "create_checkpoint"
    DESCRIPTION = 'Makes a checkpoint: {"name": "…", "data": …}, or just "the name"'
    TEXT = "name"
    BULK = frozenset({"data"})

    name: Annotated[Text, Field(min_length=1, max_length=MAX_NAME)] = "checkpoint"
    data: Annotated[Json, AfterValidator(_checkpoint_data)] = None
    """JSON to keep with it."""


class Restore(Command):
    """Goes back to a checkpoint: what came after it no longer counts for the model, and the log keeps it."""

    NAME = "restore"
    DESCRIPTION = 'Goes back to a checkpoint: {"checkpoint": "turn-3"}, or just "turn-3"'
    TEXT = "checkpoint"

    checkpoint: Annotated[Text, Field(min_length=1, max_length=MAX_NAME)]
    """Its id, or its name."""


class Compact(Command):
    """Shortens the model's context before its next call: old results are cleared, and old messages summarized."""

    NAME = "compact"
    DESCRIPTION = 'Shortens the model\'s context before its next call; {"focus": "…"} says what the summary should keep'
    TEXT = "focus"

    focus: Annotated[Text, Field(min_length=1, max_length=MAX_FOCUS_CHARS)] | None = None
    """What the summary should keep in particular."""


class Approve(Command):
    """Approves a call of a tool, which is then made."""

    NAME = "approve"
    DESCRIPTION = 'Approves a call that waits: {"call": "2/call_1"}, or just "2/call_1"'
    TEXT = "call"

    call: WaitName
    """Id of the wait, or of the call if no other one with this id waits."""
    edit: Annotated[dict[Text, Json], AfterValidator(_edit)] | None = None
    """The arguments with which the call is made instead, all of them."""
    always: bool | list[Text] = False
    """Also approve later calls of this tool in this run that have the same arguments, or the same values for these."""


class Deny(Command):
    """Denies a call of a tool; the agent is told and continues."""

    NAME = "deny"
    DESCRIPTION = 'Denies a call that waits: {"call": "2/call_1", "reason": "…"}, or just "2/call_1"'
    TEXT = "call"

    call: WaitName
    """As in `Approve`."""
    reason: Text | None = None
    """For the agent."""


class Answer(MessageCommand):
    """Answers a question of the agent."""

    NAME = "answer"
    DESCRIPTION = 'Answers the question that waits: {"question": "2/call_1", "text": "…"}, or just "the answer"'

    text: Text
    """As in `Send`."""
    question: WaitName | None = None
    """Id of the wait, or of the call that asks; `None` means the only question that waits."""


class Event(Command):
    """Tells the run of an event that it waits for; sent by an `EventTopic` workflow."""

    NAME = SIGNAL_EVENT
    DESCRIPTION = "Ends the wait for an event; `emit` reaches every run that waits"

    wait: WaitName
    """Id of the wait."""
    offset: int = 0
    """Of the event, among those of its name."""
    data: Json = None
    error: Text | None = None
    """Why the run cannot wait for the event."""


COMMANDS: tuple[type[Command], ...] = (
    Send,
    Pause,
    Resume,
    Interrupt,
    Approve,
    Deny,
    Answer,
    Event,
    RaiseBudget,
    Resolve,
    CreateCheckpoint,
    Restore,
    Compact,
)
"""Every command; `workflows/run/handlers.py` makes an update and a signal of each."""


class Receipt(Tolerant):
    """The answer to a command."""

    id: str
    """The command's id."""
    seq: int | None
    """The entry that records the command; `None` means that the run has not begun and will record it when it does."""
    state: str
    """The status of the run after the command."""
    note: str | None = None
    """What has to happen before the command takes effect; `None` means nothing."""
