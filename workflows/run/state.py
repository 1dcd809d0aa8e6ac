"""The state of a run: its plan, log and counters. Every change is an entry of the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from typing_extensions import override

from holdfast.bounds import shortened
from holdfast.budgets import CarriedBudget
from holdfast.carried import CommandAnswer
from holdfast.checkpoints import checkpoints_of
from holdfast.commands import Command
from holdfast.errors import ErrorType
from holdfast.invocations import Resolution
from holdfast.model_reply import ModelReply
from holdfast.protocol import Plan, RunRequest
from holdfast.types import (
    AgentSpec,
    Entry,
    EntryKind,
    ForkedFrom,
    Message,
    RunError,
    RunResult,
    RunStatus,
    ToolCall,
    ToolResult,
    TranscriptRef,
    Usage,
)
from holdfast.workflows.options import MAX_RECORDED_CALLS
from holdfast.workflows.run.call_reports import CallReports
from holdfast.workflows.run.checks import Checks
from holdfast.workflows.run.clock import RunClock
from holdfast.workflows.run.context_state import ContextState
from holdfast.workflows.run.entry_data import plain, reply_data, result_data, user_message
from holdfast.workflows.run.handoffs import order_of_calls
from holdfast.workflows.run.log import Log
from holdfast.workflows.run.messages import MessageQueue
from holdfast.workflows.run.tree import Tree
from holdfast.workflows.run.written_files import WrittenFiles
from holdfast.workspace_states import WorkspacePoint

SUMMARY_CHARS = 200  # of the input, in lists


class RunState(CallReports):
    """The state of a run. The workflow makes the decisions, and this class records them."""

    forked: ForkedFrom | None = None
    """What the run copied from another one; `None` if it is not a fork."""
    active: str | None = None
    """The agent to which the run was handed, as in `AgentSpec.acting`."""
    next_model: str | None = None
    """As in `RunProgress`."""
    handoffs = 0
    """Number of handoffs since the last answer."""

    def __init__(
        self,
        run_id: str,
        request: RunRequest,
        plan: Plan,
        *,
        chain: str,
        log: Log,
        started_at: datetime,
        clock: RunClock,
    ) -> None:
        """Use `begin`, `fork_of`, or `resumed`."""
        super().__init__()
        self.run_id = run_id
        self.request = request
        self.plan = plan
        self.chain = chain
        self.log = log
        self.started_at = started_at
        self.clock = clock
        self.finished_at: datetime | None = None
        self.status = RunStatus.RUNNING
        self.doing = "starting"
        self.is_queued = False
        """Whether the run waits for its first slot."""
        self.waits: list[str] = []
        """What calls wait for, as `a worker that serves tool 'x'`."""
        self.unserved: dict[str, None] = {}
        """What calls have waited for that have not ended yet, in order."""
        self.answered = False
        """Whether a session has answered its last message."""
        self.exchange = 0
        """Number of turns before the current exchange of a session."""
        self.queue = MessageQueue()
        self.budget = CarriedBudget()
        self.tree = Tree()
        """The runs that this one has started."""
        self.in_flight = 0
        """Number of model and tool calls that are running."""
        self.answers: dict[str, CommandAnswer] = {}
        """Of the commands that were carried out, see `Control`."""
        self.pending_calls: list[ToolCall] = []
        """The calls of this turn without a result."""
        self.calls_made, self.asked = 0, 0
        """The number of calls of this turn with a result, and `seq` of the message that asked for them."""
        self.resolutions: dict[str, Resolution] = {}
        """What people have said of lost calls, see `LostCalls`."""
        self.pending_places: list[int] = []
        """The places of `pending_calls` among the calls of the turn."""
        self.turns, self.tool_calls = 0, 0
        self.usage = Usage()
        self.output = ""
        """The last text that the model wrote."""
        self.answer = ""
        """The text of a reply that calls no tools; text beside calls only says what the model is about to do."""
        self.finish_reason: str | None = None
        self.model: str | None = None
        self.files = WrittenFiles()
        self.workspace = request.kept or WorkspacePoint()
        self.error: RunError | None = None
        self.context, self.checks = ContextState(log), Checks(plan.spec)

    @classmethod
    def begin(
        cls, run_id: str, request: RunRequest, plan: Plan, *, started_at: datetime, now: datetime, chain: str
    ) -> Self:
        """Begins a run: records the definition, the system prompt and the input.

        Args:
            run_id: the workflow id.
            request: the run's input.
            plan: the agent and limits that the request was resolved to.
            started_at: when the run was started, which is the time of what it records now. The time at which its plan
                was ready is not the same in a replay: that depends on how Temporal divides the tasks.
            now: workflow time.
            chain: see CarriedState.chain.
        """
        clock = RunClock(plan.timeout, spent=0, now=now)
        state = cls(run_id, request, plan, chain=chain, log=Log(), started_at=started_at, clock=clock)
        state.record_start(started_at)
        state.add_message(started_at, Message(seq=0, role="system", content=plan.spec.system_prompt))
        for message in request.history:
            state.add_message(started_at, message.model_copy(update={"seq": state.log.next_message}))
        if request.input or request.attachments:
            number = state.log.next_message
            state.add_message(started_at, user_message(number, request.input, request.attachments))
        else:
            state.answered = True  # a session that begins with its first `send`
        return state

    @property
    def ending(self) -> str | None:
        """Why the model's last reply ended, if that matters: some agents may be cut off."""
        return "stop" if self.finish_reason == "length" and self.spec.may_be_cut else self.finish_reason

    def deadline(self, now: datetime) -> datetime:
        """Returns when the run is out of time if it runs from now on."""
        left = timedelta(seconds=max(self.plan.timeout - self.clock.spent(now), 0))
        return min(now + left, self.request.expires or datetime.max.replace(tzinfo=UTC))

    @property
    def spec(self) -> AgentSpec:
        """The agent that acts: that of the run, or one to which it was handed."""
        return self.plan.spec.acting(self.active)

    @property
    def active_agent(self) -> str | None:
        """Name of the agent that has taken over; `None` means that the one acts with which the run began."""
        return self.spec.name if self.spec is not self.plan.spec else None

    def act_as(self, active: str | None) -> None:
        """Makes another agent act from now on, as in `AgentSpec.acting`."""
        before, self.active = self.spec, active
        self.next_model = self.plan.expected_of(active)
        self.checks.follow(self.spec)
        if self.spec.models != before.models:
            self.plan.model_queue = None  # its first call learns which one it is
            self.context.size.window = self.spec.context_window  # likewise

    @property
    def asked_model(self) -> str:
        """The model that the next call will probably ask; only shown to people."""
        return self.next_model or self.model or self.plan.expected_model

    @property
    def own_turns(self) -> int:
        """Number of turns that the run itself has taken; those that a fork copied do not count."""
        return self.turns - (self.forked.turn if self.forked else 0)

    @property
    def max_turns(self) -> int:
        """The limit of turns as people see it, with those that a fork copied."""
        return self.plan.spec.max_turns + (self.forked.turn if self.forked else 0)

    @property
    def next_status(self) -> RunStatus:
        """The status that the run should have now; it takes it when `enter_status` is called."""
        if self.status.is_final or self.in_flight or self.tree.is_busy:
            return self.status if self.status.is_final else RunStatus.RUNNING
        if self.paused:
            return RunStatus.PAUSED
        return RunStatus.WAITING if self.open_waits else RunStatus.RUNNING

    def enter_status(self, now: datetime) -> None:
        """Records the status that the run has now, if it has changed; its clock runs only while the run does."""
        if (status := self.next_status) == self.status:
            return
        self.status = status
        if status == RunStatus.RUNNING:
            self.clock.start(now)
        else:
            self.clock.stop(now)
        self._record("status", now, {"status": status.value, "reason": self.activity})

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Counts a call as running while the body does."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    @property
    def shown_status(self) -> RunStatus:
        """The status for people: a run that waits for its first slot is queued."""
        return RunStatus.QUEUED if self.is_queued else self.status

    @property
    def activity(self) -> str:
        """What the run waits for or is doing, in a few words."""
        if self.paused:
            is_busy = self.in_flight or self.tree.is_busy
            return "paused" if not is_busy else f"pausing, after {self.doing}"
        waits = [*self.waits, *(wait.what for wait in self.open_waits.values())]
        return f"waiting for {', '.join(dict.fromkeys(waits))}" if waits else self.doing

    @property
    def head(self) -> TranscriptRef:
        """The newest entry."""
        head = self.log.head
        assert head is not None, "a run records its start first"
        return head

    @property
    def last_message(self) -> Message | None:
        """The newest message that counts; `None` if it is not known, as right after continue-as-new."""
        return self.context.last_message

    def record_reply(self, now: datetime, reply: ModelReply) -> None:
        """Records a reply of the model, which begins a turn."""
        self.turns += 1
        self.usage += reply.usage
        # If the stream was closed early, the provider may not have named the model. A wrapper may answer without one.
        is_named = not reply.partial and (reply.usage.requests > 0 or self.next_model or self.model is None)
        self.model, self.next_model = reply.model if is_named else self.asked_model, None
        calls = reply.tool_calls[:MAX_RECORDED_CALLS]
        self.pending_places, self.calls_made = order_of_calls(calls, self.spec), 0
        self.pending_calls = [calls[place] for place in self.pending_places]
        self.asked = self.log.next_message
        self.context.size.observe(reply)
        self.finish_reason = reply.finish_reason
        if reply.content and not self.checks.hides_replies:
            self.output = reply.content
        self.answer = self.checks.replied("" if reply.tool_calls else reply.content)
        self.record("message", now, reply_data(self.asked, reply, calls))

    def record_tool_result(self, now: datetime, call: ToolCall, result: ToolResult, *, counts: bool = True) -> None:
        """Records the result of a tool call, successful or not, and the checkpoints that the tool made.

        Args:
            now: workflow time.
            call: the call.
            result: its result.
            counts: whether the budget counts it as made.
        """
        pending = zip(self.pending_calls, self.pending_places, strict=True)
        left = [(each, place) for each, place in pending if each.id != call.id]
        self.pending_calls, self.pending_places = [each for each, _ in left], [place for _, place in left]
        self.calls_made += 1
        self.tool_calls += counts
        self.add_tool_result(now, call, result)
        if result.handoff is not None:
            self.handoffs += 1
            self.act_as(result.handoff)
        self.files.add(result.files)
        self.note_report(call, result)
        self.workspace = self.workspace.with_snapshots(result.snapshots)
        for made in result.checkpoints:
            self.record_checkpoint(now, made.id, made.name, data=made.data, by=call.name)

    def add_tool_result(self, now: datetime, call: ToolCall, result: ToolResult, *, turn: int | None = None) -> None:
        """Adds the result of a call to the transcript, whether the run has made the call or not."""
        data = result_data(self.log.next_message, call, result)
        self.context.size.add(data["message"]["content"], result.attachments)
        self.record("tool_result", now, data, turn=turn)

    def record_command(self, now: datetime, command: Command) -> Entry:
        """Records a command that is carried out."""
        content = command.model_dump(mode="json", exclude_unset=True, exclude_none=True, exclude=set(command.BULK))
        return self._record("command", now, {"command": command.NAME, **content, "id": command.id})

    def record_refusal(self, now: datetime, signal: str, reason: str, given: Any, **facts: Any) -> None:
        """Records a signal, or a command that came before the run began, that cannot be carried out."""
        data = {"signal": shortened(signal, SUMMARY_CHARS), "reason": reason, "given": given, **facts}
        self._record("refused", now, data)

    def deliver(self, now: datetime, *, after_answer: bool) -> None:
        """Adds the messages that wait to the transcript, for the next model call.

        Args:
            now: workflow time.
            after_answer: see `MessageQueue.take`.
        """
        for queued in self.queue.take(after_answer=after_answer):
            message = user_message(self.log.next_message, queued.text, queued.attachments, pinned=queued.pinned)
            self.context.size.add(queued.text, queued.attachments)
            self.add_message(now, message, command=queued.id)
        if self.answered:
            self.answered, self.exchange, self.handoffs = False, self.turns, 0

    def drop_messages(self, now: datetime, reason: str) -> None:
        """Records that no model call will see the messages that wait."""
        for message in self.queue.drop():
            self._record("dropped", now, {"id": message.id, "reason": reason})

    def record_answer(self, now: datetime, error: RunError | None) -> None:
        """Records the end of an exchange of a session; the session then waits for the next message.

        Args:
            now: workflow time.
            error: why there is no answer; `None` if there is one.
        """
        self.answered = True
        self.checks.answered()
        self._record(
            "answer",
            now,
            {
                "output": self.answer,
                "finish_reason": self.finish_reason,
                "turns": self.turns - self.exchange,
                **({"typed": True} if self.checks.typed else {}),
                **({"agent": self.active_agent} if self.active_agent else {}),
                **({"error": error.model_dump(mode="json")} if error else {}),
            },
        )

    def end_interrupted_turn(self, now: datetime) -> None:
        """Ends a turn that a command has stopped: its open calls are answered, and a session waits for a message."""
        self.interrupted = False
        for call in self.pending_calls:
            self.record_tool_result(now, call, ToolResult(error="not called: the turn was interrupted"))
        if self.request.session and not self.answered and not self.queue:
            self.record_answer(now, RunError(type=ErrorType.INTERRUPTED, message="the turn was interrupted"))

    def mark_turn(self, now: datetime) -> None:
        """Adds the checkpoint of a turn whose tool calls have ended."""
        self.context.mark_turn(now, self.turns)

    def record_checkpoint(self, now: datetime, made_id: str, name: str, *, data: Any, by: str | None) -> None:
        """Records a checkpoint that a person or a tool has made."""
        facts = {name: value for name, value in (("data", data), ("by", by)) if value is not None}
        entry = self.record("checkpoint", now, {"id": made_id, "name": name, **facts})
        self.context.checkpoints.extend(checkpoints_of([entry]))

    def finish(self, now: datetime, result: RunResult) -> None:
        """Records the end of the run; nothing can be recorded afterwards."""
        self._record("finish", now, {"result": result.model_dump(mode="json")})

    def end(self, now: datetime, status: RunStatus, error: RunError | None) -> None:
        """Enters the final status of the run."""
        self.status, self.error, self.finished_at = status, error, now
        self.doing = status.value

    def record_start(self, now: datetime, **facts: Any) -> None:
        """Records what the run was started with, as its first entry."""
        recorded = self.request.model_dump(
            mode="json", exclude={"agent", "carried", "input", "attachments", "history"}, exclude_defaults=True
        )
        self._record("start", now, {"agent": plain(self.plan.spec), "request": recorded, **facts})

    def add_message(self, now: datetime, message: Message, **facts: Any) -> None:
        """Adds a message to the transcript."""
        self.checks.saw(message, self.record("message", now, {"message": plain(message), **facts}))

    def record(self, kind: EntryKind, now: datetime, data: dict[str, Any], *, turn: int | None = None) -> Entry:
        """Appends an entry to the log; `turn` is the current one if not given."""
        return self.log.append(kind, at=now, turn=self.turns if turn is None else turn, data=data)

    @override
    def _record(self, kind: EntryKind, now: datetime, data: dict[str, Any]) -> Entry:
        return self.record(kind, now, data)
