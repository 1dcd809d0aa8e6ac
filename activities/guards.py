"""The activity that calls the guards of an agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from temporalio import activity

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast._util.raised import raised
from holdfast.activities.failures import not_served
from holdfast.activities.heartbeat import repeated_if_lost
from holdfast.activities.tool_runner import ToolRunner
from holdfast.activities.tool_threads import UnfinishedCall
from holdfast.agents.agent import Agent
from holdfast.agents.guards import Guarding
from holdfast.agents.user_functions import UserFunction, run_context
from holdfast.answers import GuardCheck, GuardVerdict, GuardVerdicts
from holdfast.ports.telemetry import Check, CheckObservation, NoTelemetry, Telemetry

log = get_logger(__name__)

GUARD_ERROR = "guard_error"  # the kind of all errors that guards raise, as telemetry reports it
TIMEOUT = 30.0  # seconds for one guard and one text


class GuardActivities:
    """Calls guards.

    Args:
        find: returns the agent of a name that is served here; `None` means that there is none.
        runner: calls the guards, so that one that blocks does not stop the worker.
        max_bytes: largest text that may replace another.
        telemetry: observes each guard.
    """

    def __init__(
        self, find: Callable[[str], Agent | None], runner: ToolRunner, max_bytes: int, telemetry: Telemetry | None
    ) -> None:
        self._telemetry = telemetry or NoTelemetry()
        self._find = find
        self._runner = runner
        self._max_bytes = max_bytes

    @activity.defn(name=names.AGENT_GUARD)
    async def guard(self, check: GuardCheck) -> GuardVerdicts:
        """Returns what the guards of an agent say about each text.

        Raises:
            ApplicationError: of type NotServed; another worker has the guards with which the run began.
        """
        agent = self._find(check.agent)
        guards = agent.guards[check.on] if agent else ()
        if missing := [name for name in check.guards if name not in {guard.name for guard in guards}]:
            raise not_served(f"the guard {missing[0]!r} of agent {check.agent!r}")
        async with repeated_if_lost():
            return GuardVerdicts(verdicts=[await self._verdict(text, check, guards) for text in check.texts])

    async def _verdict(self, text: str, check: GuardCheck, guards: Sequence[UserFunction]) -> GuardVerdict:
        guarding = Guarding(text, run_context(check))
        for guard in guards:
            asked = Check(operation="guard", name=guard.name, on=check.on, text=guarding.text, asked=check)
            with self._telemetry.check(asked) as observation:
                await self._ask(guard, guarding, observation)
                observation.ended(*_said(guard, guarding.verdict))
            if guarding.is_blocked:
                break
        return guarding.verdict

    async def _ask(self, guard: UserFunction, guarding: Guarding, observation: CheckObservation) -> None:
        try:
            said = await self._runner.run(guard.name, lambda: guarding.ask(guard), TIMEOUT, is_async=guard.is_async)
        except Exception as error:  # code of the user; what no guard has seen to its end does not pass
            log.warning("a guard failed, so the text is blocked", guard=guard.name, exc_info=error)
            observation.failed(GUARD_ERROR)
            late = isinstance(error, UnfinishedCall)
            guarding.block(guard, "the guard did not end in time" if late else f"the guard failed: {raised(error)}")
        else:
            guarding.take(guard, said)
            if (size := len(guarding.text.encode())) > self._max_bytes and guarding.verdict.guard == guard.name:
                guarding.block(guard, f"the text of the guard has {size:,} bytes; the maximum is {self._max_bytes:,}")


def _said(guard: UserFunction, verdict: GuardVerdict) -> tuple[str, str]:
    """Returns what a guard has said, in a word, and why."""
    if verdict.guard != guard.name:
        return "passed", ""
    return ("replaced", "") if verdict.blocked is None else ("blocked", verdict.blocked)
