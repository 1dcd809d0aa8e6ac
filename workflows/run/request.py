"""Parsing of a run's input, with error messages for people who write it by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError

    from holdfast._version import __version__
    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.protocol import RunRequest
    from holdfast.request_problems import request_problems
    from holdfast.workflows.calls import NeedsNewerWorker

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
        problems = "; ".join(_shown(*problem) for problem in request_problems(error)[:5])
        if newer := _newer_version(raw):
            raise NeedsNewerWorker(
                f"this worker of version {__version__} cannot read the input of the run, which version {newer} wrote; "
                f"the run continues on a worker of that version: {problems}"
            ) from None
        raise _refusal(problems) from None
    except Exception as error:  # noqa: BLE001 - a payload that is not JSON can raise any error
        raise _refusal(f"its input cannot be read as JSON: {error}") from None
    if request.carried is not None and workflow.info().continued_run_id is None:
        raise _refusal("its input has `carried`, which is only for runs that continue as new")
    _check_fields(request)
    return request


def _newer_version(raw: RawValue) -> str | None:
    """Returns the version that wrote a request, if it is newer than this one; a client or worker names it."""
    try:
        request = workflow.payload_converter().from_payload(raw.payload)
    except Exception:  # noqa: BLE001 - a payload that is not JSON can raise any error
        return None
    version = request.get("client_version") if isinstance(request, dict) else None
    return version if isinstance(version, str) and _numbers(version) > _numbers(__version__) else None


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d{1,9}", version)[:3]]


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
