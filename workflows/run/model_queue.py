"""The task queue of a run's model calls: another one than the run's if their rate is limited."""

from __future__ import annotations

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeout

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.errors import ErrorType
    from holdfast.model_reply import ModelReply, Redirection
    from holdfast.protocol import ModelCall
    from holdfast.workflows import options
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.run.state import RunState


class ModelQueue:
    """Makes model calls in the task queue of the run's first model, and follows a call to that of another model.

    Args:
        state: the run, whose plan keeps what its calls learn about their task queue for its next executions.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state

    @property
    def _code(self) -> str | None:
        """The task queue of the process whose code makes the calls; `None` if none does, or a worker of the run."""
        spec = self._state.spec
        return spec.code_queue if spec.calls_model_itself else None

    @property
    def is_rated(self) -> bool:
        """Whether the server limits the rate of the calls, which may therefore wait."""
        return self._state.plan.model_queue is not None

    async def call(self, call: ModelCall, *, summary: str) -> ModelReply:
        """Makes a model call and returns the reply.

        Raises:
            ActivityError: the call failed.
        """
        if self._code is not None:
            how = options.ActivityOptions(**options.MODEL_CALL, task_queue=self._code)
            how["schedule_to_start_timeout"] = options.CODE_START
            return await call_activity(names.MODEL_CALL, call, ModelReply, summary=summary, **how)
        plan = self._state.plan
        queue = plan.model_queue
        while True:
            if queue is not None:  # the server counts it, so it waits for a slot rather than coming back later
                call = call.model_copy(update={"slot_only": False})
            try:
                return await call_activity(
                    names.MODEL_CALL, call, ModelReply, summary=summary, **options.model_call(queue)
                )
            except ActivityError as error:
                if queue is not None and _was_not_taken(error):  # no worker limits the rate any more, as it seems
                    queue = plan.model_queue = None
                    continue
                if (redirection := _redirection(error)) is None:
                    raise
            queue = redirection.task_queue
            if not redirection.tried:
                plan.model_queue = queue
            call = call.model_copy(
                update={
                    "tried": redirection.tried,
                    "earlier_attempts": redirection.earlier_attempts,
                    "begun_at": redirection.begun_at,
                    "spent": redirection.spent,
                }
            )


def _was_not_taken(error: ActivityError) -> bool:
    return isinstance(error.cause, ActivityTimeout) and error.cause.type == TimeoutType.SCHEDULE_TO_START


def _redirection(error: ActivityError) -> Redirection | None:
    """Returns where a call continues; `None` if it failed for another reason."""
    cause = error.cause
    if not isinstance(cause, ApplicationError) or cause.type != ErrorType.REDIRECTED:
        return None
    try:
        return Redirection.model_validate(cause.details[0])
    except (ValidationError, IndexError):
        return None
