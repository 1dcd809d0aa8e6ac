"""Every timeout and retry policy of the workflows, with its unit and its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from holdfast.types import ToolSpec

HEARTBEAT_TIMEOUT = timedelta(seconds=2.5)
"""A killed worker's call is made again this much later at the latest; heartbeats go out every 0.8 s, so that
two may be late. Shorter would take a worker that is merely busy for a dead one, and pay for a call twice."""

UNREPEATABLE_HEARTBEAT_TIMEOUT = timedelta(seconds=15)
"""For tools that must not run twice: nothing is made again, so patience costs little and a false alarm much."""

MODEL_CALL_TIMEOUT = timedelta(hours=1)
"""One attempt. Generous, for models that think long: a dead worker shows by its heartbeats, a stalled
stream by the client's read timeout, and the run's own limit ends the rest."""

TOOL_TIMEOUT_GRACE = 10.0
"""Seconds beyond a tool's own timeout, which the activity enforces and reports in better words than Temporal."""

REPEATABLE_TOOL_ATTEMPTS = 5
"""Attempts of a repeatable tool when workers die under it: a call that kills its worker must not do so for ever."""

STORE_TIMEOUT = timedelta(seconds=15)
"""One attempt of an append; a store that needs longer is as good as away."""

REBUILD_TIMEOUT = timedelta(minutes=30)
"""One attempt to write a whole run anew; it heartbeats."""

FLUSH_PATIENCE = timedelta(seconds=5)
"""How long a run that is over waits for the mirror before it ends and leaves the rest to `MirrorCatchUp`."""

CONTINUE_AT_ANY_PRICE = 20_000
"""Events; from here a run waits for the mirror as long as it takes, as the server ends it at 51,200."""

MAX_PARALLEL_TOOLS = 32
"""Tool calls of one turn in flight at once; a model may ask for any number."""

INLINE_LIMIT = 1_000_000
"""Bytes of context or tail in a model call's input; Temporal ends a workflow at 2 MB. Beyond it the call waits
for the mirror and goes by reference alone."""

PAGE_BYTES = 1_000_000
"""Bytes of one page of a query's answer; the server cuts off at 4 MB."""

QUICK_RETRY = timedelta(seconds=0.1)
"""First pause after an attempt that was lost with its worker; errors of a provider bring their own pauses."""


class ActivityOptions(TypedDict, total=False):
    """The part of `workflow.start_activity`'s keywords that is set here."""

    task_queue: str | None
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


PREPARE = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10)),
)

MODEL_CALL = ActivityOptions(
    start_to_close_timeout=MODEL_CALL_TIMEOUT,
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=60)),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""Retried until the run's time is up, which the activity watches: Temporal's own limit for all attempts would
break off the last one together with what it had said. A cancel waits for the partial answer."""

STORE_APPEND = ActivityOptions(
    start_to_close_timeout=STORE_TIMEOUT,
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10)),
)
"""For as long as it takes: the mirror catches up whenever the store is back."""

STORE_REBUILD = ActivityOptions(
    start_to_close_timeout=REBUILD_TIMEOUT,
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
)

MEMORY_EMBED = ActivityOptions(
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=30)),
)
"""One batch, for as long as it takes: memories are found by their words meanwhile. Errors of the embedding model
bring their own pauses."""


def tool_call(tool: ToolSpec) -> ActivityOptions:
    """A repeatable tool outlives its workers; any other runs once, whatever happens."""
    heartbeat = HEARTBEAT_TIMEOUT if tool.repeatable else UNREPEATABLE_HEARTBEAT_TIMEOUT
    attempts = max(tool.retries + 1, REPEATABLE_TOOL_ATTEMPTS) if tool.repeatable else 1
    return ActivityOptions(
        task_queue=tool.task_queue,
        start_to_close_timeout=timedelta(seconds=tool.timeout + TOOL_TIMEOUT_GRACE),
        heartbeat_timeout=heartbeat,
        retry_policy=RetryPolicy(
            initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10), maximum_attempts=attempts
        ),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
