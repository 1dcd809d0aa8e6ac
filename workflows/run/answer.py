"""The handling of a final reply: it is validated and guarded, and then it is the answer, is repaired, or fails."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.output_schema import is_text
    from holdfast.types import Message, RunError
    from holdfast.workflows import workflow_time
    from holdfast.workflows.calls import MESSAGE_CHARS
    from holdfast.workflows.run.check_calls import CheckCalls
    from holdfast.workflows.run.guarding import blocked_error, failed, reason_of, record_verdict
    from holdfast.workflows.run.state import RunState


@dataclass(frozen=True)
class Settled:
    """The reply has been checked."""

    error: RunError | None = None
    """Why it is not an answer; `None` if it is one."""


class AnswerCheck:
    """Checks a final reply.

    Args:
        state: the run.
        calls: calls the code of the agent.
    """

    def __init__(self, state: RunState, calls: CheckCalls) -> None:
        self._state = state
        self._calls = calls
        self.settled: Settled | None = None
        """What has become of the reply; `None` means that the run goes on: with a repair, with a message that came
        meanwhile, or with another check, as this one was stopped."""

    async def check(self) -> None:
        """Checks the newest reply."""
        state, self.settled = self._state, None
        found = await self._checked(state.checks.reply)
        if isinstance(found, RunError):
            self.settled = Settled(found)
        elif found is not None and not state.queue:
            state.output = state.answer = found
            output = state.spec.output
            state.checks.typed = output is not None and not is_text(output.json_schema)
            self.settled = Settled()

    async def _checked(self, text: str) -> str | RunError | None:
        spec = self._state.spec
        valid = await self._valid(text, may_repair=True) if spec.output else text
        if not isinstance(valid, str) or not spec.output_guards:
            return valid
        guarded = await self._guarded(valid)
        if not isinstance(guarded, str) or guarded == valid or not spec.output:
            return guarded
        return await self._valid(guarded, may_repair=False)  # what a guard has written, the model cannot repair

    async def _valid(self, text: str, *, may_repair: bool) -> str | RunError | None:
        """Returns a valid answer, or why it is not one; `None` means that it is to be repaired, or was not checked."""
        state = self._state
        assert state.spec.output is not None, "only typed answers are validated"
        try:
            verdict = await self._calls.validate(text)
        except (ActivityError, ApplicationError) as error:
            return _invalid(reason_of(error))
        if verdict is None:
            return None
        if verdict.error is None:
            return text if verdict.content is None else verdict.content
        if may_repair and state.checks.repairs < state.spec.output.retries:
            self._ask_for_repair(verdict.error)
            return None
        repairs = state.checks.repairs if may_repair else 0
        times = {0: "", 1: " after one repair"}.get(repairs, f" after {repairs} repairs")
        return _invalid(f"the answer is not valid{times}: {verdict.error}")

    def _ask_for_repair(self, errors: str) -> None:
        state = self._state
        state.checks.repairs += 1
        state.context.size.add(errors)
        message = Message(seq=state.log.next_message, role="user", content=errors)
        state.add_message(workflow_time.now(), message, repair=state.checks.repairs)

    async def _guarded(self, text: str) -> str | RunError | None:
        """Returns an answer as the guards pass it, or why they do not."""
        state, guards = self._state, self._state.spec.output_guards
        message = state.last_message.seq if state.last_message else -1
        try:
            verdicts = await self._calls.guard("output", guards, [text])
        except (ActivityError, ApplicationError) as error:
            verdict = failed(guards, error)
        else:
            if verdicts is None:
                return None
            [verdict] = verdicts
        record_verdict(state, "output", message, verdict)
        if verdict.blocked is not None:
            return blocked_error("answer", verdict)
        return text if verdict.content is None else verdict.content


def _invalid(reason: str) -> RunError:
    return RunError(type=ErrorType.OUTPUT_INVALID, message=shortened(reason, MESSAGE_CHARS))
