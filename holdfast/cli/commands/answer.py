"""`answer`: answers a question of an agent."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.commanding import ByOption, KeyOption, user
from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected

EXAMPLES = """
    $ answer clerk-3f9a12bc 2/call_1 "yes, both"
"""


async def answer(
    run_id: RunIdArgument,
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="The question, as `inbox` shows it.", show_default=False)
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The answer.", show_default=False)],
    *,
    key: KeyOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Answers a question of an agent.

    The agent has asked it with the tool `ask_human`, and continues with the answer.
    """
    out = Output(json=json)
    async with connected(out) as session:
        receipt = await session.run(run_id).answer(question, text, id=key, by=by or user())
    if json:
        out.document(receipt.model_dump(mode="json"))
    else:
        out.say(f"answered {question} of {run_id}")
