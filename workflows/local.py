"""Local activities: one attempt within the current workflow task, which saves six events and a round trip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from holdfast.workflows.calls import decoded
    from holdfast.workflows.options import LOCAL_ATTEMPT


async def attempt_locally(
    name: str, *arguments: Any, result_type: type, on_failure: Callable[[FailureError], None] | None = None
) -> Any | None:
    """Makes one attempt of an activity that takes a few milliseconds and can be repeated safely.

    Args:
        name: the activity.
        *arguments: its arguments.
        result_type: the type of its result.
        on_failure: called with the error if the attempt failed.

    Returns:
        The result; `None` means that the attempt failed or that this worker serves no activities. The caller then
        schedules a normal activity, whose retries people can see.
    """
    try:
        raw = await workflow.execute_local_activity(name, args=arguments, result_type=RawValue, **LOCAL_ATTEMPT)
        return decoded(name, raw, result_type)
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        if on_failure:
            on_failure(error)
        workflow.logger.info("%s failed as a local activity: %s", name, error)
    except ValueError:  # the SDK does not schedule what this worker does not serve
        pass
    return None
