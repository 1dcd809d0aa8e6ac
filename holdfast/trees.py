"""Trees: what is in a folder, each file by the names of the chunks of its content. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from holdfast.errors import PayloadUnreadable

VERSION = 1
FILE, FOLDER, LINK = "file", "folder", "link"


@dataclass(frozen=True, slots=True)
class Node:
    """One file, folder or link of a tree."""

    kind: str
    mode: int = 0
    """Permissions of a file or a folder."""
    size: int = 0
    """Bytes of a file."""
    chunks: tuple[str, ...] = ()
    """Names of the chunks of a file, in order."""
    target: str = ""
    """What a link contains."""

    def to_json(self) -> list[Any]:
        """Returns the node as JSON values."""
        if self.kind == LINK:
            return [self.kind, self.target]
        return [self.kind, self.mode] if self.kind == FOLDER else [self.kind, self.mode, self.size, list(self.chunks)]

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> Self:
        """Returns the node that `to_json` has converted."""
        kind = values[0]
        if kind == LINK:
            return cls(kind, target=values[1])
        if kind == FOLDER:
            return cls(kind, mode=values[1])
        return cls(FILE, mode=values[1], size=values[2], chunks=tuple(values[3]))


@dataclass
class Tree:
    """The content of a folder at one moment. Paths are relative, with `/`, and may have surrogates for other bytes."""

    nodes: dict[str, Node] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """The reason by the path of each file or folder that is not in the tree, although it is in the folder; not of those
    that are ignored by their names."""
    is_partial: bool = False
    """Whether there is more in the folder than both of them name."""

    @property
    def files(self) -> Iterator[tuple[str, Node]]:
        """The files, sorted by path."""
        return ((path, node) for path, node in sorted(self.nodes.items()) if node.kind == FILE)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(node.size for node in self.nodes.values())

    @property
    def chunks(self) -> list[str]:
        """The names of all chunks, without repeats."""
        return list(dict.fromkeys(name for node in self.nodes.values() for name in node.chunks))

    def encode(self) -> bytes:
        """Returns the tree as JSON, the same for equal trees; empty for one without anything."""
        if not self.nodes and not self.left_out and not self.is_partial:
            return b""
        document: dict[str, Any] = {
            "version": VERSION,
            "nodes": {path: node.to_json() for path, node in self.nodes.items()},
            "left_out": self.left_out,
        }
        document |= {"partial": True} if self.is_partial else {}
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Returns the tree that `encode` has written.

        Raises:
            PayloadUnreadable: it is damaged, or a newer version wrote it.
        """
        if not data:
            return cls()
        try:
            document = json.loads(data)
            if document["version"] != VERSION:
                raise PayloadUnreadable("a newer version of Holdfast recorded this workspace: update this one")
            nodes = {path: Node.from_json(values) for path, values in document["nodes"].items()}
            return cls(nodes, document["left_out"], document.get("partial", False))
        except (ValueError, LookupError, TypeError) as error:
            raise PayloadUnreadable(f"the record of a workspace is damaged: {error}") from None


def merged(first: Tree, others: Iterable[tuple[Tree, Tree]]) -> Tree:
    """Returns a tree with what was changed at the same time elsewhere; of a path that both changed, the later one wins.

    Args:
        first: the tree to begin with.
        others: of each further copy what it began with, and what it has become.
    """
    nodes, left_out, is_partial = dict(first.nodes), dict(first.left_out), first.is_partial
    for base, changed in others:
        for path in sorted(base.nodes.keys() | changed.nodes.keys()):
            node = changed.nodes.get(path)
            if node == base.nodes.get(path):
                continue
            if node is not None:
                nodes[path] = node
            elif path not in changed.left_out:
                nodes.pop(path, None)
        left_out |= changed.left_out
        is_partial = is_partial or changed.is_partial
    return Tree(_consistent(nodes), {path: why for path, why in left_out.items() if path not in nodes}, is_partial)


def _consistent(nodes: dict[str, Node]) -> dict[str, Node]:
    """Returns the nodes with the folders that they need; nothing is below a file or a link."""
    found: dict[str, Node] = {}
    for path, node in sorted(nodes.items()):
        above = [path[:place] for place, letter in enumerate(path) if letter == "/"]
        if any(found[folder].kind != FOLDER for folder in above if folder in found):
            continue
        found |= {folder: Node(FOLDER, mode=0o755) for folder in above if folder not in found}
        found[path] = node
    return found
