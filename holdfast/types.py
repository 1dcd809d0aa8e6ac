"""Data types that cross process boundaries, each with its unit and meaning."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field

from holdfast.attachments import Attachment as Attachment  # noqa: PLC0414 - exported
from holdfast.bounds import (
    Count,
)
from holdfast.bounds import Text as Text  # noqa: PLC0414 - exported
from holdfast.bounds import clean_text as clean_text  # noqa: PLC0414 - exported
from holdfast.data import Data as Data  # noqa: PLC0414 - exported
from holdfast.data import Tolerant as Tolerant  # noqa: PLC0414 - exported
from holdfast.log_points import ForkedFrom as ForkedFrom  # noqa: PLC0414 - exported
from holdfast.log_points import TranscriptRef as TranscriptRef  # noqa: PLC0414 - exported
from holdfast.messages import Message as Message  # noqa: PLC0414 - exported
from holdfast.messages import ToolCall as ToolCall  # noqa: PLC0414 - exported
from holdfast.run_status import FINAL_STATUSES as FINAL_STATUSES  # noqa: PLC0414 - exported
from holdfast.run_status import RunStatus as RunStatus  # noqa: PLC0414 - exported
from holdfast.specs import AgentSpec as AgentSpec  # noqa: PLC0414 - exported
from holdfast.specs import ToolSpec as ToolSpec  # noqa: PLC0414 - exported
from holdfast.specs import model_names as model_names  # noqa: PLC0414 - exported
from holdfast.tool_result import RunId as RunId  # noqa: PLC0414 - exported
from holdfast.tool_result import ToolResult as ToolResult  # noqa: PLC0414 - exported
from holdfast.usage import Usage as Usage  # noqa: PLC0414 - exported
from holdfast.workspace_states import WorkspaceSnapshot

MAX_INPUT_BYTES = 512 * 1024
"""Largest input of a run, in UTF-8 bytes, if large payloads are not stored outside of Temporal, which terminates a
workflow whose input exceeds 2 MB."""


EntryKind = Literal[
    "start",
    "message",
    "tool_result",
    "command",
    "dropped",
    "refused",
    "answer",
    "wait",
    "wait_ended",
    "checkpoint",
    "stage",
    "restored",
    "compaction",
    "guard",
    "status",
    "finish",
]


class Entry(Tolerant):
    """One item of a run's ordered log.

    `data` by kind:
        start: `agent` (AgentSpec), `request` (the RunRequest, without `agent` and `carried`); of a fork also `forked`
            (ForkedFrom), and the entries up to its `seq` are those of the origin
        message: `message` (Message); from the model also `model`, `finish_reason`, `usage`, `seconds`, `tried` (of
            TriedModel) if other models were asked before, and `cached` (true) if the cache has answered; from the run
            itself `repair` (its number), if it asks the model to repair its answer
        tool_result: `message` (Message of role tool), `tool`, `error` (bool), `files`, `seconds`; maybe `outcome`
            (CallOutcome), `progress` (CallProgress), `snapshots` (of WorkspaceSnapshot); of an answer of a child run
            also `run` (its id), `usage`; of a handoff `handoff`: the agent that acts from then on
        stage: the ToolProgress with which a call has entered a stage; its last one is in its `tool_result`
        command: `command` (its name), `id`, `by`, and the fields of the command that were set
        dropped: `id` (of the `send` command), `reason`: a message that no model call will see
        refused: `signal`, `reason`, `given`: a signal that could not be carried out
        answer: `output`, `finish_reason`, `error`, `turns` (of this answer), `typed` as in RunResult, and `agent` if
            another one has taken over: the end of an exchange in a session
        wait: `wait` (Wait): a wait that is recorded because it may be long
        wait_ended: `id`, `outcome`; of an approval with edited arguments also `edited` (`arguments`), `by`, and `call`,
            the id of the call, if `id` is another
        checkpoint: `id`, `name`, and if there are any `data`, `by`
        restored: `to` (seq of the newest entry that counts), `checkpoint`, `by`
        compaction: `cleared` and `summarized` (`[first, last]` pairs of message seqs), `summary`
        guard: `on` (`input` or `output`), `guard` (its name), `message` (seq of the message that it has blocked or
            replaced), and either `blocked` (why) or `content` (the text that replaces it)
        status: `status` (RunStatus), `reason`
        finish: `result` (RunResult)
    """

    seq: int
    """Number within the run, from 0 without gaps."""
    at: AwareDatetime
    """Workflow time."""
    kind: EntryKind | str
    """A newer version may have written kinds that this one does not know; they are kept unchanged."""
    turn: int
    data: dict[str, Any]
    digest: str
    """sha256, hex, of the previous entry's digest and this entry's canonical JSON."""

    @classmethod
    def chained(
        cls, previous: str, *, seq: int, at: datetime, kind: EntryKind | str, turn: int, data: dict[str, Any]
    ) -> Self:
        """Returns an entry that follows the one whose digest is `previous` ("" before entry 0).

        `data` must be plain JSON values.
        """
        canonical = _canonical([seq, at.isoformat(), kind, turn, data])
        entry = cls(seq=seq, at=at, kind=kind, turn=turn, data=data, digest=_digest(previous, canonical))
        vars(entry)["size"] = len(canonical)
        return entry

    def follows(self, previous: str) -> bool:
        """Whether this entry is unaltered and follows the one whose digest is `previous`."""
        return self.digest == _digest(previous, self._canonical())

    @cached_property
    def size(self) -> int:
        """Length of the entry's canonical JSON, some 100 bytes less than its size in a payload."""
        return len(self._canonical())

    @property
    def ref(self) -> TranscriptRef:
        """This entry as a point in the log."""
        return TranscriptRef(seq=self.seq, digest=self.digest)

    @cached_property
    def message(self) -> Message | None:
        """The transcript message that this entry carries, if any."""
        if self.kind in ("message", "tool_result"):
            return Message.model_validate(self.data["message"])
        return None

    def _canonical(self) -> str:
        return _canonical([self.seq, self.at.isoformat(), self.kind, self.turn, self.data])


def _canonical(content: list[Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _digest(previous: str, canonical: str) -> str:
    """Returns the sha256, in hex, of the previous entry's digest and an entry's canonical JSON."""
    return hashlib.sha256(f"{previous}{canonical}".encode()).hexdigest()


class RunError(Tolerant):
    """Why a run did not complete."""

    type: str
    """A value of `holdfast.errors.ErrorType`."""
    message: Text


class ChildProgress(Tolerant):
    """A child run, as its parent knows it: a run that was started by a call of the agent."""

    run: RunId
    agent: str
    status: RunStatus = RunStatus.RUNNING
    """Of an open child the one that it last reported."""
    usage: Usage = Usage()
    """What it and its own children have used, as of its last report."""
    started_at: AwareDatetime


class RunResult(Tolerant):
    """The result of a run."""

    run_id: RunId
    agent: str
    """The agent that the run was started with."""
    active_agent: Annotated[str | None, Field(exclude_if=lambda agent: agent is None)] = None
    """The agent that has taken over from it; `None` means none."""
    status: RunStatus
    output: Text = ""
    """The model's answer; of an answer that was cut off or interrupted, the part that had arrived."""
    typed: Annotated[bool, Field(exclude_if=lambda typed: not typed)] = False
    """Whether `output` is the JSON text of an answer in the form that the agent declares."""
    finish_reason: str | None = None
    """Why the model's last reply ended, in OpenAI's terms, as `stop` or `length`; `None` without a reply."""
    error: RunError | None = None
    usage: Usage = Usage()
    """What its own model calls have used."""
    tree_usage: Annotated[Usage | None, Field(exclude_if=lambda usage: usage is None)] = None
    """What the run and its children have used; `None` means that it has started none."""
    tree_tool_calls: Annotated[Count, Field(exclude_if=lambda number: not number)] = 0
    """Tool calls of the runs below it."""
    children: Annotated[list[ChildProgress], Field(exclude_if=lambda children: not children)] = []
    """The newest runs that it has started, oldest first."""
    turns: int = 0
    tool_calls: int = 0
    model: str | None = None
    """The model of the last reply, as the provider named it."""
    files: list[str] = []
    """Files that tools reported as written, relative to the workspace, in order, without repeats."""
    workspace: str | None = None
    """The tools' folder on the worker's machine; `None` means that the run never started."""
    snapshots: Annotated[list[WorkspaceSnapshot], Field(exclude_if=lambda snapshots: not snapshots)] = []
    """Of a child run, the state of the workspace at its end, as in `WorkspacePoint.heads`."""
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None


class RunSummary(Tolerant):
    """The summary of a run: its row in the mirror, and its line in a list."""

    run_id: RunId
    agent: str
    active_agent: Annotated[str | None, Field(exclude_if=lambda agent: agent is None)] = None
    """As in `RunResult`."""
    status: RunStatus
    turn: int = 0
    usage: Usage = Usage()
    tool_calls: int = 0
    input: Text = ""
    """The start of the input, at most 200 characters."""
    parent: RunId | None = None
    forked: ForkedFrom | None = None
    """`None` if it is not a fork."""
    rerun_of: RunId | None = None
    """The run whose input it was started with again; `None` if there is none."""
    model: str | None = None
    """The model of the last reply, as the provider named it."""
    tree_usage: Annotated[Usage | None, Field(exclude_if=lambda usage: usage is None)] = None
    """What the run and its children have used; `None` means that it has started none."""
    stage: Annotated[Text | None, Field(exclude_if=lambda stage: stage is None)] = None
    """The stage that a tool of the run has entered last; `None` if none has entered one."""
    stage_progress: Annotated[float | None, Field(exclude_if=lambda percent: percent is None)] = None
    """How much was done then as the tool said, 0 to 100."""
    error: RunError | None = None
    """Why it did not complete; `None` if it did or is active."""
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None


class MirroredRun(Tolerant):
    """A run in the mirror, without its entries."""

    summary: RunSummary
    chain: str
    """The chain of its entries, as in `EntryBatch.chain`."""
    head: TranscriptRef


class EntryBatch(Tolerant):
    """Consecutive entries of one run to append to the mirror."""

    run_id: RunId
    chain: str
    """The run's chain, as in `CarriedState.chain`; a newer chain replaces the entries of an older one of the run."""
    previous_digest: str
    """Digest of the entry before the first one; empty before entry 0."""
    entries: list[Entry]
    """At least one, oldest first, without gaps."""
    summary: RunSummary
    """The run as of the last entry."""


class Context(Tolerant):
    """The context of a model call: the definition, and the messages up to a point of the log."""

    spec: AgentSpec
    """The agent that acts."""
    messages: list[Message]
    held: Message | None = None
    """A partial reply at the end, which counts only if a message of a person follows."""
    definition: AgentSpec | None = None
    """The agent that the run began with; `None` means `spec`."""
    active: Text | None = None
    """As in `AgentSpec.acting`."""
