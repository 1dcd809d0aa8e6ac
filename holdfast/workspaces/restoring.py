"""Restoration of a folder to a tree."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from holdfast.trees import FILE, FOLDER, Node, Tree
from holdfast.workspaces.folder import Folder


class FolderWriter:
    """Changes one folder until it is like a tree. What the tree leaves out stays as it is.

    Args:
        path: of the folder, which is created if need be.
        wanted: the tree.
        present: what the folder has.
        kept: paths that stay although the tree does not have them; `None` means none.
    """

    def __init__(self, path: Path, wanted: Tree, present: Tree, kept: Collection[str] | None = None) -> None:
        self._path = path
        self._wanted = wanted
        self._present = present
        self._kept = frozenset(kept or ())

    @property
    def files(self) -> list[tuple[str, Node]]:
        """The files that must be written: those that are missing, and those with another content."""
        return [(path, node) for path, node in self._wanted.files if not self._has_content(path, node)]

    def clear(self) -> None:
        """Removes what must not be there, and makes folders and links.

        Raises:
            OSError: something cannot be removed or made.
        """
        wanted, present = self._wanted.nodes, self._present.nodes
        with Folder.open(self._path, create=True) as folder:
            for path, node in sorted(present.items(), reverse=True):
                other = wanted.get(path)
                is_in_the_way = other is not None and other.kind != node.kind and FOLDER in (other.kind, node.kind)
                if is_in_the_way or (other is None and self._may_remove(path)):
                    folder.remove(path, node)
            for path, node in sorted(wanted.items()):
                if node.kind == FILE and self._has_content(path, node) and present[path].mode != node.mode:
                    folder.set_mode(path, node.mode)
                elif node.kind != FILE and node != present.get(path):
                    folder.make(path, node if node.kind != FOLDER else Node(FOLDER, mode=node.mode | 0o700))

    def write(self, path: str, content: bytes) -> None:
        """Writes a file.

        Raises:
            OSError: it cannot be written.
        """
        with Folder.open(self._path) as folder:
            folder.make(path, self._wanted.nodes[path], content)

    def finish(self) -> None:
        """Sets the permissions of folders that nobody may write to.

        Raises:
            OSError: that is not possible.
        """
        closed = [(path, node) for path, node in self._wanted.nodes.items() if node.kind == FOLDER]
        with Folder.open(self._path) as folder:
            for path, node in sorted(closed, reverse=True):
                if node.mode & 0o700 != 0o700:
                    folder.set_mode(path, node.mode)

    def _has_content(self, path: str, node: Node) -> bool:
        present = self._present.nodes.get(path)
        return present is not None and present.kind == FILE and present.chunks == node.chunks

    def _may_remove(self, path: str) -> bool:
        left_out, is_partial = self._wanted.left_out, self._wanted.is_partial
        return not is_partial and path not in left_out and path not in self._kept
