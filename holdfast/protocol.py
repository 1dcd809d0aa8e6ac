"""What client, workflow and activities hand each other: inputs of workflows and activities, answers of queries."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from holdfast.definition import AgentDefinition
from holdfast.types import (
    AgentSpec,
    Data,
    Entry,
    EntryBatch,
    Message,
    MirroredRun,
    RunId,
    RunSummary,
    Text,
    Tolerant,
    ToolCall,
    TranscriptRef,
    Usage,
)


class Plan(Tolerant):
    """What a run was resolved to before its first turn; it holds until the run ends."""

    spec: AgentSpec
    """With the request's model and limits in place of the agent's."""
    timeout: float
    """Seconds that the run may take."""
    expected_model: str
    """The model that will answer, as far as is known at the start: for people to read."""
    workspace: str
    """Absolute path on the worker's machine."""
    private: bool = False
    """Payloads are encrypted: no content may appear where Temporal shows it to everyone."""


class CarriedState(Tolerant):
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


class RunOptions(Tolerant):
    """Which agent a run executes, and within which limits."""

    agent: Annotated[str | AgentDefinition | AgentSpec, Field(union_mode="left_to_right")]
    """A name that the worker knows, with or without a version (`NAME@3`), or a whole definition."""
    model: str | None = None
    """Overrides the agent's model."""
    max_turns: int | None = Field(default=None, ge=1)
    """Overrides the agent's limit."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds; overrides the agent's limit."""
    workspace: str | None = None
    """Absolute path of the folder that the tools work in, on the worker's machine; None: one of the run's own."""


class RunRequest(RunOptions):
    """The one input of an `AgentRun` workflow."""

    input: Text = Field(min_length=1)
    parent: RunId | None = None
    tags: dict[str, str] = {}
    client_version: str | None = None
    """Version of the Holdfast client that wrote the request; None: written by hand, so that an unknown field is a
    typing slip."""
    carried: CarriedState | None = None
    """Set by continue-as-new alone."""

    def options(self) -> RunOptions:
        """Returns the options that were set, without the input."""
        given = {name: getattr(self, name) for name in RunOptions.model_fields if name in self.model_fields_set}
        return RunOptions.model_construct(set(given), **given)


class ModelCall(Tolerant):
    """One turn's request to the model; the transcript travels by reference."""

    run_id: RunId
    turn: int
    base: TranscriptRef | None
    """The point of the log from which the worker has or can read the context; None: `entries` begin with entry 0."""
    entries: list[Entry]
    """The log after `base`, oldest first; empty where the mirror has all of it."""
    deadline: AwareDatetime
    """When the run's time is up; no attempt is made that would begin later."""
    chain: str | None = None
    """See CarriedState.chain. Set together with `summary`."""
    summary: RunSummary | None = None
    """The run as of the last entry, where the call appends `entries` to the mirror; None: it does not."""

    @property
    def head(self) -> TranscriptRef:
        """The newest entry that the call goes by."""
        if self.entries:
            return self.entries[-1].ref
        assert self.base is not None, "a call without a base carries entries"
        return self.base

    @property
    def batch(self) -> EntryBatch | None:
        """What the call appends to the mirror; None: nothing."""
        if self.summary is None or self.chain is None:
            return None
        return EntryBatch(
            run_id=self.run_id,
            chain=self.chain,
            previous_digest=self.base.digest if self.base else "",
            entries=self.entries,
            summary=self.summary,
        )


class ModelProgress(Tolerant):
    """How far a model call has come; travels with its heartbeats."""

    turn: int
    attempt: int
    offset: int
    """Characters that came before `text`."""
    text: Text
    """The newest text."""


class ToolInvocation(Tolerant):
    """One tool call on its way to the activity that makes it."""

    run_id: RunId
    agent: str
    turn: int
    call: ToolCall
    workspace: str | None = None


class EntryPage(Tolerant):
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


class MessagePage(Tolerant):
    """What the `transcript` query answers: a part of the transcript, oldest first."""

    messages: list[Message]
    more: bool
    """Whether later messages exist already; ask again with `after` set to the last seq."""
    first: int
    """`seq` of the first message that this execution holds; earlier ones are with `previous`."""
    previous: str | None
    """Temporal's id of the execution that holds the messages before `first`."""


class Checkpoint(Tolerant):
    """A named point of a run; every turn makes one."""

    name: str
    turn: int
    at: AwareDatetime
    ref: TranscriptRef


class EmbedRequest(Tolerant):
    """The one input of an `EmbedMemories` workflow."""

    namespace: str = Field(min_length=1)
    done: int = 0
    """Memories embedded by the executions before this one."""
    batches: int = Field(default=300, ge=1)
    """Activities of one execution; a history holds some 8,000."""
