"""Workflow runner that records what workflow code decides during a replay."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from typing_extensions import override

from holdfast.temporal.activation_order import activate_in_order
from holdfast.temporal.delegating_runner import DelegatingInstance, DelegatingRunner


@dataclass
class Recording:
    """The decisions of workflow code during one replay."""

    tasks: dict[int, list[WorkflowCommand]] = field(default_factory=dict)
    """The commands of each workflow task, by the id of the event that started it."""
    raised: str | None = None
    """The error that workflow code raised and that does not end a run; `None` means none."""
    accepted: int = 0
    """Id of the newest event that the replay agreed with, known when it has ended."""


class RecordingRunner(DelegatingRunner):
    """Records the decisions of the one workflow that it runs.

    Args:
        runner: runs the workflow.
        recording: receives the decisions.
    """

    def __init__(self, runner: WorkflowRunner, recording: Recording) -> None:
        super().__init__(runner)
        self._recording = recording

    @override
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Instance(self._runner.create_instance(det), self._recording)


class _Instance(DelegatingInstance):
    def __init__(self, instance: WorkflowInstance, recording: Recording) -> None:
        super().__init__(instance)
        self._recording = recording

    @override
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
