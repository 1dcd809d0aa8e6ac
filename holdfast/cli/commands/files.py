"""`files`: the files of a run, from the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast._util.terminal import clean
from holdfast.cli.destination import STDOUT, written
from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.table import Column, show_table
from holdfast.cli.render.text import count, one_line
from holdfast.cli.session import connected
from holdfast.cli.storage import check_made, opened_persistence
from holdfast.errors import RunNotFound, UsageError, WorkerUnavailable
from holdfast.forking import point_of
from holdfast.settings import Settings
from holdfast.trees import FILE, LINK, Tree
from holdfast.types import Entry
from holdfast.workspace_log import snapshots_in, workspace_at
from holdfast.workspaces.contents import content_of, tree_of, write_tree

if TYPE_CHECKING:
    from holdfast.storage.persistence import Persistence

EXAMPLES = """
    $ files coder-3f9a12bc
    $ files coder-3f9a12bc report.md > report.md
    $ files coder-3f9a12bc --at turn-3 -o before
"""
ALL = 2**31  # entries; more than any run has


async def files(
    run_id: RunIdArgument,
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="A file to print instead.", show_default=False)
    ] = None,
    *,
    at: Annotated[
        str | None, typer.Option(metavar="POINT", help="As of turn-3, message-5 or a checkpoint.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write all files to a new folder.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Lists the files of a run, or writes them out.

    They are those after the last call, or at a point. They come from the store, so
    they can be read on any machine, and after the folder of the run is gone. Only the
    workspaces that runs get by default are kept, not the folders that --workspace
    names. What was left out, and why, is listed too.
    """
    out, settings = Output(json=json), Settings.load()
    if path is not None and output is not None:
        raise UsageError("name one file, or a folder for all of them with --output, but not both")
    check_made(settings)
    async with opened_persistence(settings) as persistence:
        if (store := persistence.files) is None:
            raise UsageError("with these settings, the files of runs stay in the folders of their workers")
        entries = await _entries(out, persistence, run_id)
        point = workspace_at(entries, None if at is None else point_of(entries, at, run_id))
        tree = await tree_of(store, point.heads)
        if path is not None:
            node = tree.nodes.get(path)
            if node is None or node.kind != FILE:
                raise UsageError(
                    f"run {run_id!r} has no file {path!r}{_why(tree, path)}; see {command('files', run_id)}"
                )
            with written(STDOUT) as write:
                write(await content_of(store, node))
        elif output is not None:
            _check_new(output)
            await write_tree(store, tree, output)
            out.note(f"{count(_number(tree), 'file')} written to {output}")
        elif json:
            out.document(_document(run_id, tree, entries))
        else:
            _show(out, run_id, tree, entries)
        if not json:
            _note_left_out(out, tree)


async def _entries(out: Output, persistence: Persistence, run_id: str) -> list[Entry]:
    """Returns the log of a run: from Temporal, or else from the mirror."""
    try:
        async with connected(out) as session:
            run = session.recorded_run(run_id, has_worker=await session.has_worker())
            found = []
            try:
                async for entry in run.entries():
                    found.append(entry)  # noqa: PERF401 - what was read before an error counts
            except WorkerUnavailable as error:
                out.note(str(error))
            return found
    except RunNotFound:
        if found := await persistence.store.entries(run_id, limit=ALL):
            return found
        raise


def _check_new(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"--output {str(output)!r} exists already: name a new folder, so that nothing is overwritten")


def _show(out: Output, run_id: str, tree: Tree, entries: list[Entry]) -> None:
    if not tree.nodes:
        request = entries[0].data.get("request", {}) if entries else {}
        folder = request.get("workspace")
        why = f": it works in {one_line(folder)}, which is not kept" if folder else ""
        out.say(f"{run_id} has no files in the store{why}")
        return
    shown = [(name, node) for name, node in sorted(tree.nodes.items()) if node.kind in (FILE, LINK)]
    show_table(
        out,
        [
            Column("file", [clean(name) for name, _ in shown], is_whole=True),
            Column("bytes", [f"{node.size:,}" if node.kind == FILE else "" for _, node in shown], is_number=True),
            Column("", [f"-> {clean(node.target)}" if node.kind == LINK else "" for _, node in shown]),
        ],
    )
    if fault := _fault(entries):
        out.warn(f"what the last call changed is not in the store: {clean(fault)}")


def _note_left_out(out: Output, tree: Tree) -> None:
    for name, why in sorted(tree.left_out.items()):
        out.warn(f"{clean(name)} was left out: {clean(why)}")
    if tree.is_partial:
        out.warn("and more, see the limits in WORKSPACE_MAX_FILES")


def _document(run_id: str, tree: Tree, entries: list[Entry]) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "files": [
            {"path": clean(name), "bytes": node.size, "executable": bool(node.mode & 0o100)}
            for name, node in tree.files
        ],
        "links": {clean(name): clean(node.target) for name, node in tree.nodes.items() if node.kind == LINK},
        "left_out": {clean(name): why for name, why in tree.left_out.items()},
        "fault": _fault(entries),
    }


def _fault(entries: list[Entry]) -> str | None:
    """Returns why the newest state was not recorded; `None` if it was."""
    newest = next((found[-1] for entry in reversed(entries) if (found := snapshots_in(entry))), None)
    return newest.fault if newest else None


def _number(tree: Tree) -> int:
    return sum(1 for _ in tree.files)


def _why(tree: Tree, path: str) -> str:
    return f": it was left out, {tree.left_out[path]}" if path in tree.left_out else ""
