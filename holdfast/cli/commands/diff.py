"""`diff`: two runs beside each other."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.render.diff_text import show_diff
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected

EXAMPLES = """
    $ diff q-1 q-2
    $ diff q-1 q-2 --json | jq .b.usage
"""


async def diff(
    run_id: RunIdArgument,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The id of the other run.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Compares two runs: where they diverge, and what each used.

    It shows the first message that differs, then the turns, tokens, cost, tool calls
    and answer of each. Of a fork, only what it did itself counts.
    """
    out = Output(json=json)
    async with connected(out) as session:
        found = await session.run(run_id).diff(other)
    if json:
        out.document(found.model_dump(mode="json"))
    else:
        show_diff(out, found)
