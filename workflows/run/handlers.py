"""The updates and signals of a run: one of each for every command, and those that answer unknown names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.call_progress import ToolProgress
    from holdfast.children import ChildReport, ReportRequest
    from holdfast.commands import COMMANDS, Command, Receipt
    from holdfast.workflows.run.control import Control

NOTHING = RawValue(Payload())
"""What a handler receives if it is sent no argument."""


class Controlled:
    """A workflow that takes commands, and messages of its parent, its children and its tools."""

    control: Control

    def child_reports(self, report: ChildReport) -> None:
        """Takes note of what a child has reported."""

    def stage_entered(self, report: ToolProgress) -> None:
        """Takes note that a call of a tool has entered a stage."""

    def parent_asks(self, *, again: bool) -> None:
        """Takes note that the parent wants to be told the end, and maybe the current status too."""


class CommandHandlers(Controlled):
    """Base class of a workflow that takes every command of `holdfast.commands`, as an update and as a signal.

    The handlers take raw values, so that a malformed one is answered instead of failing the workflow, and never await.
    """

    @workflow.update(dynamic=True)
    def _unknown_update(self, name: str, _args: Sequence[RawValue]) -> None:
        raise self.control.unknown(name)

    @_unknown_update.validator
    def _check_unknown_update(self, name: str, _args: Sequence[RawValue]) -> None:
        raise self.control.unknown(name)

    @workflow.signal(dynamic=True)
    def _unknown_signal(self, name: str, args: Sequence[RawValue]) -> None:
        self.control.refuse_signal(name, args)


def _update_of(command: type[Command]) -> Callable[..., Any]:
    class Handler(Controlled):  # the SDK wants methods, whose `self` has no annotation
        @workflow.update(name=command.NAME, description=command.DESCRIPTION)
        def update(self, given: RawValue = NOTHING) -> Receipt:
            return self.control.update(command, given)

        @update.validator
        def validate(self, given: RawValue = NOTHING) -> None:
            self.control.validate(command, given)

    return Handler.update


def _signal_of(command: type[Command]) -> Callable[..., Any]:
    def signal(self: Controlled, *given: Any) -> None:
        self.control.signal(command, *given)

    handler: Callable[..., Any] = _taking_one_argument(signal)
    return workflow.signal(name=command.NAME, description=command.DESCRIPTION)(handler)


def _report_signal() -> Callable[..., Any]:
    def signal(self: Controlled, *given: Any) -> None:
        if (report := self.control.parsed(names.SIGNAL_CHILD, ChildReport, given)) is not None:
            self.child_reports(report)

    handler: Callable[..., Any] = _taking_one_argument(signal)
    return workflow.signal(name=names.SIGNAL_CHILD, description="Sent by child runs")(handler)


def _ask_signal() -> Callable[..., Any]:
    def signal(self: Controlled, *given: Any) -> None:
        if (asked := self.control.parsed(names.SIGNAL_REPORT, ReportRequest, given or [{}])) is not None:
            self.parent_asks(again=asked.again)

    handler: Callable[..., Any] = _taking_one_argument(signal)
    return workflow.signal(name=names.SIGNAL_REPORT, description="Sent by the parent run")(handler)


def _stage_signal() -> Callable[..., Any]:
    def signal(self: Controlled, *given: Any) -> None:
        if (report := self.control.parsed(names.SIGNAL_STAGE, ToolProgress, given)) is not None:
            self.stage_entered(report)

    handler: Callable[..., Any] = _taking_one_argument(signal)
    return workflow.signal(name=names.SIGNAL_STAGE, description="Sent by tools")(handler)


def _taking_one_argument(handler: Any) -> Any:
    """Declares that a handler takes one raw value, although it takes any number.

    The SDK converts the argument as declared, and drops the declaration if there are several: they arrive as JSON
    values. A handler that did not take them would fail the workflow.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    given = inspect.Parameter("given", kind, default=NOTHING, annotation=RawValue)
    handler.__signature__ = inspect.Signature([inspect.Parameter("self", kind), given])
    handler.__annotations__ = {"given": RawValue, "return": None}
    return handler


for each in COMMANDS:
    setattr(CommandHandlers, f"update_{each.NAME}", _update_of(each))
    setattr(CommandHandlers, f"signal_{each.NAME}", _signal_of(each))
setattr(CommandHandlers, f"signal_{names.SIGNAL_CHILD}", _report_signal())
setattr(CommandHandlers, f"signal_{names.SIGNAL_REPORT}", _ask_signal())
setattr(CommandHandlers, f"signal_{names.SIGNAL_STAGE}", _stage_signal())
