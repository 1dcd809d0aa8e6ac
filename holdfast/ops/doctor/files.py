"""Check of the files of a run's workspace in the store."""

from __future__ import annotations

from holdfast._util.batches import batches
from holdfast.errors import PayloadUnreadable
from holdfast.ops.doctor.recorded_log import stored_entries
from holdfast.ports import Store
from holdfast.storage.files import SurrealFiles
from holdfast.trees import Tree
from holdfast.types import RunId
from holdfast.workspace_log import snapshots_in, workspace_at

ALL = 2**31  # entries; more than any run has
BATCH_BYTES = 8 * 1024 * 1024  # of files that are read at once
NAMED = 5  # files in one line


async def lost_files(store: Store, files: SurrealFiles, run_id: RunId) -> tuple[str, ...]:
    """Returns a line for each recorded state of a workspace that cannot be restored.

    Of the newest state, every file is read and compared with its name; of the others, it is checked that all are there.

    Args:
        store: the mirror, which names the states.
        files: the files.
        run_id: the run.

    Raises:
        StoreUnavailable: the store is unavailable.
    """
    entries, _ = await stored_entries(store, run_id, ALL)
    turns = {each.tree: entry.turn for entry in entries for each in snapshots_in(entry) if each.tree}
    newest = {head.tree for head in workspace_at(entries).heads}
    found = []
    for tree, turn in turns.items():
        try:
            missing = await files.missing(tree)
            if not missing and tree in newest:
                await _read_all(files, tree)
        except PayloadUnreadable as error:
            found.append(f"the files as of turn {turn} cannot be read: {error}")
            continue
        if missing:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            found.append(f"files as of turn {turn} are not in the store: {', '.join(missing[:NAMED])}{more}")
    return tuple(found)


async def _read_all(files: SurrealFiles, tree: str) -> None:
    nodes = list(Tree.decode(await files.get_tree(tree)).files)
    for some in batches(nodes, size=BATCH_BYTES, measure=lambda file: file[1].size):
        await files.read([name for _, node in some for name in node.chunks])
