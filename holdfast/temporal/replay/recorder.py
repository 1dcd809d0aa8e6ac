"""Workflow runner that records what workflow code decides during a replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.workflow import Info
from typing_extensions import override

from holdfast.temporal.activation_order import activate_in_order


@dataclass
class Recording:
    """The decisions of workflow code during one replay."""

    tasks: dict[int, list[WorkflowCommand]] = field(default_factory=dict)
    """The commands of each workflow task, by the id of the event that started it."""
    raised: str | None = None
    """The error that workflow code raised and that does not end a run; `None` means none."""
    accepted: int = 0
    """Id of the newest event that the replay agreed with, known when it has ended."""


class RecordingRunner(WorkflowRunner):
    """Records the decisions of the one workflow that it runs.

    Args:
        runner: runs the workflow.
        recording: receives the decisions.
    """

    def __init__(self, runner: WorkflowRunner, recording: Recording) -> None:
        self._runner = runner
        self._recording = recording

    @override
    def prepare_workflow(self, defn: object) -> None:
        self._runner.prepare_workflow(defn)  # type: ignore[arg-type]

    @override
    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._runner.set_worker_level_failure_exception_types(types)

    @override
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Instance(self._runner.create_instance(det), self._recording)


class _Instance(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance, recording: Recording) -> None:
        self._instance = instance
        self._recording = recording

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if any(job.WhichOneof("variant") == "remove_from_cache" for job in act.jobs):
            self._recording.accepted = act.history_length
            return self._instance.activate(act)
        completion = activate_in_order(self._instance.activate, act)
        commands = self._recording.tasks.setdefault(act.history_length, [])
        for command in completion.successful.commands:  # copied, as they are encoded in place
            kept = WorkflowCommand()
            kept.CopyFrom(command)
            commands.append(kept)
        if completion.HasField("failed"):
            failure = completion.failed.failure
            self._recording.raised = f"{failure.application_failure_info.type}: {failure.message}".removeprefix(": ")
        return completion

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Info:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()
