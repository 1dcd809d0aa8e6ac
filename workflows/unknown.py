"""The fallback for unknown workflow types, which fails them instead of leaving them blocked."""

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
    """Fails every workflow of a type that no worker knows."""

    @workflow.run
    async def run(self, _args: Sequence[RawValue]) -> None:
        """Fails at once.

        Raises:
            ApplicationError: always; the message names the known types.
        """
        name = workflow.info().workflow_type
        raise ApplicationError(
            f"unknown workflow type {name!r}; the known types are {', '.join(names.WORKFLOWS)}. "
            "Start AgentRun to run an agent",
            type=ErrorType.UNKNOWN_WORKFLOW,
            non_retryable=True,
        )
