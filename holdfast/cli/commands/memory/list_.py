"""`memory list`: the memory folders of agents."""

from __future__ import annotations

from holdfast._util.terminal import clean
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.table import Column, show_table
from holdfast.cli.storage import check_kept, opened_persistence
from holdfast.settings import Settings

EXAMPLES = """
    $ memory list
    $ memory list --json | jq '.[].agent'
"""


async def list_(json: JsonOption = False) -> None:
    """Lists the memory folders of agents.

    An agent with a `memory_path` keeps files there over all of its runs. The list is
    what the database has; `remember` and `search` are about texts, not these files.
    """
    out, settings = Output(json=json), Settings.load()
    check_kept(settings, "listed")
    async with opened_persistence(settings) as persistence:
        found = await persistence.memory_files.folders() if persistence.memory_files else []
    if json:
        out.document(
            [
                {"path": folder.path, "agent": folder.agent, "files": folder.files, "bytes": folder.bytes}
                for folder in found
            ]
        )
    elif found:
        show_table(
            out,
            [
                Column("path", [clean(folder.path) for folder in found], is_whole=True),
                Column("agent", [clean(folder.agent) for folder in found]),
                Column("files", [f"{folder.files:,}" for folder in found], is_number=True),
                Column("bytes", [f"{folder.bytes:,}" for folder in found], is_number=True),
            ],
        )
    else:
        out.say("no agent has a memory folder yet")
