"""The state of a run: its plan, log and counters. Every change is an entry of the log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Self

from holdfast.protocol import CarriedState, Checkpoint, Plan, RunRequest
from holdfast.types import (
    Entry,
    EntryKind,
    Message,
    ModelReply,
    RunError,
    RunProgress,
    RunResult,
    RunStatus,
    RunSummary,
    ToolCall,
    ToolResult,
    TranscriptRef,
    Usage,
)
from holdfast.workflows.options import MAX_RECORDED_CALLS
from holdfast.workflows.run.log import Log

SUMMARY_CHARS = 200  # of the input, in lists
MAX_FILE_CHARS = 32_768  # of the names of written files, which each execution carries; later ones are only in the log


class RunState:
    """The state of a run. The workflow makes the decisions, and this class records them."""

    def __init__(
        self, run_id: str, request: RunRequest, plan: Plan, *, chain: str, log: Log, started_at: datetime
    ) -> None:
        """Use `begin` or `resume`."""
        self.run_id = run_id
        self.request = request
        self.plan = plan
        self.chain = chain
        self.log = log
        self.started_at = started_at
        self.finished_at: datetime | None = None
        self.status = RunStatus.RUNNING
        self.doing = "starting"
        self.is_queued = False
        """Whether the run waits for its first slot."""
        self.waits: list[str] = []
        """What calls wait for, as `a worker that serves tool 'x'`."""
        self.unserved: dict[str, None] = {}
        """What calls have waited for that have not ended yet, in order."""
        self.pending_calls: list[ToolCall] = []
        """The calls of this turn without a result."""
        self.calls_made = 0
        """The number of calls of this turn with a result."""
        self.turns = 0
        self.tool_calls = 0
        self.usage = Usage()
        self.output = ""
        """The last text that the model wrote."""
        self.answer = ""
        """The text of a reply that calls no tools; text beside calls only says what the model is about to do."""
        self.finish_reason: str | None = None
        self.model: str | None = None
        self.files: list[str] = []
        self._file_chars = 0
        self.error: RunError | None = None
        self._checkpoints: list[Checkpoint] = []

    @classmethod
    def begin(cls, run_id: str, request: RunRequest, plan: Plan, *, now: datetime, chain: str) -> Self:
        """Begins a run: records the definition, the system prompt and the input.

        Args:
            run_id: the workflow id.
            request: the run's input.
            plan: the agent and limits that the request was resolved to.
            now: workflow time.
            chain: see CarriedState.chain.
        """
        state = cls(run_id, request, plan, chain=chain, log=Log(), started_at=now)
        recorded = request.model_dump(mode="json", exclude={"agent", "carried", "input"}, exclude_none=True)
        state._record("start", now, {"agent": _plain(plan.spec), "request": recorded})
        state._add_message(now, Message(seq=0, role="system", content=plan.spec.system_prompt))
        state._add_message(now, Message(seq=1, role="user", content=request.input))
        return state

    @classmethod
    def resume(cls, run_id: str, request: RunRequest, carried: CarriedState) -> Self:
        """Resumes a run that continued as new: restores its counters and the head of its log."""
        log = Log(head=carried.head, next_message=carried.next_message, previous=carried.previous)
        state = cls(run_id, request, carried.plan, chain=carried.chain, log=log, started_at=carried.started_at)
        state.turns = carried.turns
        state.tool_calls = carried.tool_calls
        state.usage = carried.usage
        state.output = carried.output
        state.model = carried.model
        state.pending_calls = list(carried.pending_calls)
        state.calls_made = carried.calls_made
        state._add_files(carried.files)
        return state

    @property
    def deadline(self) -> datetime:
        """When the time limit of the run expires."""
        return self.started_at + timedelta(seconds=self.plan.timeout)

    @property
    def shown_status(self) -> RunStatus:
        """The status for people: a run that waits for its first slot is queued."""
        return RunStatus.QUEUED if self.is_queued else self.status

    @property
    def activity(self) -> str:
        """What the run waits for or is doing, in a few words."""
        return f"waiting for {', '.join(dict.fromkeys(self.waits))}" if self.waits else self.doing

    @property
    def head(self) -> TranscriptRef:
        """The newest entry."""
        head = self.log.head
        assert head is not None, "a run records its start first"
        return head

    @property
    def last_message(self) -> Message | None:
        """The newest message of this execution; `None` right after continue-as-new."""
        return self.log.messages[-1] if self.log.messages else None

    def record_reply(self, now: datetime, reply: ModelReply) -> Message:
        """Records a reply of the model, which begins a turn."""
        self.turns += 1
        self.usage += reply.usage
        # If the stream was closed early, the provider may not have named the model.
        self.model = (self.model or self.plan.expected_model) if reply.partial else reply.model
        message = Message(seq=self.log.next_message, role="assistant", content=reply.content)
        self.pending_calls, self.calls_made = reply.tool_calls[:MAX_RECORDED_CALLS], 0
        if self.pending_calls:
            message.tool_calls = self.pending_calls
        if reply.provider_fields:
            message.provider_fields = reply.provider_fields
        if reply.partial:
            message.partial = True
        self.finish_reason = reply.finish_reason
        if reply.content:
            self.output = reply.content
        self.answer = "" if reply.tool_calls else reply.content
        facts = reply.model_dump(mode="json", include={"model", "finish_reason", "usage", "seconds"})
        self._add_message(now, message, **facts, **_attempts(reply.attempts))
        return message

    def record_tool_result(self, now: datetime, call: ToolCall, result: ToolResult) -> None:
        """Records the result of a tool call, successful or not."""
        self.pending_calls = [pending for pending in self.pending_calls if pending.id != call.id]
        self.calls_made += 1
        self.tool_calls += 1
        content = f"error: {result.error}" if result.error is not None else result.content
        message = Message(seq=self.log.next_message, role="tool", content=content, tool_call_id=call.id)
        self._record(
            "tool_result",
            now,
            {
                "message": _plain(message),
                "tool": call.name,
                "error": result.error is not None,
                "files": result.files,
                "seconds": result.seconds,
                **_attempts(result.attempts),
            },
        )
        self._add_files(result.files)

    def mark_turn(self, now: datetime) -> None:
        """Adds the checkpoint of a turn whose tool calls have ended."""
        self._checkpoints.append(
            Checkpoint(id=f"turn-{self.turns}", name=f"turn-{self.turns}", turn=self.turns, at=now, ref=self.head)
        )

    def finish(self, now: datetime, status: RunStatus, error: RunError | None = None) -> RunResult:
        """Records the end of the run; nothing can be recorded afterwards."""
        self.status, self.error, self.finished_at = status, error, now
        self.doing = status.value
        result = self.result()
        self._record("finish", now, {"result": result.model_dump(mode="json")})
        return result

    def result(self) -> RunResult:
        """Returns the result of the run, or its current state in that form."""
        return RunResult(
            run_id=self.run_id,
            agent=self.plan.spec.name,
            status=self.status,
            output=self.answer,
            finish_reason=self.finish_reason,
            error=self.error,
            usage=self.usage,
            turns=self.turns,
            tool_calls=self.tool_calls,
            model=self.model,
            files=self.files,
            workspace=self.plan.workspace,
            started_at=self.started_at,
            finished_at=self.finished_at,
        )

    def summary(self) -> RunSummary:
        """Returns the summary of the run, as lists and the mirror show it."""
        return RunSummary(**self._summary_fields())

    def progress(self, mirrored: int) -> RunProgress:
        """Returns the result of the `status` query.

        Args:
            mirrored: seq of the newest entry that the mirror has acknowledged; -1 means none.
        """
        return RunProgress(
            **self._summary_fields() | {"status": self.shown_status},
            doing=self.activity,
            max_turns=self.plan.spec.max_turns,
            deadline=self.deadline,
            output=self.output,
            files=self.files,
            workspace=self.plan.workspace,
            head=self.head.seq,
            digest=self.head.digest,
            mirrored=mirrored,
        )

    def checkpoints(self) -> list[Checkpoint]:
        """Returns the checkpoints of this execution, oldest first."""
        return self._checkpoints

    def carry(self, execution: str) -> CarriedState:
        """Returns the state that the next execution resumes from; fields of a newer version are kept.

        Args:
            execution: Temporal's id of this execution.
        """
        added = (self.request.carried.model_extra or {}) if self.request.carried else {}
        return CarriedState(
            **added,
            chain=self.chain,
            previous=execution,
            plan=self.plan,
            head=self.head,
            next_message=self.log.next_message,
            turns=self.turns,
            tool_calls=self.tool_calls,
            usage=self.usage,
            output=self.output,
            model=self.model,
            files=self.files,
            started_at=self.started_at,
            pending_calls=self.pending_calls,
            calls_made=self.calls_made,
        )

    def _summary_fields(self) -> dict[str, Any]:
        fields = {
            "run_id": self.run_id,
            "agent": self.plan.spec.name,
            "status": self.status,
            "turn": self.turns,
            "usage": self.usage,
            "tool_calls": self.tool_calls,
            "input": self.request.input[:SUMMARY_CHARS],
            "parent": self.request.parent,
            "model": self.model,
            "error": self.error,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _add_files(self, files: list[str]) -> None:
        for file in files:
            if file not in self.files and self._file_chars + len(file) <= MAX_FILE_CHARS:
                self.files.append(file)
                self._file_chars += len(file)

    def _add_message(self, now: datetime, message: Message, **facts: Any) -> None:
        self._record("message", now, {"message": _plain(message), **facts})

    def _record(self, kind: EntryKind, now: datetime, data: dict[str, Any]) -> Entry:
        return self.log.append(kind, at=now, turn=self.turns, data=data)


def _attempts(attempts: int) -> dict[str, int]:
    """Returns the field of an entry with the number of attempts, if a call needed more than one."""
    return {"attempts": attempts} if attempts > 1 else {}


def _plain(model: Any) -> dict[str, Any]:
    """Returns a model as JSON values, without fields that were not set, as history stores it several times."""
    plain: dict[str, Any] = model.model_dump(mode="json", exclude_unset=True)
    return plain
