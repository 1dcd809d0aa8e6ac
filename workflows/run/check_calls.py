"""Calls of the activities that check the texts of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.answers import GuardCheck, GuardedText, GuardVerdict, GuardVerdicts, OutputCheck, OutputVerdict
    from holdfast.workflows import options
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.run.code_process import CodeProcess
    from holdfast.workflows.run.gate import Gate
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.view import View
    from holdfast.workflows.run.waits import Waits

T = TypeVar("T", OutputVerdict, GuardVerdicts)


class CheckCalls:
    """Has answers validated, and texts guarded, where the code of the agent is.

    Args:
        state: the run.
        view: shows what the run is doing.
        gate: says when the run is to continue as new.
        process: waits for the process that has the code, if only one has it.
    """

    def __init__(self, state: RunState, view: View, gate: Gate, process: CodeProcess) -> None:
        self._state = state
        self._view = view
        self._gate = gate
        self._process = process
        self._waits = Waits(state, view)

    async def validate(self, text: str) -> OutputVerdict | None:
        """Returns whether an answer is valid; `None` means that nobody has said so before the run stops or continues.

        Raises:
            ActivityError: the validation failed.
            ApplicationError: its result is not a verdict.
        """
        spec = self._state.spec
        assert spec.output is not None, "only typed answers are validated"
        check = OutputCheck(**self._told(), text=text)
        if not spec.output.code:
            check.json_schema = spec.output.json_schema
        queue = spec.code_queue if spec.output.code else None
        what = f"a worker that has the output type of agent {spec.name!r}"
        return await self._call(
            names.AGENT_OUTPUT, check, OutputVerdict, what=what, doing="validate the answer", queue=queue
        )

    async def guard(self, on: GuardedText, guards: Sequence[str], texts: list[str]) -> list[GuardVerdict] | None:
        """Returns what the guards say about texts; `None` as in `validate`, whose errors it raises."""
        spec = self._state.spec
        check = GuardCheck(**self._told(), on=on, guards=list(guards), texts=texts)
        doing = f"guard the {on}: {', '.join(guards)}"
        what = f"a worker that has the guards of agent {spec.name!r}"
        found = await self._call(names.AGENT_GUARD, check, GuardVerdicts, what=what, doing=doing, queue=spec.code_queue)
        return found.verdicts if found else None

    def _told(self) -> dict[str, Any]:
        """Returns what each function is told of the run."""
        state = self._state
        context = {} if state.request.context is None else {"context": state.request.context}
        return {"run_id": state.run_id, "agent": state.spec.name, "turn": state.turns, **context}

    async def _call(
        self, name: str, check: OutputCheck | GuardCheck, result: type[T], *, what: str, doing: str, queue: str | None
    ) -> T | None:
        how = options.ActivityOptions(**options.CODE_CHECK, **self._process.limits(queue), task_queue=queue)

        async def call(_again: bool) -> T:
            with self._state.calling():
                return await call_activity(name, check, result, summary=doing, **how)

        self._view.show_activity(f"turn {self._state.turns}: {doing}")
        try:
            return await self._waits.until_served(
                what, lambda: self._process.served(call), pauses=self._gate.is_continuing
            )
        except ActivityError as error:
            if is_cancelled_exception(error):  # the step was stopped
                return None
            raise
