"""`list`, `watch`, `transcript`, `result`, `cancel`, `terminate`: what is done with runs that there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from holdfast.cli.exit_code import ExitCode, for_result
from holdfast.cli.following import follow, wait
from holdfast.cli.options import JsonOption, RunIdArgument, seconds
from holdfast.cli.program import command
from holdfast.cli.render.listing import empty, show_runs, total
from holdfast.cli.render.outcome import Outcome
from holdfast.cli.render.output import Output
from holdfast.cli.render.transcript import show_message
from holdfast.cli.session import connected
from holdfast.types import Entry, RunStatus

DEFAULT_LIMIT = 20

LIST_EXAMPLES = """
    $ list
    $ list --status failed --limit 100
    $ list --agent researcher --json
"""


async def list_runs(
    status: Annotated[RunStatus | None, typer.Option(metavar="STATUS", help=f"One of: {' '.join(RunStatus)}.")] = None,
    agent: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this agent.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Show at most this many.")] = DEFAULT_LIMIT,
    json: JsonOption = False,
) -> None:
    """Lists runs, newest first."""
    out = Output(json=json)
    async with connected(out) as session:
        runs = [run async for run in session.runs.list(status=status, agent=agent, limit=limit)]
    if json:
        out.document([run.model_dump(mode="json") for run in runs])
    elif runs:
        show_runs(out, runs, datetime.now(UTC))
        if more := total(len(runs), limit):
            out.note(more)
    elif status or agent:
        out.note(empty(filtered=True))
    else:
        out.note(f"{empty(filtered=False)}; start one: {command('run', 'researcher', 'What is promised?')}")


WATCH_EXAMPLES = """
    $ watch researcher-3f9a12bc
    $ watch researcher-3f9a12bc --json | jq '.entries | length'
"""


async def watch(run_id: RunIdArgument, json: JsonOption = False) -> ExitCode:
    """Shows a run from its beginning and follows it until it ends.

    Any number may watch. Ctrl-C ends only the watching. With --json one document
    is written at the end: `entries` and `result`.
    """
    out = Output(json=json)
    entries: list[Entry] = []
    async with connected(out) as session:
        result = await follow(session, session.run(run_id), entries=entries)
        outcome = Outcome.of(session, result)
    if json:
        plain = [entry.model_dump(mode="json") for entry in entries]
        out.document({"entries": plain, "result": outcome.document()})
    else:
        out.say()
        outcome.show_facts(out)
    return for_result(result)


TRANSCRIPT_EXAMPLES = """
    $ transcript researcher-3f9a12bc
    $ transcript researcher-3f9a12bc --json > transcript.json
"""


async def transcript(run_id: RunIdArgument, json: JsonOption = False) -> None:
    """Prints the messages of a run in full.

    What the model was told, what it said and what the tools gave.
    """
    out = Output(json=json)
    async with connected(out) as session:
        await session.has_worker()
        messages = []
        async for message in session.run(run_id).transcript():
            messages.append(message.model_dump(mode="json"))
            if not json:
                show_message(out, message)
    if json:
        out.document(messages)


RESULT_EXAMPLES = """
    $ result researcher-3f9a12bc
    $ result researcher-3f9a12bc --timeout 30 || echo "not yet"
    $ result researcher-3f9a12bc --json | jq -r .output
"""


async def result(
    run_id: RunIdArgument,
    timeout: Annotated[
        float | None, typer.Option(metavar="S", callback=seconds, help="Seconds to wait. Default: for ever.")
    ] = None,
    json: JsonOption = False,
) -> ExitCode:
    """Waits until a run has ended and prints what it answered.

    Exit code: how the run ended, as `run` has it; 124 when --timeout has passed,
    and then the run goes on.
    """
    out = Output(json=json)
    async with connected(out) as session:
        ended = await wait(session, session.run(run_id), timeout=timeout)
        outcome = Outcome.of(session, ended)
    if json:
        out.document(outcome.document())
    else:
        outcome.show_output(out)
        outcome.show_facts(out)
    return for_result(ended)


CANCEL_EXAMPLES = """
    $ cancel researcher-3f9a12bc
"""


async def cancel(run_id: RunIdArgument, json: JsonOption = False) -> None:
    """Asks a run to stop, and keeps what there is.

    A call in flight is broken off; the text that it gave is kept. Returns at
    once; `result` waits for the end.
    """
    out = Output(json=json)
    async with connected(out) as session:
        await session.run(run_id).cancel()
    if json:
        out.document({"run_id": run_id, "requested": "cancel"})
    else:
        out.say(f"{run_id} was asked to stop; its end: {command('result', run_id)}")


TERMINATE_EXAMPLES = """
    $ terminate researcher-3f9a12bc --reason "hangs in a tool"
"""


async def terminate(
    run_id: RunIdArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the run's history.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Ends a run at once; prefer `cancel`.

    The run has no chance to tidy up or to say how far it came.
    """
    out = Output(json=json)
    async with connected(out) as session:
        await session.run(run_id).terminate(reason)
    if json:
        out.document({"run_id": run_id, "requested": "terminate", "reason": reason})
    else:
        out.say(f"{run_id} was terminated")
