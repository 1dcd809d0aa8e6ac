"""`record`: turns runs into a cassette for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.destination import STDOUT, written
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import count, one_line
from holdfast.cli.session import Session, connected
from holdfast.errors import UsageError
from holdfast.scripted.recording import Recording, attachments_of, recording_of

EXAMPLES = """
    $ record clerk-3f9a12bc > clerk.jsonl
    $ record clerk-3f9a12bc clerk-77b02e51 -o tests/clerk.jsonl
"""


async def record(
    run_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The ids of runs.", show_default=False)],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="- is standard output.")] = STDOUT,
) -> None:
    """Writes the model calls of runs as a cassette for tests.

    A cassette answers the same requests again. Each line of it is a JSON object with
    a request and its reply, in the order of the calls; the calls of runs that a run
    has started follow its own. Requests have the model, the messages and the tools,
    and neither keys nor the ids of calls. A model is left out if it was the default
    one.

    The fixture `cassette` of the pytest plugin replays the file.
    """
    out = Output()
    async with connected(out) as session:
        has_worker = await session.has_worker()
        found = await _recordings(session, run_ids, has_worker=has_worker)
    lines = [interaction.line() for recording in found.values() for interaction in recording.interactions]
    if not lines:
        raise UsageError(f"no model has answered in {', '.join(map(repr, run_ids))} yet, so there is nothing to record")
    with written(output) as write:
        write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    _say(out, found, len(lines), output)


async def _recordings(session: Session, run_ids: list[str], *, has_worker: bool) -> dict[str, Recording]:
    """Returns the recordings of runs and of those below them, each after the run that started it."""
    found: dict[str, Recording] = {}
    waiting = list(dict.fromkeys(run_ids))
    while waiting:
        run_id = waiting.pop(0)
        run = session.recorded_run(run_id, has_worker=has_worker)
        entries = [entry async for entry in run.entries()]
        attached = {each.digest: each for each in attachments_of(entries) if each.digest}
        contents = {digest: await run.inputs.content(each) for digest, each in attached.items()}
        found[run_id] = recording_of(entries, contents)
        waiting[:0] = [child for child in found[run_id].children if child not in (*found, *waiting)]
    return found


def _say(out: Output, found: dict[str, Recording], lines: int, output: Path) -> None:
    place = "standard output" if output == STDOUT else str(output)
    out.note(f"{count(lines, 'model call')} of {count(len(found), 'run')} written to {place}")
    for run_id, recording in found.items():
        left_out = [
            *([count(recording.summaries, "summarizing call")] if recording.summaries else []),
            *([count(recording.interrupted, "interrupted call")] if recording.interrupted else []),
        ]
        if left_out:
            out.warn(f"{one_line(run_id)}: {' and '.join(left_out)} left out")
