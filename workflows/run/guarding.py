"""Guards of the messages of people: none reaches the model before they have seen it."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast.answers import GuardedText, GuardVerdict
    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.types import RunError
    from holdfast.workflows import workflow_time
    from holdfast.workflows.calls import MESSAGE_CHARS
    from holdfast.workflows.run.check_calls import CheckCalls
    from holdfast.workflows.run.model_calls import run_error
    from holdfast.workflows.run.state import RunState


class InputGuards:
    """Has the guards of the agent see the messages that wait for them.

    Args:
        state: the run.
        calls: calls the code of the agent.
    """

    def __init__(self, state: RunState, calls: CheckCalls) -> None:
        self._state = state
        self._calls = calls
        self.error: RunError | None = None
        """Why a message was blocked; `None` means that none was."""

    async def check(self) -> None:
        """Has the messages guarded, and records what the guards object to."""
        state, guards, self.error = self._state, self._state.spec.input_guards, None
        pending = list(state.checks.pending)
        try:
            verdicts = await self._calls.guard("input", guards, [text.text for text in pending])
        except (ActivityError, ApplicationError) as error:
            verdicts = [failed(guards, error)] * len(pending)
        if verdicts is None:
            return
        for text, verdict in zip(pending, verdicts, strict=True):
            record_verdict(state, "input", text.message, verdict)
            if verdict.blocked is not None and self.error is None:
                self.error = blocked_error("message", verdict)
        state.checks.pending = state.checks.pending[len(pending) :]


def record_verdict(state: RunState, on: GuardedText, message: int, verdict: GuardVerdict) -> None:
    """Records that a guard has blocked or replaced a message; nothing if it passed."""
    if verdict.guard is None:
        return
    said = {"content": verdict.content} if verdict.blocked is None else {"blocked": verdict.blocked}
    state.record("guard", workflow_time.now(), {"on": on, "guard": verdict.guard, "message": message, **said})


def blocked_error(what: str, verdict: GuardVerdict) -> RunError:
    """Returns a block as the reason why there is no answer."""
    reason = f"the guard {verdict.guard!r} has blocked the {what}: {verdict.blocked}"
    return RunError(type=ErrorType.GUARD_BLOCKED, message=shortened(reason, MESSAGE_CHARS))


def failed(guards: Sequence[str], error: ActivityError | ApplicationError) -> GuardVerdict:
    """Returns the verdict of guards that could not be called: what they have not seen does not pass."""
    return GuardVerdict(guard=", ".join(guards), blocked=f"the guards could not be called: {reason_of(error)}")


def reason_of(error: ActivityError | ApplicationError) -> str:
    """Returns why a check failed."""
    return run_error(error).message if isinstance(error, ActivityError) else error.message
