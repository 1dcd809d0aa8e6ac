"""The waits of the calls of a turn: for a person's approval, and for what the run itself performs."""

from __future__ import annotations

from holdfast.commands import Command, Resolve
from holdfast.workflows.run.approvals import Approvals
from holdfast.workflows.run.code_process import CodeProcess
from holdfast.workflows.run.control import Handler
from holdfast.workflows.run.decisions import Decisions
from holdfast.workflows.run.elicitations import Elicitations
from holdfast.workflows.run.gate import Gate
from holdfast.workflows.run.lost_calls import LostCalls
from holdfast.workflows.run.operations import Operations
from holdfast.workflows.run.people import People
from holdfast.workflows.run.state import RunState
from holdfast.workflows.run.verdicts import Verdicts


class CallWaits:
    """Puts the parts together.

    Attributes:
        approvals: decides whether a call may be made.
        operations: performs calls that need no worker.
        elicitations: asks people what MCP servers ask.
        lost: asks about calls whose outcome is unknown.
        process: makes calls of code that only one process has.
    """

    def __init__(self, state: RunState, gate: Gate) -> None:
        decisions = Decisions(state)
        people = People(state, decisions, gate)
        self.process = CodeProcess(state, gate)
        self.approvals = Approvals(state, decisions, people, self.process)
        self.operations = Operations(state, decisions, people)
        self.elicitations = Elicitations(state, decisions, people)
        self.lost = LostCalls(state, gate)
        self._verdicts = Verdicts(state, decisions)

    def handlers(self) -> dict[type[Command], Handler]:
        """Returns what the commands do that end these waits."""
        return self._verdicts.handlers() | {Resolve: Handler(self.lost.apply, self.lost.check)}
