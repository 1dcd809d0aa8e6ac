"""Workflow runner that delegates to another one; subclasses decide how activations are applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowRunner
from temporalio.workflow import Info
from typing_extensions import override


class DelegatingRunner(WorkflowRunner):
    """Runs workflows by another runner; a subclass wraps the instances that it creates.

    Args:
        runner: runs the workflows.
    """

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner

    @override
    def prepare_workflow(self, defn: object) -> None:
        self._runner.prepare_workflow(defn)  # type: ignore[arg-type]

    @override
    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._runner.set_worker_level_failure_exception_types(types)


class DelegatingInstance(WorkflowInstance):
    """A workflow that another instance executes; a subclass wraps its activations.

    Args:
        instance: executes it.
    """

    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance

    @override
    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        return self._instance.get_serialization_context(command_info)

    @override
    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        return self._instance.get_external_store_context(command_info)

    @override
    def get_info(self) -> Info:
        return self._instance.get_info()

    @override
    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()
