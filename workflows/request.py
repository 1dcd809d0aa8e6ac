"""Reads what a run was started with, from whoever started it."""

from __future__ import annotations

import json

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from holdfast.errors import ErrorType
    from holdfast.protocol import RunRequest

EXAMPLE = '{"agent": "researcher", "input": "What is promised?"}'


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
    return request


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
