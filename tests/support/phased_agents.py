"""An agent whose calls stop at a phase that a test has chosen, until their worker is killed or they are let go."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from functools import partial
from pathlib import Path

from temporalio.worker import PollerBehaviorAutoscaling

from holdfast import Agent, Tool, ToolContext, ToolResult, tool
from holdfast.activities import ledger_calls
from holdfast.activities.claims import Claim
from holdfast.activities.ledger_calls import LedgerCalls
from holdfast.composition import worker
from holdfast.ports.ledger import CallKey, Ledger, Recorded

FOLDER = "PHASES_FOLDER"
"""Environment variable: where the phases are, and what has happened."""
LATE = "PHASES_LATE_RESULT"
"""Environment variable: seconds that an attempt waits for the result of a lost one."""
PHASES = ("before", "claimed", "begun", "effect", "recorded")
"""Before the claim, before the function is called, before the effect, after it, and after its result is recorded."""
POLL = 0.02  # seconds


class Phases:
    """The folder in which a test says where the calls of each run stop, and sees what has happened."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder

    def choose(self, run_id: str, phase: str) -> None:
        """Makes the first call of a run stop at this phase."""
        (self.folder / f"{run_id}.stop").write_text(phase)

    def has_reached(self, run_id: str) -> bool:
        """Whether the call of a run has stopped."""
        return (self.folder / f"{run_id}.reached").exists()

    def release(self, run_id: str) -> None:
        """Lets a call that has stopped continue, in a worker that is still alive."""
        (self.folder / f"{run_id}.free").touch()

    def reach(self, run_id: str, phase: str) -> bool:
        """Notes that a call has reached a phase; returns whether it must stop there."""
        stop, reached = self.folder / f"{run_id}.stop", self.folder / f"{run_id}.reached"
        if not stop.exists() or stop.read_text() != phase or reached.exists():
            return False
        reached.touch()
        return True

    def is_free(self, run_id: str) -> bool:
        """Whether a call may continue."""
        return (self.folder / f"{run_id}.free").exists()

    def take_effect(self, run_id: str) -> int:
        """Has the effect of a call, and returns how often it has had it."""
        with (self.folder / "effects").open("a") as file:
            file.write(f"{run_id}\n")
        return self.effects()[run_id]

    def effects(self) -> Counter[str]:
        """How often the calls of each run have taken effect."""
        file = self.folder / "effects"
        return Counter(file.read_text().split()) if file.exists() else Counter()


def _phases() -> Phases:
    return Phases(Path(os.environ[FOLDER]))


async def _stop(run_id: str, phase: str) -> None:
    phases = _phases()
    if phases.reach(run_id, phase):
        while not phases.is_free(run_id):  # noqa: ASYNC110 - another process frees it
            await asyncio.sleep(POLL)


@tool(destructive=True)
async def pay(context: ToolContext) -> str:
    """Pays."""
    await _stop(context.run_id, "begun")
    times = _phases().take_effect(context.run_id)
    await _stop(context.run_id, "effect")
    return f"paid {times} times"


@tool(destructive=True, on_unknown="ask")
async def pay_or_ask(context: ToolContext) -> str:
    """Pays, and asks a person if need be."""
    return str(await pay(context))


@tool(destructive=True)
def pay_blocking(context: ToolContext) -> str:
    """Pays, in a thread."""
    phases, run_id, times = _phases(), context.run_id, 0
    for phase in ("begun", "effect"):
        if phases.reach(run_id, phase):
            while not phases.is_free(run_id):
                time.sleep(POLL)
        times = times or phases.take_effect(run_id)
    return f"paid {times} times"


payer = Agent(name="payer", tools=[pay, pay_or_ask, pay_blocking], timeout=300)


def _observe() -> None:
    """Makes calls stop at phases that are not in their functions."""
    make, record = Claim.make, LedgerCalls._record

    async def observed_make(self: Claim) -> None:
        await _stop(self._key.run_id, "before")
        await make(self)
        await _stop(self._key.run_id, "claimed")

    async def observed_record(  # noqa: PLR0917 - the parameters of the original
        self: LedgerCalls, ledger: Ledger, key: CallKey, owner: str, tool: Tool, result: ToolResult
    ) -> Recorded | None:
        kept = await record(self, ledger, key, owner, tool, result)
        await _stop(key.run_id, "recorded")
        return kept

    Claim.make = observed_make  # type: ignore[method-assign]
    LedgerCalls._record = observed_record  # type: ignore[method-assign]
    # What a frozen worker has polled for is given to it, one attempt after the other.
    single = partial(PollerBehaviorAutoscaling, minimum=1, initial=1, maximum=1)
    setattr(worker, "PollerBehaviorAutoscaling", single)  # noqa: B010 - not an attribute for type checkers
    ledger_calls.LATE_RESULT = float(os.environ.get(LATE, "12"))


if FOLDER in os.environ:
    _observe()
