"""The catch-all for activities that this worker does not serve."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from holdfast._util.logger import get_logger
from holdfast.errors import ErrorType

log = get_logger(__name__)


@activity.defn(dynamic=True)
async def unserved(_arguments: Sequence[RawValue]) -> None:
    """Refuses a call; the run waits for a worker that serves it.

    Raises:
        ApplicationError: always, of type NotServed.
    """
    info = activity.info()
    log.warning("this worker does not serve an activity that a run calls", activity=info.activity_type)
    raise ApplicationError(
        f"this worker does not serve {info.activity_type!r}",
        type=ErrorType.NOT_SERVED,
        category=ApplicationErrorCategory.BENIGN,
    )
