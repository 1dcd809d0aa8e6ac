"""`watch`: follows a run."""

from __future__ import annotations

from holdfast.cli.exit_code import ExitCode, for_result
from holdfast.cli.following import follow
from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.render.outcome import Outcome
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected
from holdfast.types import Entry

EXAMPLES = """
    $ watch researcher-3f9a12bc
    $ watch researcher-3f9a12bc --json | jq '.entries | length'
"""


async def watch(run_id: RunIdArgument, json: JsonOption = False) -> ExitCode:
    """Shows a run from its beginning and follows it until it ends.

    Any number of terminals may watch a run. Ctrl-C stops the watching, not the
    run. With --json one document is written at the end: `entries` and `result`.
    """
    out = Output(json=json)
    entries: list[Entry] = []
    async with connected(out) as session:
        result = await follow(session, session.run(run_id), entries=entries)
        outcome = Outcome(result, session.ui(run_id))
    if json:
        plain = [entry.model_dump(mode="json") for entry in entries]
        out.document({"entries": plain, "result": outcome.document()})
    else:
        outcome.show(out, answer=False)
    return for_result(result)
