"""Validation of workflow inputs: a malformed input fails its workflow instead of blocking it."""

from __future__ import annotations

from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError

    from holdfast.errors import ErrorType

M = TypeVar("M", bound=BaseModel)


def checked_input(kind: type[M], given: object, *, name: str, example: str) -> M:
    """Returns the input of a workflow as a model.

    Args:
        kind: what the workflow takes.
        given: the input as it was decoded.
        name: the type of the workflow, for the message.
        example: a valid input, as JSON.

    Raises:
        ApplicationError: the input is not a `kind`; not retryable.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise ApplicationError(
            f"{name} needs an input such as {example}: {error.errors()[0]['msg']}",
            type=ErrorType.INVALID_REQUEST,
            non_retryable=True,
        ) from None
