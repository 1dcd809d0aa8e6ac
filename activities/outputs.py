"""The activity that validates answers, where the class of the answers is, or else by their JSON schema."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast._util.raised import raised
from holdfast.activities.failures import EXPECTED, not_served
from holdfast.activities.heartbeat import repeated_if_lost
from holdfast.activities.tool_runner import ToolRunner
from holdfast.activities.tool_threads import UnfinishedCall
from holdfast.agents.agent import Agent
from holdfast.agents.output import BadOutput, Output, check_text, repair_request, validated
from holdfast.agents.tool import ToolError
from holdfast.agents.user_functions import run_context
from holdfast.answers import OutputCheck, OutputVerdict
from holdfast.errors import ErrorType
from holdfast.output_schema import is_text
from holdfast.ports.telemetry import Check, NoTelemetry, Telemetry

log = get_logger(__name__)

TIMEOUT = 60.0  # seconds for one answer, with the user's validators
REPAIRABLE = (ToolError, ValueError, AssertionError)
"""What a validator raises to have an answer repaired, as pydantic's do; any other error is one of its own."""


class OutputActivities:
    """Validates answers.

    Args:
        find: returns the agent of a name that is served here; `None` means that there is none.
        runner: calls the users' validators, so that one that blocks does not stop the worker.
        max_bytes: largest answer; the model's own are no larger, but what a validator makes of one may be.
        telemetry: observes each validation.
    """

    def __init__(
        self, find: Callable[[str], Agent | None], runner: ToolRunner, max_bytes: int, telemetry: Telemetry | None
    ) -> None:
        self._telemetry = telemetry or NoTelemetry()
        self._find = find
        self._runner = runner
        self._max_bytes = max_bytes

    @activity.defn(name=names.AGENT_OUTPUT)
    async def validate(self, check: OutputCheck) -> OutputVerdict:
        """Validates an answer.

        Raises:
            ApplicationError: of type NotServed, if another worker has the agent's code; of type OutputInvalid, if a
                validator fails, which is retried.
        """
        output = self._output(check) if check.json_schema is None else None
        asked = Check(operation="validate_output", name=check.agent, on="output", text=check.text, asked=check)
        with self._telemetry.check(asked) as observation:
            try:
                verdict = await self._verdict(check, output)
            except ApplicationError as error:
                observation.failed(error.type or ErrorType.OUTPUT_INVALID)
                raise
            word = "changed" if verdict.content is not None else "valid"
            observation.ended("invalid" if verdict.error is not None else word, verdict.error or "")
        return verdict

    def _output(self, check: OutputCheck) -> Output:
        agent = self._find(check.agent)
        if agent is None or agent.typed_output is None:
            raise not_served(f"the output type of agent {check.agent!r}")
        return agent.typed_output

    async def _verdict(self, check: OutputCheck, output: Output | None) -> OutputVerdict:
        try:
            async with repeated_if_lost():
                text = await self._validated(check, output)
        except BadOutput as error:
            return OutputVerdict(error=str(error))
        except ApplicationError:
            raise
        except Exception as error:  # noqa: BLE001 - code of the user; it is logged where it is described
            raise self._failure(check, error) from None
        if text == check.text:
            return OutputVerdict()
        if (size := len(text.encode())) > self._max_bytes:
            reason = f"the answer has {size:,} bytes when it is validated; the maximum is {self._max_bytes:,}"
            raise ApplicationError(reason, type=ErrorType.OUTPUT_INVALID, non_retryable=True, category=EXPECTED)
        return OutputVerdict(content=text)

    async def _validated(self, check: OutputCheck, output: Output | None) -> str:
        """Returns a valid answer; `output` validates it, or else its schema does."""
        if output is not None:
            return await self._by_code(output, check)
        schema = check.json_schema or {}
        by_schema = check_text if is_text(schema) else validated
        return await asyncio.to_thread(by_schema, check.text, schema)

    async def _by_code(self, output: Output, check: OutputCheck) -> str:
        """Validates an answer by the type of the agent, and by its own validator."""
        name = f"the output type of {check.agent}"
        value = await self._runner.run(name, lambda: output.parse(check.text), TIMEOUT)
        written: str | None = check.text
        if (validator := output.validator) is not None:
            context = run_context(check)
            try:
                said = await self._runner.run(
                    validator.name, lambda: validator(value, context), TIMEOUT, is_async=validator.is_async
                )
            except REPAIRABLE as error:
                raise BadOutput(repair_request([str(error) or type(error).__name__])) from None
            if said is not None and said is not value:
                value, written = said, None
        return output.shown(value, written)

    def _failure(self, check: OutputCheck, error: Exception) -> ApplicationError:
        told = str(error) if isinstance(error, UnfinishedCall) else raised(error)
        log.warning("validating an answer failed", agent=check.agent, run_id=check.run_id, reason=told, exc_info=error)
        reason = f"the answer could not be validated: {told}"
        return ApplicationError(reason, type=ErrorType.OUTPUT_INVALID, category=EXPECTED)
