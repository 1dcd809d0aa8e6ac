"""Calls of activities, whose results are decoded here: a malformed one fails the call, not the workflow task."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar, Unpack

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.types import RunError
    from holdfast.workflows.options import ActivityOptions

T = TypeVar("T")

SUMMARY_CHARS = 200  # shown on one line by Temporal's UI
MESSAGE_CHARS = 20_000  # of an error, which is part of several payloads


async def call_activity(
    name: str, argument: Any, result_type: type[T], *, summary: str, **options: Unpack[ActivityOptions]
) -> T:
    """Calls an activity and returns its result.

    Raises:
        ActivityError: the activity failed.
        ApplicationError: its result is not a `result_type`.
    """
    arguments = argument if isinstance(argument, tuple) else (argument,)
    raw: RawValue | None = await workflow.execute_activity(
        name, args=arguments, result_type=RawValue, summary=shortened(summary, SUMMARY_CHARS), **options
    )
    return decoded(name, raw, result_type)


def decoded(name: str, raw: RawValue | None, result_type: type[T]) -> T:
    """Decodes the result of an activity.

    Raises:
        ApplicationError: it is not a `result_type`; another program may serve the activity.
    """
    try:
        if raw is None:
            raise ValueError("there is none")
        return workflow.payload_converter().from_payload(raw.payload, result_type)
    except Exception as error:
        raise ApplicationError(
            f"the result of {shortened(name, SUMMARY_CHARS)} is not a {result_type.__name__}: {error}",
            type=ErrorType.INTERNAL,
            non_retryable=True,
        ) from error


def raise_cancel(error: FailureError) -> None:
    """Raises CancelledError if a call has failed because it was cancelled: its caller was stopped."""
    if is_cancelled_exception(error):
        raise asyncio.CancelledError from None


class NeedsNewerWorker(Exception):
    """A run has an input that only a newer version reads."""


def error_type(error: ActivityError) -> str | None:
    """Returns the type of an activity's failure; `None` if it has none."""
    return error.cause.type if isinstance(error.cause, ApplicationError) else None


def must_retry(error: Exception) -> bool:
    """Whether an error must fail the workflow task, which is retried, so that a worker with other code can continue."""
    return isinstance(error, workflow.NondeterminismError | NeedsNewerWorker)


def unexpected(error: Exception) -> RunError:
    """Returns an error of the workflow itself as the reason why a run failed."""
    if isinstance(error, FailureError):
        kind = error.type if isinstance(error, ApplicationError) and error.type else ErrorType.INTERNAL
        return RunError(type=kind, message=shortened(error.message, MESSAGE_CHARS))
    message = f"the run cannot continue: {type(error).__name__}: {error}"
    return RunError(type=ErrorType.INTERNAL, message=shortened(message, MESSAGE_CHARS))
