"""Reads what a run was started with, from whoever started it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError

    from holdfast.errors import ErrorType
    from holdfast.protocol import RunRequest

EXAMPLE = '{"agent": "researcher", "input": "Which limits does a run have?"}'


def parse_request(raw: RawValue) -> RunRequest:
    """Reads a RunRequest from JSON.

    Raises:
        ApplicationError: it is none; the message says what is wrong and shows one that is right.
    """
    if not raw.payload.metadata:
        raise _refusal("it was given no input")
    try:
        request = RunRequest.model_validate(workflow.payload_converter().from_payload(raw.payload))
    except ValidationError as error:
        raise _refusal("; ".join(_problem(dict(item)) for item in error.errors()[:5])) from None
    except Exception as error:  # noqa: BLE001 - whatever a payload can hold that is not JSON
        raise _refusal(f"its input cannot be read as JSON: {error}") from None
    _check_fields(request)
    return request


def _check_fields(request: RunRequest) -> None:
    """Refuses unknown fields in a request that was written by hand, where they are typing slips.

    A newer client or worker may have added fields; those are kept for the workers that know them.
    """
    if request.client_version is None and request.carried is None and (unknown := list(_unknown_fields(request))):
        raise _refusal(f"it has fields that do not exist: {', '.join(unknown)}")


def _unknown_fields(model: BaseModel, place: str = "") -> Iterator[str]:
    for name in model.model_extra or {}:
        yield f"{place}{name}"
    for name in type(model).model_fields:
        value = getattr(model, name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                yield from _unknown_fields(each, f"{place}{name}.")


def _problem(item: dict[str, object]) -> str:
    place = ".".join(str(part) for part in item["loc"]) if isinstance(item["loc"], tuple) else ""
    got = json.dumps(item["input"], default=str)[:80]
    return f"{place or 'the input'}: {item['msg']} (got {got})"


def _refusal(reason: str) -> ApplicationError:
    return ApplicationError(
        f"this run cannot start: {reason}. An AgentRun takes one JSON object such as {EXAMPLE}",
        type=ErrorType.INVALID_REQUEST,
        non_retryable=True,
    )
