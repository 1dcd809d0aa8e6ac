"""Parsing of a run's input, with error messages for people who write it by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError

    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.protocol import RunRequest, request_problems

EXAMPLE = '{"agent": "researcher", "input": "Which limits does a run have?"}'


def parse_request(raw: RawValue) -> RunRequest:
    """Parses a RunRequest from JSON.

    Raises:
        ApplicationError: it is invalid; the message says what is wrong and shows a valid one.
    """
    if not raw.payload.metadata:
        raise _refusal("it has no input")
    try:
        request = RunRequest.model_validate(workflow.payload_converter().from_payload(raw.payload))
    except ValidationError as error:
        raise _refusal("; ".join(_shown(*problem) for problem in request_problems(error)[:5])) from None
    except Exception as error:  # noqa: BLE001 - a payload that is not JSON can raise any error
        raise _refusal(f"its input cannot be read as JSON: {error}") from None
    _check_fields(request)
    return request


def _check_fields(request: RunRequest) -> None:
    """Rejects unknown fields in a request that was written by hand, as they are typing errors.

    Fields of a newer client or worker are kept, for the workers that know them.
    """
    if request.client_version is None and request.carried is None and (unknown := list(_unknown_fields(request))):
        raise _refusal(f"its input has unknown fields: {', '.join(unknown)}")


def _unknown_fields(model: BaseModel, place: str = "") -> Iterator[str]:
    for name in model.model_extra or {}:
        yield f"{place}{name}"
    for name in type(model).model_fields:
        value = getattr(model, name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                yield from _unknown_fields(each, f"{place}{name}.")


def _shown(place: str, reason: str, given: object) -> str:
    return f"{place or 'the input'}: {reason} (got {shortened(json.dumps(given, default=str), 80)})"


def _refusal(reason: str) -> ApplicationError:
    return ApplicationError(
        f"this run cannot start: {reason}. An AgentRun takes one JSON object such as {EXAMPLE}",
        type=ErrorType.INVALID_REQUEST,
        non_retryable=True,
    )
