"""The activity that finds a child run which an execution before a reset has started."""

from __future__ import annotations

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast.activities.failures import EXPECTED
from holdfast.activities.heartbeat import heartbeats
from holdfast.children import ChildReport, EarlierChild, FoundChild
from holdfast.errors import ErrorType, HoldfastError, RunNotFound
from holdfast.ports import RunLog
from holdfast.types import Entry, RunId, RunResult, RunStatus

ANSWERS = (RunStatus.COMPLETED, RunStatus.FAILED)
"""Ends that answer a question; a child that was stopped is asked again."""


class ChildActivities:
    """Reads child runs from Temporal's history.

    Args:
        run_log: the histories.
    """

    def __init__(self, run_log: RunLog) -> None:
        self._log = run_log

    @activity.defn(name=names.CHILD_FIND)
    async def find(self, wanted: EarlierChild) -> FoundChild:
        """Returns how a child is, if it was asked the same and answers or will answer.

        Raises:
            ApplicationError: its history cannot be read now.
        """
        async with heartbeats():
            try:
                return FoundChild(report=await self._report(wanted) if await self._is_same(wanted) else None)
            except RunNotFound:
                return FoundChild()
            except HoldfastError as error:
                raise ApplicationError(str(error), type=ErrorType.INTERNAL, category=EXPECTED) from None

    async def _is_same(self, wanted: EarlierChild) -> bool:
        agent = parent = None
        async for entry in self._log.entries(wanted.run):
            if entry.kind == "start":
                agent, parent = entry.data["agent"]["name"], entry.data["request"].get("parent")
            elif entry.message and entry.message.role == "user":
                attached = [each.identity for each in entry.message.attachments]
                return (agent, parent, entry.message.content, attached) == (
                    wanted.agent,
                    wanted.parent,
                    wanted.input,
                    [each.identity for each in wanted.attachments],
                )
        return False

    async def _report(self, wanted: EarlierChild) -> ChildReport | None:
        snapshot = await self._log.snapshot(wanted.run)
        summary = snapshot.run.summary
        if not snapshot.ended:
            return ChildReport(run=wanted.run, status=RunStatus.RUNNING, usage=summary.tree_usage or summary.usage)
        if summary.status not in ANSWERS:
            return None
        finish = await self._entry(wanted.run, snapshot.run.head.seq)
        if finish is None or finish.kind != "finish":
            return None
        return ChildReport.of(RunResult.model_validate(finish.data["result"]))

    async def _entry(self, run: RunId, seq: int) -> Entry | None:
        async for entry in self._log.entries(run, seq - 1):
            return entry
        return None
