"""`restart`: restarts the worker of the local stack."""

from __future__ import annotations

from holdfast import stack
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.stack import show_status
from holdfast.settings import Settings

EXAMPLES = """
    $ restart
"""


async def restart(json: JsonOption = False) -> ExitCode:
    """Restarts the worker of the local stack; its runs resume.

    It gets the settings of this command and the code on disk. Both are checked first:
    if something is wrong with them, the old worker stays. Calls in flight may end,
    within 20 seconds. Other parts that are not running are started.
    """
    out = Output(json=json)
    settings = Settings.load()
    await stack.up(settings, out.note, replace=stack.Replace.ALWAYS)
    return await show_status(out, settings)
