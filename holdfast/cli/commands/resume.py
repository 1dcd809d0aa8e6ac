"""`resume`: resumes a paused run."""

from __future__ import annotations

from holdfast.cli.commanding import KeyOption, send_command, user
from holdfast.cli.options import JsonOption, RunIdArgument

EXAMPLES = """
    $ resume researcher-3f9a12bc
"""


async def resume(run_id: RunIdArgument, *, key: KeyOption = None, json: JsonOption = False) -> None:
    """Resumes a paused run where it stopped."""
    await send_command(run_id, lambda run: run.resume(id=key, by=user()), done="{run} continues", json=json)
