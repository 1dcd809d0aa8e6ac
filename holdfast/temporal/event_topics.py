"""Events that runs wait for by name, as signals to an `EventTopic` workflow."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from typing_extensions import override

from holdfast import names
from holdfast.errors import UsageError
from holdfast.event_topics import EmittedEvent, EventTopicState, EventWaiter, event_topic_id
from holdfast.ports.event_topics import EventTopics
from holdfast.rejection import reason_of
from holdfast.temporal.connection import translated_errors


class TemporalEventTopics(EventTopics):
    """Starts the workflow of a name together with the signal to it, in one request.

    Args:
        client: connected to the namespace of the runs.
        task_queue: the task queue of the runs; each has events of its own.
    """

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    @override
    async def emit(self, name: str, event: EmittedEvent) -> None:
        await self._signal(name, names.SIGNAL_EMIT, event)

    @override
    async def register(self, name: str, waiter: EventWaiter) -> None:
        await self._signal(name, names.SIGNAL_AWAIT, waiter)

    async def _signal(self, name: str, signal: str, content: BaseModel) -> None:
        try:
            topic = EventTopicState(name=name)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"the event name {name!r:.80} is not accepted: {reason_of(first)}") from None
        with translated_errors():
            await self._client.start_workflow(
                names.EVENT_TOPIC,
                topic,
                id=event_topic_id(self._task_queue, name),
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                start_signal=signal,
                start_signal_args=[content],
                static_summary=f"event {name}",
            )
