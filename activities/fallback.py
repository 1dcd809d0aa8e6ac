"""Fallback: the models of a call are asked one after the other, until one of them answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast._util.logger import get_logger
from holdfast.activities.failures import EXPECTED
from holdfast.activities.retries import Attempt, retry_pause
from holdfast.bounds import shortened
from holdfast.errors import ContextOverflow, ErrorType, ModelError, ModelRefused, ModelUnavailable, OutOfCredit
from holdfast.fault_reason import FaultReason
from holdfast.model_reply import ModelReply, Redirection, TriedModel
from holdfast.ports import ChatModel
from holdfast.protocol import ModelCall
from holdfast.types import Context, Usage

log = get_logger(__name__)

MAX_TOLD = 500  # characters of an error that are recorded with the reply

OnRequest = Callable[[int, Sequence[TriedModel]], AbstractContextManager[Callable[[str], None]]]
"""Prepares for the text of a request, given its number within the call and the models that were tried before."""


class Redirected(Exception):
    """A call must continue in another task queue.

    Attributes:
        redirection: where and how.
    """

    def __init__(self, redirection: Redirection) -> None:
        super().__init__(f"the call continues in task queue {redirection.task_queue!r}")
        self.redirection = redirection

    def failure(self, spent: Usage) -> ApplicationError:
        """Returns the failure of the activity.

        Args:
            spent: what the call has used so far.
        """
        if spent.requests:
            self.redirection.spent = spent
        return ApplicationError(
            str(self), self.redirection, type=ErrorType.REDIRECTED, non_retryable=True, category=EXPECTED
        )


class Fallback:
    """Asks the models of a call in order; a call with one model is made as if this did not exist.

    The next model is asked at once if one is unavailable or its account has no credit, also if its reply breaks off.
    Of a model with a rate limit, Temporal first repeats the call for as long as `patience` allows. A refusal of the
    first model fails the call, as it is an error of the request or the settings; that of a later one is passed over.

    Args:
        model: makes the calls.
        queue_of: returns the task queue of a model, whose rate the server limits; `None` means that it is not limited.
        patience: how long a call waits for models with a rate limit, from its first attempt.
    """

    def __init__(self, model: ChatModel, queue_of: Callable[[str | None], str | None], patience: timedelta) -> None:
        self._model = model
        self._queue_of = queue_of
        self._patience = patience

    async def complete(
        self, call: ModelCall, context: Context, on_request: OnRequest, max_output: int | None = None
    ) -> ModelReply:
        """Returns the reply of the first model that answers, with those that were tried before.

        Args:
            call: the call.
            context: what it sends.
            on_request: called before each request.
            max_output: tokens that the reply may have; `None` means no limit.

        Raises:
            ModelError: none has answered.
            Redirected: the call must continue in another task queue.
        """
        models: Sequence[str | None] = context.spec.models or [None]
        attempt = Attempt.of(call)
        # An attempt that Temporal repeats begins with the first model again.
        tried = list(call.tried) if activity.info().attempt == 1 else []
        errors: list[ModelError] = []
        for model in models[len(tried) :]:
            self._check_queue(call, model, tried, is_first=not errors)
            number = (attempt.number - 1) * len(models) + len(tried) + 1
            try:
                with on_request(number, tried) as on_text:
                    reply = await self._ask(context, model, on_text, max_output)
            except ModelError as error:
                if len(models) == 1 or not self._falls_over(error, attempt, is_first=not tried):
                    raise
                log.warning("a model did not answer", model=model, reason=error.reason.value, detail=str(error))
                errors.append(error)
                tried.append(
                    TriedModel(model=model or "", reason=error.reason, message=shortened(str(error), MAX_TOLD))
                )
            else:
                if tried:
                    reply.tried = tried
                return reply
        raise _of_all(errors, tried)

    async def _ask(
        self, context: Context, model: str | None, on_text: Callable[[str], None], max_output: int | None
    ) -> ModelReply:
        spec = context.spec if context.spec.model == model else context.spec.model_copy(update={"model": model})
        return await self._model.complete(spec, context.messages, on_text=on_text, max_output=max_output)

    def _falls_over(self, error: ModelError, attempt: Attempt, *, is_first: bool) -> bool:
        """Whether the next model is asked after an error, if there is one."""
        if isinstance(error, ModelUnavailable):
            if error.reason != FaultReason.RATE_LIMITED:
                return True
            pause = retry_pause(attempt.number, error.retry_after)
            return attempt.now + pause > attempt.first_at + self._patience
        return isinstance(error, OutOfCredit) or not is_first

    def _check_queue(self, call: ModelCall, model: str | None, tried: Sequence[TriedModel], *, is_first: bool) -> None:
        """Checks that a request may be made here: the server has counted the first one of this task queue, only.

        Raises:
            Redirected: the request must be made in another task queue, or be counted in this one.
        """
        queue, info = self._queue_of(model), activity.info()
        if queue is None or (queue == info.task_queue and is_first):
            return
        attempt = Attempt.of(call)
        raise Redirected(
            Redirection(
                task_queue=queue, tried=list(tried), earlier_attempts=attempt.number - 1, begun_at=attempt.first_at
            )
        )


def _of_all(errors: Sequence[ModelError], tried: Sequence[TriedModel]) -> ModelError:
    """Returns the error of a call for which no model has answered: temporary if one of theirs is.

    Args:
        errors: those of the requests that were made here.
        tried: all models, also those that were asked in other task queues.
    """
    told = "; ".join(f"{item.model}: {item.message}" for item in tried)
    message = f"none of the {len(tried)} models has answered: {told}"
    reasons = [FaultReason(item.reason) for item in tried if FaultReason(item.reason).is_temporary]
    if reasons:
        temporary = [error for error in errors if isinstance(error, ModelUnavailable)]
        is_all = len(temporary) == len(reasons)
        pauses = [error.retry_after for error in temporary if error.retry_after is not None]
        attempts = [error.max_attempts for error in temporary if error.max_attempts is not None]
        return ModelUnavailable(
            message,
            min(pauses) if is_all and len(pauses) == len(reasons) else None,
            max_attempts=max(attempts) if is_all and len(attempts) == len(reasons) else None,
            reason=reasons[0],
        )
    if overflow := next((error for error in errors if isinstance(error, ContextOverflow)), None):
        return ContextOverflow(message, limit=overflow.limit, size=overflow.size)
    return ModelRefused(message)
