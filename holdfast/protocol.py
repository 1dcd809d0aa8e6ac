"""What client, workflow and activities hand each other: inputs of workflows and activities, answers of queries."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from holdfast.definition import AgentDefinition
from holdfast.types import (
    AgentSpec,
    Context,
    Data,
    Entry,
    Message,
    MirroredRun,
    RunId,
    Text,
    ToolCall,
    TranscriptRef,
    Usage,
)


class Plan(Data):
    """What a run goes by from its first turn to its last."""

    spec: AgentSpec
    """With the request's model and limits in place of the agent's."""
    timeout: float
    """Seconds that the run may take."""
    expected_model: str
    """The model that will answer, as far as is known at the start: for people to read."""
    workspace: str
    """Absolute path on the worker's machine."""
    private: bool = False
    """Payloads are encrypted: no content may stand where Temporal shows it to everybody."""


class CarriedState(Data):
    """What a run takes over continue-as-new; the transcript stays behind, in the mirror and in history."""

    chain: str
    """Temporal's id of the first execution of this run; tells two lives of one run id apart."""
    previous: str
    """Temporal's id of the execution that this one continues."""
    plan: Plan
    head: TranscriptRef
    next_message: int
    """`seq` of the next transcript message."""
    turns: int
    tool_calls: int
    usage: Usage
    output: Text
    model: str | None
    files: list[str]
    started_at: AwareDatetime


class RunRequest(Data):
    """The one input of an `AgentRun` workflow."""

    agent: str | AgentSpec | AgentDefinition
    """A name that the worker knows, with or without a version (`NAME@3`), or a whole definition."""
    input: Text = Field(min_length=1)
    model: str | None = None
    """Overrides the agent's model."""
    max_turns: int | None = Field(default=None, ge=1)
    timeout: float | None = Field(default=None, gt=0)
    """Seconds; overrides the agent's limit."""
    workspace: str | None = None
    """Absolute path of the folder that the tools work in, on the worker's machine; None: one of the run's own."""
    parent: RunId | None = None
    tags: dict[str, str] = {}
    carried: CarriedState | None = None
    """Set by continue-as-new alone."""


class Preparation(Data):
    """What the worker is asked before a run's first turn."""

    run_id: RunId
    agent: str | AgentSpec | AgentDefinition
    model: str | None = None
    max_turns: int | None = None
    timeout: float | None = None
    workspace: str | None = None
    input_bytes: int | None = None
    """Of a large input; None: it is a small one."""


class ModelCall(Data):
    """One turn's request to the model; the transcript travels by reference."""

    run_id: RunId
    turn: int
    base: TranscriptRef | None
    """Newest entry that the mirror has acknowledged; None: `context` is inline."""
    context: Context | None = None
    """The whole context, when it could not be had by reference."""
    tail: list[Message]
    """Messages after `base`, oldest first."""
    head: TranscriptRef
    """The point of the log that `base` and `tail` lead to."""
    deadline: AwareDatetime
    """When the run's time is up; no attempt is made that would begin later."""
    model: str | None = None
    """Overrides the definition's model."""


class ModelProgress(Data):
    """How far a model call has come; travels with its heartbeats."""

    turn: int
    attempt: int
    offset: int
    """Characters that came before `text`."""
    text: Text
    """The newest text."""


class ToolInvocation(Data):
    """One tool call on its way to the activity that makes it."""

    run_id: RunId
    agent: str
    turn: int
    call: ToolCall
    workspace: str | None = None


class EntryPage(Data):
    """What the `entries` query answers: a part of the log, oldest first."""

    entries: list[Entry]
    more: bool
    """Whether later entries exist already; ask again with `after` set to the last seq."""
    first: int
    """The first entry that this execution holds; earlier ones are with `previous`."""
    previous: str | None
    """Temporal's id of the execution that holds the entries before `first`."""


class RunSnapshot(Data):
    """Where a run stands in Temporal's history, at one moment: what its row in the mirror is to say."""

    run: MirroredRun
    """A run that has recorded nothing has a head of seq -1, without digest."""
    ended: bool
    """Whether Temporal has closed it."""
    mirrored: int
    """Newest entry that the mirror has acknowledged; -1: none."""


class MessagePage(Data):
    """What the `transcript` query answers: a part of the transcript, oldest first."""

    messages: list[Message]
    more: bool
    """Whether later messages exist already; ask again with `after` set to the last seq."""
    first: int
    """`seq` of the first message that this execution holds; earlier ones are with `previous`."""
    previous: str | None
    """Temporal's id of the execution that holds the messages before `first`."""


class Checkpoint(Data):
    """A named point of a run; every turn makes one."""

    name: str
    turn: int
    at: AwareDatetime
    ref: TranscriptRef


class EmbedRequest(Data):
    """The one input of an `EmbedMemories` workflow."""

    namespace: str = Field(min_length=1)
    done: int = 0
    """Memories embedded by the executions before this one."""
    batches: int = Field(default=300, ge=1)
    """Activities of one execution; a history holds some 8,000."""
