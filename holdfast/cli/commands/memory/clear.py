"""`memory clear`: deletes the memory folder of an agent."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import count, one_line
from holdfast.cli.storage import check_kept, opened_persistence
from holdfast.errors import UsageError
from holdfast.settings import Settings

EXAMPLES = """
    $ memory clear clerk
    $ memory clear clerk --yes
"""


async def clear(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Name of the agent.", show_default=False)],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Deletes the memory folder of an agent, with all files.

    They are deleted from the database and from this machine; other machines delete
    theirs when the agent next uses its memory. Another agent may have the path then.
    """
    from holdfast.composition.workspaces import memory_folders  # noqa: PLC0415 - `--help` needs no database client

    out, settings = Output(json=json), Settings.load()
    check_kept(settings, "deleted")
    async with opened_persistence(settings) as persistence:
        store = persistence.memory_files
        folders = [folder for folder in await store.folders() if folder.agent == agent] if store else []
        if store is None or not folders:
            raise UsageError(f"agent {agent!r} has no memory folder; see `memory list`")
        paths, files = [folder.path for folder in folders], sum(folder.files for folder in folders)
        what = f"{count(files, 'file')} of agent {one_line(agent)}"
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"there is no terminal to confirm on; use --yes to delete {what}")
            typer.confirm(f"delete {what} for good?", err=True, abort=True)
        for path in paths:
            await store.clear(path)
            memory_folders(settings, persistence).remove(path)
    if json:
        out.document({"agent": agent, "paths": paths, "files": files})
    else:
        out.say(f"deleted: {what}")
