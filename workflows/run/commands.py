"""The effects of the commands to a run."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.attachments import Attachment
    from holdfast.carried import QueuedMessage
    from holdfast.commands import Command, Interrupt, Pause, Policy, RaiseBudget, Resume, Send
    from holdfast.progress import Wait
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.budget_wait import BudgetCommand
    from holdfast.workflows.run.control import Handler, Refusal
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.step import Step
    from holdfast.workflows.run.waiting import NEXT_MESSAGE

RESUMED = "resume"
"""Id of the wait of a paused run."""


class Commands:
    """Carries out commands on the state of a run; none of them awaits.

    Args:
        state: the run.
        step: its current step, which some commands stop.
    """

    def __init__(self, state: RunState, step: Step) -> None:
        self._state = state
        self._step = step

    def handlers(self) -> dict[type[Command], Handler]:
        """Returns what each command does."""
        budget = BudgetCommand(self._state)
        return {
            Send: Handler(self.send, self.check_send),
            Pause: Handler(self.pause, self.check_pause),
            Resume: Handler(self.resume, self.check_resume),
            Interrupt: Handler(self.interrupt, self.check_interrupt),
            RaiseBudget: Handler(budget.apply, budget.check),
        }

    def check_send(self, command: Send) -> None:
        """Refuses a message if too many wait, or if it may not disturb the run."""
        if command.to_session and not self._state.request.session:
            raise Refusal(f"run {self._state.run_id!r} is not a session; `send` steers it, and it ends with its answer")
        if fault := self._state.queue.fault(command.text, command.attachments):
            raise Refusal(fault)
        if command.policy == Policy.REJECT and not self._is_free:
            raise Refusal("the agent is at work; send the message with policy steer, enqueue or interrupt")

    def send(self, command: Send, _seq: int) -> None:
        """Queues a message."""
        is_later = command.policy == Policy.ENQUEUE
        self._queue(command, command.text, command.attachments, after_answer=is_later, pin=command.pin)
        if command.policy == Policy.INTERRUPT:
            self._stop_turn()

    def check_pause(self, command: Pause) -> None:
        """Refuses to pause a paused run, except to stop its calls."""
        if self._state.paused and not (command.now and self._state.in_flight):
            raise Refusal("the run is paused already")

    def pause(self, command: Pause, _seq: int) -> None:
        """Pauses the run."""
        self._pause(command.by)
        if command.now:
            self._step.stop()

    def check_resume(self, _command: Resume) -> None:
        """Refuses to resume a run that is not paused."""
        if not self._state.paused:
            raise Refusal(f"the run is not paused; it is {self._state.status}")

    def resume(self, _command: Resume, _seq: int) -> None:
        """Resumes the run."""
        self._state.paused = False
        self._state.open_waits.pop(RESUMED, None)

    def check_interrupt(self, command: Interrupt) -> None:
        """Refuses to interrupt a run that has nothing to stop, unless there is a message for it."""
        if command.has_message and (fault := self._state.queue.fault(command.text or "", command.attachments)):
            raise Refusal(fault)
        if not command.has_message and self._is_free:
            raise Refusal("there is no turn to interrupt: the session waits for a message")

    def interrupt(self, command: Interrupt, _seq: int) -> None:
        """Stops the current turn."""
        self._stop_turn()
        if command.has_message:
            self._queue(command, command.text or "", command.attachments)
        elif not self._state.request.session:
            self._pause(command.by)

    @property
    def _is_free(self) -> bool:
        """Whether the run waits for a message: a session that has answered everything, or a call that waits for one."""
        if self._state.queue:
            return False
        return self._state.answered or any(wait.kind == "message" for wait in self._state.open_waits.values())

    def _stop_turn(self) -> None:
        self._state.interrupted = True
        self._step.stop()

    def _queue(
        self,
        command: Command,
        text: str,
        attachments: Sequence[Attachment] = (),
        *,
        after_answer: bool = False,
        pin: bool = False,
    ) -> None:
        assert command.id is not None, "a command that is carried out has an id"
        message = QueuedMessage(id=command.id, text=text, after_answer=after_answer, by=command.by)
        if attachments:
            message.attachments = list(attachments)
        if pin:
            message.pinned = True
        self._state.queue.add(message)
        if self._state.paused and NEXT_MESSAGE in self._state.open_waits:  # else the session ends the wait
            del self._state.open_waits[NEXT_MESSAGE]
            self._state.waits_changed = True

    def _pause(self, by: str | None) -> None:
        self._state.paused = True
        what = f"someone to resume it (paused by {by})" if by else "someone to resume it"
        self._state.open_waits.setdefault(
            RESUMED,
            Wait(id=RESUMED, kind="resume", since=workflow_time.now(), what=what, data={"by": by} if by else {}),
        )
