"""Replays of histories on the workflow code of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.client import HeaderCodecBehavior, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.runtime import Runtime
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from holdfast.errors import HoldfastError, PayloadUnreadable
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.replay.difference import Difference, find_difference, sdk_message
from holdfast.temporal.replay.recorder import Recording, RecordingRunner

TIME_LIMIT = timedelta(minutes=10)  # for one history; 10,000 turns take less than two minutes


@dataclass(frozen=True)
class HistoryReplayer:
    """Replays histories with the workflow code of this process; it calls no activity and changes nothing.

    A replay compares the order and the types of calls, timers and child workflows. It does not notice other arguments,
    timeouts and retries.
    """

    workflows: Sequence[type]
    converter: DataConverter
    failures: Sequence[type[BaseException]]
    """Errors of workflow code that end a run instead of its workflow task; see `Worker`."""
    runtime: Runtime | None = None
    """Of the SDK's native part; `None` means the default one."""

    async def replay(self, history: WorkflowHistory) -> Difference | None:
        """Returns the first difference between a history and the code; `None` means that there is none.

        Raises:
            PayloadUnreadable: a payload of the history cannot be read here.
            HoldfastError: the replay did not end.
        """
        if not any(event.HasField("workflow_task_completed_event_attributes") for event in history.events):
            return None  # nothing is decided yet, and the SDK would wait for it
        recording = Recording()
        failure = await self._failure(history, recording)
        if failure is None:
            return None
        await self._check_readable(history)
        found = find_difference(history.events, recording)
        recorded = await self._text(found.recorded.summary if found.recorded else None)
        decided = self._plain(found.decided.summary if found.decided else None)
        return found.told(recorded, decided, sdk_message(failure))

    async def _failure(self, history: WorkflowHistory, recording: Recording) -> BaseException | None:
        replayer = Replayer(
            workflows=self.workflows,
            data_converter=self.converter,
            workflow_runner=RecordingRunner(UnsandboxedWorkflowRunner(), recording),
            workflow_failure_exception_types=self.failures,
            header_codec_behavior=HeaderCodecBehavior.CODEC,
            runtime=self.runtime,
            build_id="replay",  # the SDK's default is a digest of all loaded modules, which takes a second
        )
        replaying = asyncio.ensure_future(replayer.replay_workflow(history, raise_on_replay_failure=False))
        done, _ = await asyncio.wait([replaying], timeout=TIME_LIMIT.total_seconds())
        if not done:  # its cancellation may not end either
            raise HoldfastError(f"the replay of {history.workflow_id!r} has not ended within {TIME_LIMIT}")
        try:
            return replaying.result().replay_failure
        except (PayloadUnreadable, OSError):
            raise
        except Exception as error:
            raise HoldfastError(f"{history.workflow_id!r} cannot be replayed: {error}") from error

    async def _check_readable(self, history: WorkflowHistory) -> None:
        """Checks that what workflow code read can be read here; else it has decided on something else."""
        with translated_errors(history.workflow_id):
            for event in history.events:
                for payloads in (
                    event.workflow_execution_started_event_attributes.input.payloads,
                    event.activity_task_completed_event_attributes.result.payloads,
                    event.marker_recorded_event_attributes.details.get("result", Payloads()).payloads,
                ):
                    await self.converter.decode(payloads)

    async def _text(self, summary: Payload | None) -> str:
        """Returns what a recorded summary says; an empty text if it cannot be read here."""
        try:
            return "" if summary is None else str((await self.converter.decode([summary], [str]))[0])
        except Exception:  # noqa: BLE001 - it is only shown
            return ""

    def _plain(self, summary: Payload | None) -> str:
        """Returns what a summary of this process says."""
        return "" if summary is None else str(self.converter.payload_converter.from_payloads([summary], [str])[0])
