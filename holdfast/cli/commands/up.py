"""`up`: starts the local stack."""

from __future__ import annotations

from holdfast import stack
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption, ReloadOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.stack import show_status
from holdfast.errors import Unavailable, UsageError
from holdfast.settings import Settings

EXAMPLES = """
    $ up
    $ up --reload
    HOLDFAST_HOME=/var/lib/holdfast $ up
"""


async def up(*, reload: ReloadOption = False, json: JsonOption = False) -> ExitCode:
    """Starts the local stack.

    The stack is a Temporal server, a worker and, if no model is configured, the
    scripted model server. Parts that already run are left alone, except a worker with
    other settings or older code, which is restarted gracefully, and a scripted model
    server with older code. A part that ends unexpectedly is restarted. With
    TEMPORAL_ADDRESS set, only the worker is started, for that server. The first time,
    getting the Temporal server may take minutes. With --reload, the command stays until
    Ctrl-C; the stack keeps running.
    """
    out = Output(json=json)
    settings = Settings.load()
    await stack.up(settings, out.note)
    code = await show_status(out, settings)
    if reload:
        out.note("watching the source files; Ctrl-C stops the watching, not the stack")
        async for _ in stack.changed_code(settings):
            try:
                await stack.up(settings, out.note)
            except UsageError as error:
                out.error(f"{error}. The worker keeps the code that it has")
            except Unavailable as error:
                out.error(str(error))
    return code
