"""Local activities: one attempt within the current workflow task, which saves six events and a round trip."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from holdfast.workflows.options import LOCAL_ATTEMPT


async def attempt_locally(name: str, *arguments: Any, result_type: type) -> Any | None:
    """Makes one attempt at an activity that takes some milliseconds and may be repeated.

    Returns:
        Its result. None: it failed, or this worker serves no activities; a normal activity then retries, visibly.
    """
    try:
        return await workflow.execute_local_activity(name, args=arguments, result_type=result_type, **LOCAL_ATTEMPT)
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.info("%s failed as a local activity: %s", name, error)
    except ValueError:  # the SDK does not schedule what this worker does not serve
        pass
    return None
