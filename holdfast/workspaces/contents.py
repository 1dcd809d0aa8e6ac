"""Reading of recorded folders from the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.ports.workspaces import FileStore
from holdfast.trees import Node, Tree, merged
from holdfast.workspace_states import EMPTY, WorkspaceSnapshot
from holdfast.workspaces.restoring import FolderWriter


async def tree_of(content: FileStore, heads: Sequence[WorkspaceSnapshot]) -> Tree:
    """Returns the tree of a workspace, with what was changed at the same time on several machines.

    Args:
        content: the store.
        heads: as in `WorkspacePoint`.

    Raises:
        StoreUnavailable: the store is unavailable.
        PayloadUnreadable: a tree is missing or damaged.
    """
    if not heads:
        return Tree()
    first, *others = heads
    return merged(
        Tree.decode(await content.get_tree(first.tree or EMPTY)),
        [
            (Tree.decode(await content.get_tree(each.base)), Tree.decode(await content.get_tree(each.tree or EMPTY)))
            for each in others
        ],
    )


async def content_of(content: FileStore, node: Node) -> bytes:
    """Returns the content of a file; raises what `tree_of` raises."""
    chunks = await content.read(node.chunks)
    return b"".join(chunks[name] for name in node.chunks)


async def write_tree(content: FileStore, tree: Tree, target: Path) -> None:
    """Writes a tree to a folder that is empty, or does not exist.

    Raises:
        OSError: something cannot be written.
        StoreUnavailable: the store is unavailable.
        PayloadUnreadable: a file is missing or damaged.
    """
    writer = FolderWriter(target, tree, Tree())
    writer.clear()
    for path, node in writer.files:
        writer.write(path, await content_of(content, node))
    writer.finish()
