"""`down`: stops the local stack."""

from __future__ import annotations

from holdfast import stack
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.settings import Settings

EXAMPLES = """
    $ down
"""


async def down(json: JsonOption = False) -> None:
    """Stops the local stack; runs and data stay.

    `up` starts it again, and the runs resume.
    """
    out = Output(json=json)
    settings = Settings.load()
    running = {part.name for part in (await stack.status(settings)).parts if part.pid is not None}
    await stack.down(settings, out.note)
    if json:
        out.document({"stopped": sorted(running)})
    elif running:
        out.say(f"stopped: {', '.join(sorted(running))}; all data is kept in {settings.holdfast_home}")
    else:
        out.say(f"nothing runs in {settings.holdfast_home}")
