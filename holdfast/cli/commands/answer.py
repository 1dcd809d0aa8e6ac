"""`answer`: answers a question of an agent."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.attaching import AttachOption, with_files
from holdfast.cli.commanding import ByOption, KeyOption, send_command, user
from holdfast.cli.options import JsonOption, RunIdArgument

EXAMPLES = """
    $ answer clerk-3f9a12bc 2/call_1 "yes, both"
    $ answer clerk-3f9a12bc 2/call_1 "Left." --attach a.jpg
"""


async def answer(
    run_id: RunIdArgument,
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="The question, as `inbox` shows it.", show_default=False)
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The answer.", show_default=False)],
    *,
    attach: AttachOption = None,
    key: KeyOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Answers a question of an agent.

    The agent has asked it with the tool `ask_human`, and continues with the answer.
    A question with options, or of an MCP server, takes no files.
    """
    await send_command(
        run_id,
        lambda run: run.answer(question, with_files(text, attach), id=key, by=by or user()),
        done=f"answered {question} of {{run}}",
        json=json,
    )
