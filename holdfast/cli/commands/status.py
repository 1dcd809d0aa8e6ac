"""`status`: the state of the local stack."""

from __future__ import annotations

from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.stack import show_status
from holdfast.settings import Settings

EXAMPLES = """
    $ status
    $ status --json | jq .healthy
"""


async def status(json: JsonOption = False) -> ExitCode:
    """Shows what runs where, and whether it answers.

    It starts nothing. Exit code 3 when something is unavailable.
    """
    return await show_status(Output(json=json), Settings.load())
