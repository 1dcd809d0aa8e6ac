"""`demo crash`: kills a worker in the middle of a turn, and shows from history what was lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from holdfast import names
from holdfast._util.concurrency import beside
from holdfast.cli.evidence import Crash, Evidence, calls_in
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.own_stack import own_stack
from holdfast.cli.render.crash_report import document, show_evidence, show_verdict, verdict
from holdfast.cli.render.narrator import Narrator
from holdfast.cli.render.outcome import Outcome
from holdfast.cli.render.output import Output
from holdfast.cli.session import Session
from holdfast.client.run_handle import RunHandle
from holdfast.errors import HoldfastError, WorkerUnavailable
from holdfast.stack import Part, kill
from holdfast.stack.process import PACKAGE_PARENT
from holdfast.stack.state import StateFile
from holdfast.stack.worker import identity
from holdfast.types import Entry

DOCUMENTS = PACKAGE_PARENT / "holdfast" / "docs"
QUESTION = "What happens to a run when its worker is killed?"
ATTEMPTS = 5  # runs; one that ends before its worker was killed in the middle of a turn proves nothing
POLL_INTERVAL = 0.002  # seconds; the scripted model answers within 20 ms
COMEBACK_TIMEOUT = 30.0  # seconds; it takes less than one
COMEBACK_INTERVAL = 0.05  # seconds between looks
SETTLE = 0.05  # seconds until everything that the stopped worker had sent has arrived

EXAMPLES = """
    $ demo crash
    $ demo crash --json | jq .verdict
"""


async def crash(json: JsonOption = False) -> ExitCode:
    """Kills the worker in the middle of a turn, and shows what is lost.

    The demo has a local stack of its own, in a temporary folder, with your model if
    one is configured. A run of `researcher` reads the project's own documents. Meanwhile
    the worker gets SIGKILL; it comes back by itself. The report at the end comes from
    the run's history in Temporal. Exit code 1 when a finished call was repeated, or the
    run did not end well.
    """
    out = Output(json=json)
    async with own_stack(out) as session:
        for _ in range(ATTEMPTS):
            run = await _start(session)
            found = await _crash_and_follow(session, run)
            if found:
                return await _report(session, run, found)
            out.note("that run ended before its worker could be killed in the middle of a turn; trying again")
    raise HoldfastError(f"{ATTEMPTS} runs ended before their worker could be killed in the middle of a turn; try again")


async def _start(session: Session) -> RunHandle:
    run_id = f"demo-crash-{uuid4().hex[:8]}"
    workspace = session.settings.holdfast_home.absolute() / "workspaces" / run_id
    files = _copy_documents(workspace)
    run = await session.runs.start("researcher", QUESTION, id=run_id, workspace=workspace)
    session.out.say(("run ", "dim"), (run.id, "bold"), (f" on {files} of the project's documents", "dim"))
    return run


def _copy_documents(workspace: Path) -> int:
    """A copy, so that the report does not end up among the project's own files."""
    documents = sorted(DOCUMENTS.rglob("*.md"))
    for original in documents:
        copy = workspace / original.relative_to(DOCUMENTS.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(original, copy)
    return len(documents)


class _Viewer:
    """Follows a run, and can be stopped and resumed, as a dead worker answers no queries."""

    def __init__(self, run: RunHandle, out: Output) -> None:
        self._run = run
        self._narrator = Narrator(out)
        self._after = -1
        self._turn = 0
        self._has_shown_result = False

    async def follow(self) -> None:
        """Shows what happens from here until the run ends."""
        try:
            async for event in self._run.events(self._after):
                self._narrator.show(event)
                if isinstance(event, Entry):
                    self._after, self._turn = event.seq, event.turn
                    self._has_shown_result |= event.kind == "tool_result"
        finally:
            self._narrator.end()

    def is_past_first_turn(self, description: WorkflowExecutionDescription) -> bool:
        """Returns whether a worker is making a call of a later turn than the first, which has been shown."""
        begun = [
            pending.activity_type.name
            for pending in description.raw_description.pending_activities
            if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        ]
        in_model = names.MODEL_CALL in begun and self._has_shown_result
        in_tool = any(name.startswith(names.TOOL_PREFIX) for name in begun) and self._turn > 1
        return in_model or in_tool


async def _crash_and_follow(session: Session, run: RunHandle) -> Crash | None:
    """Follows the run to its end, with a crash on the way; `None` means that the run was too fast for one."""
    viewer = _Viewer(run, session.out)
    worker = _worker(session)
    if worker is None:
        raise WorkerUnavailable("the demo's stack has no worker to kill")
    async with beside(viewer.follow()):
        killed = await _kill_in_mid_turn(session, run, worker, viewer)
    crash = await _comeback(session, worker, killed) if killed else None
    await viewer.follow()
    return crash


def _worker(session: Session) -> Part | None:
    return StateFile(session.settings.holdfast_home).read().alive("worker")


async def _comeback(session: Session, worker: Part, killed: datetime) -> Crash:
    """Waits until the supervisor of the stack has started the worker again."""
    out = session.out
    out.say((f"kill -9 {worker.pid}", "bold red"), "  the worker died in the middle of a turn")
    try:
        async with asyncio.timeout(COMEBACK_TIMEOUT):
            new = worker
            while new.pid == worker.pid:
                await asyncio.sleep(COMEBACK_INTERVAL)
                new = _worker(session) or worker
    except TimeoutError:
        raise WorkerUnavailable(f"the worker was not started again within {COMEBACK_TIMEOUT:.0f} s") from None
    out.say(("the worker is back", "bold green"), f"  pid {new.pid}, started by the stack's supervisor")
    return Crash(worker=identity(worker.pid), killed=killed, restarted=new.since)


async def _kill_in_mid_turn(session: Session, run: RunHandle, worker: Part, viewer: _Viewer) -> datetime | None:
    """Kills the worker during a call, once a turn was shown; `None` means that the run ended first.

    The worker is stopped first: a stopped process cannot finish the call before the kill.
    """
    handle = session.client.get_workflow_handle(run.id)
    while (description := await handle.describe()).status == WorkflowExecutionStatus.RUNNING:
        if viewer.is_past_first_turn(description):
            os.kill(worker.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(SETTLE)
                if viewer.is_past_first_turn(await handle.describe()):
                    await kill(worker)
                    return datetime.now(UTC)
            finally:
                if worker.is_alive:
                    os.kill(worker.pid, signal.SIGCONT)
        await asyncio.sleep(POLL_INTERVAL)
    return None


async def _report(session: Session, run: RunHandle, crash: Crash) -> ExitCode:
    out = session.out
    outcome = Outcome((await run.result()).run.model_copy(update={"files": []}), None)  # the stack goes with its files
    history = await session.client.get_workflow_handle(run.id).fetch_history()
    evidence = Evidence(await calls_in(history.events, session.client.data_converter), crash)
    if out.json:
        out.document({**document(evidence, outcome.result), "result": outcome.document()})
    else:
        out.say()
        show_evidence(out, evidence)
        out.say()
        show_verdict(out, evidence, outcome.result)
        out.say()
        outcome.show_facts(out, hint=False)
    return ExitCode.OK if verdict(evidence, outcome.result) else ExitCode.FAILED
