"""Commands that change what the model sees: checkpoints, restores and compactions."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.carried import CompactOrder
    from holdfast.checkpoints import turn_of
    from holdfast.commands import Command, Compact, CreateCheckpoint, Restore
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.budget_wait import BUDGET
    from holdfast.workflows.run.control import Handler, Refusal
    from holdfast.workflows.run.restoring import Restoring
    from holdfast.workflows.run.state import RunState


def context_handlers(state: RunState, restoring: Restoring) -> dict[type[Command], Handler]:
    """Returns what each of these commands does; none of them awaits.

    Args:
        state: the run.
        restoring: takes it back to a checkpoint.
    """

    def check_checkpoint(command: CreateCheckpoint) -> None:
        if turn_of(command.name) is not None or (command.id is not None and turn_of(command.id) is not None):
            raise Refusal("a turn's end has this name; choose another name and id for the checkpoint")

    def create_checkpoint(command: CreateCheckpoint, _seq: int) -> None:
        assert command.id is not None, "a command that is carried out has an id"
        state.record_checkpoint(workflow_time.now(), command.id, command.name, data=command.data, by=command.by)

    def compact(command: Compact, _seq: int) -> None:
        assert command.id is not None, "a command that is carried out has an id"
        state.context.compacting = CompactOrder(id=command.id, focus=command.focus, by=command.by)

    def until_raised() -> str | None:
        # Not at once: the summary is written by a call that costs almost what the budget has no room for.
        if BUDGET not in state.open_waits:
            return None
        return "the run waits for a larger budget; its context is compacted when the budget suffices for the next call"

    return {
        CreateCheckpoint: Handler(create_checkpoint, check_checkpoint),
        Restore: Handler(restoring.request, restoring.check),
        Compact: Handler(compact, note=until_raised),
    }
