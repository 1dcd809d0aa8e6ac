"""Commands of a history with their arguments, which a replay does not compare."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payloads
from temporalio.client import WorkflowHistory

VOLATILE = {
    "run_id",
    "chain",
    "at",
    "started_at",
    "begun_at",
    "finished_at",
    "deadline",
    "digest",
    "previous_digest",
    "workspace",
}
VOLATILE |= {
    "seconds",
    "earlier_attempts",
    "id",
    "tool_call_id",
    "target",
    "run",
    "own_workspace",
    "line",
    "after",
    "held_in",
}
TIMING = {"attempts"}
"""Fields that exist or not: a busy machine may keep a worker from its heartbeats, and a call takes another attempt."""

OPTIONS = (
    "start_to_close_timeout",
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "heartbeat_timeout",
    "retry_policy",
)


def activity_commands(history: WorkflowHistory) -> list[dict[str, Any]]:
    """The activities that were asked for, with options and arguments, without what differs from run to run.

    Appends are told by their options alone: how entries are batched depends on timing. The order of calls of one
    turn does too, so they are sorted within what lies between two model calls.
    """
    groups: list[list[dict[str, Any]]] = [[]]
    for event in history.events:
        if not event.HasField("activity_task_scheduled_event_attributes"):
            continue
        scheduled = event.activity_task_scheduled_event_attributes
        command = {
            "type": scheduled.activity_type.name,
            **{field.name: MessageToDict(value) for field, value in scheduled.ListFields() if field.name in OPTIONS},
        }
        if command["type"] != "mirror.append":
            command["input"] = _plain(scheduled.input)
        if command["type"] == "model.call":
            groups.append([])
        if command not in groups[-1]:
            groups[-1].append(command)
    flat: list[dict[str, Any]] = []
    for group in groups:
        flat += sorted(group, key=lambda command: json.dumps(command, sort_keys=True))
    appends = [command for command in flat if command["type"] == "mirror.append"]
    return [*[command for command in flat if command["type"] != "mirror.append"], *appends[:1]]


def _plain(payloads: Payloads) -> list[Any]:
    return [_without_volatile(json.loads(payload.data)) for payload in payloads.payloads]


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in TIMING}
        return {key: "…" if key in VOLATILE else _without_volatile(item) for key, item in kept.items()}
    if isinstance(value, list):
        return [_without_volatile(item) for item in value]
    return "…" if isinstance(value, str) and value.startswith("recorded-") else value
