"""Timeouts and retry policies of the workflows, each with its unit and reason."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from holdfast.types import ToolSpec

HEARTBEAT_TIMEOUT = timedelta(seconds=2.5)
"""After this time without a heartbeat, the call of a killed worker is retried. Heartbeats are sent every 0.8 s, so
two may be late. A shorter timeout would mistake a busy worker for a dead one and pay for a call twice."""

UNREPEATABLE_HEARTBEAT_TIMEOUT = timedelta(seconds=15)
"""For calls that must not take effect twice and have no claim: they are never retried, so a long timeout costs little
and a false alarm much."""

MODEL_CALL_TIMEOUT = timedelta(hours=1)
"""One attempt. Long, for models that reason for long: heartbeats detect a dead worker, the client's read timeout
detects a stalled stream, and the run's own time limit ends the rest."""

TOOL_TIMEOUT_GRACE = 10.0
"""Seconds beyond a tool's own timeout, which the activity enforces with a better message than Temporal's."""

REPEATABLE_TOOL_ATTEMPTS = 5
"""Attempts of a repeatable tool whose workers die: a call that kills its worker must not be retried forever."""

CLAIMED_ATTEMPTS = 20
"""Attempts of a call that is claimed in the ledger. However many there are, the call is made once. A worker that is
frozen, or cut off, may take several of them: Temporal gives it one for each poll that it had sent before."""

HELD_CALL_START, HELD_CALL_TRIES = timedelta(seconds=4), 2
"""How soon the process continues a call whose MCP server keeps it open there, and how often it is asked to. One that is
frozen or cut off for longer counts as lost. After the server was unavailable, the first of these times may be over."""

CONCURRENCY_WAIT = 3_700.0
"""Further seconds for a call of a tool that limits how many are made at once: it waits in its worker. Heartbeats still
show within seconds that the worker is lost."""

LEDGER_GRACE = 30.0
"""Further seconds for an attempt that asks the ledger: for the store, and for the late result of an earlier attempt."""

STORE_TIMEOUT = timedelta(seconds=15)
"""One attempt of an append; a store that needs longer counts as unavailable."""

REBUILD_TIMEOUT = timedelta(minutes=30)
"""One attempt to rebuild the mirror of a run; it heartbeats."""

FLUSH_TIMEOUT = timedelta(seconds=5)
"""How long an ended run waits for the mirror before it closes and leaves the rest to `MirrorCatchUp`."""

MAX_EVENTS = 20_000
"""Events of a history, after which a run waits for the mirror without a limit in order to continue as new: the server
terminates a workflow at 51,200."""

EVENTS_BETWEEN_TRIES = 500
"""Events between two attempts to continue as new while the mirror lags."""

MAX_PARALLEL_TOOLS = 32
"""Maximum number of concurrent tool calls of one turn; a model may request any number."""

MAX_RECORDED_CALLS = 1_000
"""Calls of one turn that are recorded; a model that asks for more does not see the rest again. The calls between the
run's own limit and this one are answered with an error."""

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=10)
"""Delays between attempts of a call that no worker serves yet. Each attempt is some ten events, and a run continues as
new between them."""

INLINE_LIMIT = 1_000_000
"""Bytes of entries in a model call's input; Temporal terminates a workflow at 2 MB. With more, the call waits for the
mirror and refers to it."""

PAGE_BYTES = 1_000_000
"""Bytes of one page of a query result; the server rejects more than 4 MB."""

QUICK_RETRY = timedelta(seconds=0.1)
"""First delay after an attempt that was lost with its worker; errors of a provider carry their own delays."""


class ActivityOptions(TypedDict, total=False):
    """The keyword arguments of `workflow.start_activity` that are set here."""

    task_queue: str | None
    schedule_to_close_timeout: timedelta | None
    schedule_to_start_timeout: timedelta
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


class LocalActivityOptions(TypedDict, total=False):
    """The keyword arguments of `workflow.execute_local_activity` that are set here."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy


LOCAL_ATTEMPT = LocalActivityOptions(
    start_to_close_timeout=timedelta(seconds=2),
    schedule_to_close_timeout=timedelta(seconds=3),
    retry_policy=RetryPolicy(maximum_attempts=1),
)
"""One short attempt, see `workflows/local.py`; a normal activity retries."""

MODEL_CALL = ActivityOptions(
    start_to_close_timeout=MODEL_CALL_TIMEOUT,
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=60)),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""Retried until the activity gives up, at the latest at the run's time limit: Temporal's limit for all attempts would
discard the text of the last one. A cancel waits for the partial reply."""

RATED_CALL_TIMEOUT = timedelta(minutes=10)
"""Wait of a model call in a task queue with a limited rate, after which the run's own task queue is tried: if no worker
serves the other one any more, as MODEL_CALLS_PER_SECOND was removed, a worker there answers; else it sends the call
back."""


def model_call(queue: str | None) -> ActivityOptions:
    """Returns the options of a model call.

    Args:
        queue: a task queue with a limited rate; `None` means that of the run.
    """
    if queue is None:
        return MODEL_CALL
    return ActivityOptions(**MODEL_CALL, task_queue=queue, schedule_to_start_timeout=RATED_CALL_TIMEOUT)


RUN_SLOT = ActivityOptions(
    start_to_close_timeout=timedelta(days=365),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10)),
)
"""Waits for a slot as long as the run's time limit allows; another worker may have one if the first is lost."""

STORE_APPEND = ActivityOptions(
    start_to_close_timeout=STORE_TIMEOUT,
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10)),
)
"""Retried without a limit, so that the mirror catches up when the store is available."""

STORE_REBUILD = ActivityOptions(
    start_to_close_timeout=REBUILD_TIMEOUT,
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
)

CHILD_FIND = ActivityOptions(
    start_to_close_timeout=timedelta(minutes=1),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_attempts=10),
)
"""After a reset. If its history cannot be read, the child is asked again."""

RESTORE_POINT = ActivityOptions(
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10)),
)
"""Reads the whole log, from the mirror or from history; retried until one of them can be read."""

APPROVAL_CHECK = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_attempts=3),
)
"""A condition looks at arguments. If none of the attempts answers, a person is asked."""

CODE_CHECK = ActivityOptions(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10), maximum_attempts=5),
)
"""Guards and validators of answers, each with a timeout of its own. A validator that fails, and whatever kills its
worker, is called again a few times."""

CODE_START = timedelta(seconds=5)
"""How soon the process that has an agent's code begins a call. Then the call is withdrawn, and the run says that it
waits for the process."""

EVENT_TOPIC = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=10),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10)),
)
"""One request to Temporal, retried until it succeeds. If it is cancelled, it either has not begun or is over."""

MEMORY_EMBED = ActivityOptions(
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=30)),
)
"""One batch, retried without a limit; until then memories are found by their words. Errors of the embedding model carry
their own delays."""


def fork(limit: timedelta) -> ActivityOptions:
    """Returns the options of the activities that a fork begins with.

    Args:
        limit: the time limit of the run.
    """
    return ActivityOptions(schedule_to_close_timeout=limit, **STORE_REBUILD)


PREPARE_ONCE = ActivityOptions(
    schedule_to_close_timeout=timedelta(minutes=1),
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(maximum_attempts=1),
)
"""One attempt; see `Preparation`, which repeats it and shows people why."""


def prepare(limit: timedelta | None) -> ActivityOptions:
    """Returns the options of the preparation of a run, which is repeated until a worker serves the agent.

    Args:
        limit: the time limit of the run; `None` means that it is not known yet.
    """
    return ActivityOptions(
        schedule_to_close_timeout=limit,
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10)),
    )


def code_ready(queue: str | None) -> ActivityOptions:
    """Returns the options of what stays in the task queue of such a process until the process answers."""
    return ActivityOptions(
        task_queue=queue,
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=RetryPolicy(initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10)),
    )


def tool_attempts(tool: ToolSpec) -> int:
    """Returns the maximum number of attempts of a tool call."""
    return max(tool.retries + 1, REPEATABLE_TOOL_ATTEMPTS) if tool.repeatable else 1


def _queued(tool: ToolSpec) -> float:
    """Returns the most seconds that a call waits for others of its tool."""
    return 0.0 if tool.concurrency is None else CONCURRENCY_WAIT


def tool_call(tool: ToolSpec) -> ActivityOptions:
    """Returns the options of a tool call: a repeatable tool is retried if its worker dies, any other runs once."""
    heartbeat = HEARTBEAT_TIMEOUT if tool.repeatable else UNREPEATABLE_HEARTBEAT_TIMEOUT
    return ActivityOptions(
        task_queue=tool.task_queue,
        start_to_close_timeout=timedelta(seconds=tool.timeout + TOOL_TIMEOUT_GRACE + _queued(tool)),
        heartbeat_timeout=heartbeat,
        retry_policy=RetryPolicy(
            initial_interval=QUICK_RETRY, maximum_interval=timedelta(seconds=10), maximum_attempts=tool_attempts(tool)
        ),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def held_call(tool: ToolSpec, queue: str) -> ActivityOptions:
    """Returns the options of what continues a call, with answers, in the process whose server keeps it open.

    Args:
        tool: the tool.
        queue: the task queue of this process. An attempt that repeats an earlier one joins it there.
    """
    how = tool_call(tool)
    how["task_queue"] = queue
    how["schedule_to_start_timeout"] = HELD_CALL_START
    how["heartbeat_timeout"] = HEARTBEAT_TIMEOUT
    how["retry_policy"] = RetryPolicy(
        initial_interval=QUICK_RETRY,
        maximum_interval=timedelta(seconds=10),
        maximum_attempts=tool_attempts(tool) if tool.repeatable else CLAIMED_ATTEMPTS,
    )
    return how


def claimed_call(tool: ToolSpec) -> ActivityOptions:
    """Returns the options of a call that must not take effect twice and is claimed in the ledger.

    It is retried if its worker dies: an attempt that finds the claim of another one does not make the call. An attempt
    that finds out what became of the call may also ask the tool's `verify`, which has the tool's timeout.
    """
    seconds = (2 if tool.verifies else 1) * tool.timeout + TOOL_TIMEOUT_GRACE + LEDGER_GRACE + _queued(tool)
    return ActivityOptions(
        task_queue=tool.task_queue,
        start_to_close_timeout=timedelta(seconds=seconds),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RetryPolicy(
            initial_interval=QUICK_RETRY,
            maximum_interval=timedelta(seconds=10),
            maximum_attempts=CLAIMED_ATTEMPTS,
        ),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
