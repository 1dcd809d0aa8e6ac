"""Fails whatever workflow type nobody here knows, instead of leaving it to hang."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.errors import ErrorType


@workflow.defn(dynamic=True)
class UnknownWorkflow:
    """The catch-all."""

    @workflow.run
    async def run(self, _args: Sequence[RawValue]) -> None:
        """Fails at once.

        Raises:
            ApplicationError: always, naming the types that are known.
        """
        name = workflow.info().workflow_type
        raise ApplicationError(
            f"there is no workflow type {name!r}; known: {', '.join(names.WORKFLOWS)}. An agent is run by AgentRun",
            type=ErrorType.UNKNOWN_WORKFLOW,
            non_retryable=True,
        )
