"""Messages between client, workflows and activities: inputs of workflows and activities, and results of queries."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from holdfast.answers import CarriedChecks
from holdfast.attachments import MessageAttachments, with_lines
from holdfast.bounds import MAX_PATH, Count, Indexed, Json, Models, Name, Seconds, Text, Turns
from holdfast.budgets import Budget, CarriedBudget
from holdfast.call_progress import ToolProgress
from holdfast.carried import CarriedContext, CarriedControl
from holdfast.children import MAX_DEPTH, CarriedTree
from holdfast.decisions import CarriedDecisions
from holdfast.definition import AgentDefinition, split_version
from holdfast.fork_of import ForkOf as ForkOf  # noqa: PLC0414 - exported
from holdfast.invocations import Resolution
from holdfast.messages import CompactionOrder
from holdfast.model_reply import TriedModel
from holdfast.pricing import ModelPrice
from holdfast.run_context import RunContext
from holdfast.types import (
    AgentSpec,
    Data,
    Entry,
    EntryBatch,
    ForkedFrom,
    Message,
    MirroredRun,
    RunId,
    RunSummary,
    Tolerant,
    ToolCall,
    TranscriptRef,
    Usage,
)
from holdfast.workspace_states import WorkspacePoint


class Plan(Tolerant):
    """What a run executes, resolved before its first turn and unchanged until it ends."""

    spec: AgentSpec
    """The agent's definition, with the model and limits of the request."""
    timeout: float
    """Maximum seconds of the run."""
    expected_model: str
    """The model that will probably answer; only shown to people."""
    team_models: Annotated[dict[Text, str], Field(exclude_if=lambda models: not models)] = {}
    """The same of the agents of its team that name no model, by their names there."""
    model_queue: str | None = None
    """Task queue of the calls of its first model, whose rate the server limits; `None` means that of the run."""
    workspace: str
    """Absolute path on the worker's machine."""
    own_workspace: Annotated[str | None, Field(exclude_if=lambda name: name is None)] = None
    """Name of the workspace if its run got it by default and it is kept, so that it can be on any machine."""
    provider: str | None = None
    """Where the models of the run's first worker are: `scripted`, or a host; `None` means that it is not known."""
    queued: bool = False
    """Whether the worker had no free slot for the run."""
    max_tool_calls: int = Field(default=128, ge=1)
    """Maximum number of tool calls that one turn makes."""
    ledger: bool = False
    """Whether the run's workers have a ledger, in which calls are claimed that must not take effect twice."""
    budget: Budget | None = None
    """The budget of the run and its children, as it was last raised."""
    price: ModelPrice | None = None
    """The price of the model, by which calls are reserved; `None` if no cost is limited, or the price is not known."""
    day_budgets: list[str] = []
    """The scopes of daily budgets that the run belongs to."""
    approval_timeout: float | None = None
    """Seconds that an approval or a question waits for a person; `None` means without limit."""
    private: bool = False
    """Whether payloads are encrypted, so that content must not appear in Temporal's plain metadata."""
    asked_at: Annotated[AwareDatetime | None, Field(exclude_if=lambda moment: moment is None)] = None
    """As in `PlanRequest`."""

    def expected_of(self, active: str | None) -> str:
        """Returns the model that will probably answer an agent of the run, named as in `AgentSpec.acting`."""
        spec = self.spec.acting(active)
        if active is None or spec is self.spec:
            return self.expected_model
        return (spec.models or [self.team_models.get(active, self.expected_model)])[0]


class RestoreQuery(Tolerant):
    """The input of the activity that finds the point of a checkpoint."""

    run_id: RunId
    checkpoint: Text
    base: TranscriptRef | None
    """A point of the log up to which the store may have it; `None` means that `entries` start at 0."""
    entries: list[Entry]
    """The log after `base`, oldest first."""


class CarriedState(Tolerant):
    """The state that a run carries over continue-as-new; the transcript stays in the mirror and in history."""

    chain: str
    """Temporal's id of the first execution of this run, also after a reset; distinguishes runs that use the same id one
    after the other."""
    previous: str
    """Temporal's id of the execution that this one continues."""
    plan: Plan
    head: TranscriptRef
    acked: TranscriptRef | None = None
    """The newest entry that the mirror has acknowledged; `None` means `head`."""
    unsent: list[Entry] = []
    """The entries after `acked`."""
    next_message: int
    """`seq` of the next transcript message."""
    turns: int
    tool_calls: int
    usage: Usage
    output: Text
    model: str | None
    files: list[str]
    started_at: AwareDatetime
    pending_calls: list[ToolCall] = []
    """The calls of the current turn without a result, if the run continued within the turn."""
    calls_made: int = 0
    """The number of calls of the current turn with a result."""
    asked: int = 0
    """`seq` of the message that asked for these calls."""
    resolutions: dict[str, Resolution] = {}
    """What people have said of lost calls and has not been acted on, by the id of the wait."""
    pending_places: list[int] = []
    """The places of `pending_calls` among the calls of the turn."""
    decisions: CarriedDecisions = CarriedDecisions()
    spent: float = 0.0
    """Seconds of running time so far."""
    control: CarriedControl = CarriedControl()
    forked: ForkedFrom | None = None
    """`None` if the run is not a fork."""
    budget: CarriedBudget | None = None
    """`None` means that the run has no budget."""
    reported: ToolProgress | None = None
    """What the last call that reported its progress reported at its end."""
    stage: ToolProgress | None = None
    """The report with which a tool has entered a stage last."""
    context: CarriedContext = CarriedContext()
    active: Annotated[str | None, Field(exclude_if=lambda active: active is None)] = None
    """The agent to which the run was handed, as in `AgentSpec.acting`."""
    next_model: Annotated[str | None, Field(exclude_if=lambda model: model is None)] = None
    """As in `RunProgress`."""
    handoffs: Annotated[int, Field(exclude_if=lambda number: not number)] = 0
    """Number of handoffs since the last answer."""
    checks: Annotated[CarriedChecks, Field(exclude_if=lambda checks: not checks.model_fields_set)] = CarriedChecks()
    workspace: Annotated[WorkspacePoint, Field(exclude_if=lambda point: not point.heads)] = WorkspacePoint()
    tree: Annotated[CarriedTree, Field(exclude_if=lambda tree: tree == CarriedTree())] = CarriedTree()


class RunOptions(Tolerant):
    """The agent of a run, and its limits."""

    agent: Annotated[Name | AgentDefinition | AgentSpec, Field(union_mode="left_to_right")]
    """The name of an agent, with or without a version (`NAME@3`), or a whole definition."""
    model: Models | None = None
    """Overrides the agent's model, or its list of models."""
    model_settings: Annotated[dict[Text, Json] | None, Field(exclude_if=lambda settings: settings is None)] = None
    """Further fields of the requests to the model, over those of the agent; one that is null is left out."""
    max_turns: Turns | None = None
    """Overrides the agent's limit."""
    timeout: Seconds | None = None
    """Seconds; overrides the agent's limit."""
    budget: Budget | None = None
    """What the run and its children may use; overrides the agent's limits."""
    within: Budget | None = None
    """The part of the parent's budget that is set aside for the run; its own limits are no higher."""
    tags: dict[Text, Text] = {}
    workspace: Annotated[Text, Field(max_length=MAX_PATH)] | None = None
    """Absolute path of the tools' working folder on the worker's machine; `None` means a new folder for this run."""
    own_workspace: Annotated[Text | None, Field(exclude_if=lambda name: name is None)] = None
    """As in `Plan`, of the run above it whose workspace it has."""
    approve: list[Text] | None = None
    """Names of tools whose calls a person must approve, although neither tool nor agent requires it; `all` stands for
    every tool that has effects outside of the run."""
    approval_timeout: Seconds | None = None
    """Seconds that an approval or a question waits for a person; `None` means the worker's APPROVAL_TIMEOUT."""
    alone: Annotated[bool, Field(exclude_if=lambda alone: not alone)] = False
    """Whether this is no run, but a call of one tool, which takes none of the slots of runs."""


class PlanRequest(RunOptions):
    """What a run asks a worker to plan."""

    asked_at: Annotated[AwareDatetime | None, Field(exclude_if=lambda moment: moment is None)] = None
    """Workflow time at which a local activity is asked; its result has it, so that it is the same in each replay."""


class RunRequest(RunOptions):
    """The input of an `AgentRun` workflow."""

    session: bool = False
    """Whether the run waits for the next message after each answer, instead of ending."""
    attachments: MessageAttachments = []
    """Images and files of the first message."""
    structured: Annotated[bool, Field(exclude_if=lambda structured: not structured)] = False
    """Whether `input` is JSON text that was made of data; a request may have the data itself as its `input`."""
    input: Text
    """The first message; empty only with attachments, or for a session, which then begins with the first message that
    it is sent."""
    history: Annotated[list[Message], Field(exclude_if=lambda messages: not messages)] = []
    """Messages of an earlier conversation, which come before the input; their numbers begin with 1."""
    idle_limit: Seconds | None = None
    """Seconds without a message after which a session ends; `None` means never."""
    expires: AwareDatetime | None = None
    """When the run ends in any case; unlike `timeout`, this counts waiting and paused time too."""
    parent: Indexed | None = None
    root: Indexed | None = None
    """The run at the top of the tree that this run is part of; `None` means the run itself."""
    fork: ForkOf | None = None
    """The point of another run to begin with; `input` is then only shown in lists."""
    rerun_of: RunId | None = None
    """The run whose input this is."""
    depth: int = Field(default=0, ge=0, le=MAX_DEPTH)
    """Number of runs above it in the tree."""
    context: Annotated[RunContext | None, Field(exclude_if=lambda context: context is None)] = None
    """What its tools are told, and those of the runs that it starts; the model does not see it."""
    kept: Annotated[WorkspacePoint | None, Field(exclude_if=lambda point: point is None)] = None
    """The state of that workspace at the start; `None` means that nothing was recorded yet."""
    client_version: str | None = None
    """Version of the Holdfast client that wrote the request; `None` means that it was written by hand, so that unknown
    fields are typing errors."""
    carried: CarriedState | None = None
    """Only set by continue-as-new."""

    @field_validator("input")
    @classmethod
    def _is_given(cls, text: str, info: ValidationInfo) -> str:
        if not text and not info.data.get("session") and not info.data.get("attachments"):
            raise PydanticKnownError("string_too_short", {"min_length": 1})
        return text

    @model_validator(mode="before")
    @classmethod
    def _of_data(cls, given: Any) -> Any:
        """Takes data as the input that a person has written by hand."""
        if not isinstance(given, dict) or not isinstance(data := given.get("input"), dict | list) or not data:
            return given
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return {**given, "input": text, "structured": True}

    @property
    def shown_input(self) -> str:
        """The input for people: the text, and a line for each attachment."""
        return with_lines(self.input, self.attachments)

    @property
    def agent_name(self) -> str:
        """Name of the agent, without a version."""
        return split_version(self.agent)[0] if isinstance(self.agent, str) else self.agent.name

    def options(self) -> PlanRequest:
        """Returns the options that were set, without the input."""
        given = {name: getattr(self, name) for name in RunOptions.model_fields if name in self.model_fields_set}
        return PlanRequest.model_construct(set(given), **given)


class ModelCall(Tolerant):
    """One turn's request to the model; the transcript is sent by reference."""

    run_id: RunId
    turn: int
    base: TranscriptRef | None
    """A point of the log whose context the worker has cached or can read; `None` means that `entries` start at 0."""
    entries: list[Entry]
    """The log after `base`, oldest first; empty if the mirror has all of it."""
    deadline: AwareDatetime
    """When the run's time limit expires; no attempt starts later."""
    agent: Annotated[str | None, Field(exclude_if=lambda name: name is None)] = None
    """The agent whose code makes the call; `None` means that it needs none."""
    context: Annotated[RunContext | None, Field(exclude_if=lambda context: context is None)] = None
    """As in RunRequest; only for the code of the agent."""
    provider: str | None = None
    """As in `Plan`; the scripted model does not continue a run of another one, nor the other way round."""
    tried: list[TriedModel] = []
    """The models that did not answer this call; it begins with the one after them."""
    earlier_attempts: int = 0
    """Number of attempts of this call that were made by other activities."""
    begun_at: AwareDatetime | None = None
    """When the first of them was scheduled; `None` means that this is the first."""
    spent: Usage | None = None
    """What they have used; `None` means nothing."""
    max_output: int | None = None
    """Tokens that the reply may have, as the budget allows no more; `None` means that it sets no limit."""
    is_limited: bool = False
    """Whether the run has a budget, so that no usage may be lost."""
    day_budgets: list[str] = []
    """The scopes of daily budgets that the run belongs to."""
    slot_only: bool = False
    """Whether the call fails if the worker has no free slot for the run, instead of waiting for one in silence."""
    chain: str | None = None
    """The run's chain, as in `CarriedState.chain`; set together with `summary`."""
    compact: CompactionOrder | None = None
    """Set if the call compacts the context; its reply is a summary, and no turn."""
    summary: RunSummary | None = None
    """The run as of the last entry, if the call appends `entries` to the mirror; `None` means that it does not."""

    @property
    def head(self) -> TranscriptRef:
        """The newest entry of the call's context."""
        if self.entries:
            return self.entries[-1].ref
        assert self.base is not None, "a call without a base carries entries"
        return self.base

    @property
    def batch(self) -> EntryBatch | None:
        """The batch that the call appends to the mirror; `None` means none."""
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
    """Progress of a model call, sent with its heartbeats."""

    turn: int
    attempt: int
    """Increases with each request to a model; the text of a higher one replaces that of a lower one."""
    tried: list[TriedModel] = []
    """The models that were asked before this one in the same attempt."""
    offset: int
    """Number of characters before `text`."""
    text: Text
    """The newest text."""
    spent: Usage | None = None
    """What this attempt and earlier ones have used, estimated, in case they are lost; `None` means nothing."""


class EntryPage(Tolerant):
    """The result of the `entries` query: a part of the log, oldest first."""

    entries: list[Entry]
    more: bool
    """Whether there are later entries; query again with `after` set to the last seq."""
    first: int
    """The first entry that this execution has; `previous` has the earlier ones."""
    previous: str | None
    """Temporal's id of the execution that has the entries before `first`."""


class RunSnapshot(Data):
    """The state of a run in Temporal's history at one moment, which its row in the mirror should show."""

    run: MirroredRun
    """The head of a run that has recorded nothing has seq -1 and an empty digest."""
    ended: bool
    """Whether Temporal has closed it."""
    mirrored: int
    """Newest entry that the mirror has acknowledged; -1 means none."""


class MessagePage(Tolerant):
    """The result of the `transcript` query: a part of the transcript, oldest first."""

    messages: list[Message]
    more: bool
    """Whether there are later messages; query again with `after` set to the last seq."""
    first: int
    """`seq` of the first message that this execution has; `previous` has the earlier ones."""
    previous: str | None
    """Temporal's id of the execution that has the messages before `first`."""


class EmbedRequest(Tolerant):
    """The input of an `EmbedMemories` workflow."""

    namespace: Indexed = Field(min_length=1)
    done: Count = 0
    """Number of memories embedded by earlier executions."""
    batches: int = Field(default=300, ge=1, le=1_000)
    """Maximum number of activities of one execution; a history has room for some 8,000."""
