"""Keeping of workspaces: recorded in the store after calls that may have changed them, restored before other calls."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Sequence

from holdfast._util.batches import batches
from holdfast._util.logger import get_logger
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.errors import StoreUnavailable
from holdfast.ports.workspaces import FileStore
from holdfast.trees import Tree
from holdfast.workspace_states import EMPTY, WorkspacePoint, WorkspaceSnapshot
from holdfast.workspaces.contents import content_of, tree_of
from holdfast.workspaces.limits import KeptLimits
from holdfast.workspaces.reading import FolderReader, FoundFile, Listing
from holdfast.workspaces.records import FolderRecords, Marker
from holdfast.workspaces.restoring import FolderWriter

log = get_logger(__name__)

BATCH_BYTES = 8 * 1024 * 1024  # of files that are read, or written, between two looks at the time
HELD_BYTES = 32 * 1024 * 1024  # of chunks that were just read, so that files need not be read again to be stored
NAMED = 10  # files that were left out, in one snapshot


class WorkspaceNotReady(Exception):
    """The folder of a call cannot be restored now; the call has not begun, and may be made later."""


class HeldWorkspace:
    """The folder of a call, which was restored if need be.

    Args:
        keeper: keeps it.
        owner: the run.
        name: of the folder.
        point: the state from which the call began.
        lock: says that the call uses the folder; `None` means that it changes nothing.
    """

    def __init__(self, keeper: WorkspaceKeeper, owner: str, name: str, point: WorkspacePoint, lock: int | None) -> None:
        self._keeper = keeper
        self._owner = owner
        self._name = name
        self._point = point
        self._lock = lock

    def release(self) -> None:
        """Ends the call."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    async def record(self, *, changed: bool, seconds: float) -> WorkspaceSnapshot | None:
        """Records the folder as it is now; `None` means that the run knows this state.

        Args:
            changed: whether the call may have changed something.
            seconds: maximum time; a state that cannot be recorded in time has a `fault`, and the next call continues.
        """
        try:
            async with asyncio.timeout(seconds):
                found = await self._keeper.record(self._owner, self._name, self._point, changed=changed)
        except TimeoutError:
            found = _fault(f"the files could not be stored within {seconds:.0f} s; the next call continues")
        except (StoreUnavailable, OSError) as error:
            found = _fault(str(error))
        if found is not None:
            found.restored = self._point.restored
            if found.fault:
                log.warning("the workspace was not recorded", run_id=self._owner, reason=found.fault)
            if found.left_out:
                log.info("files of the workspace were left out", run_id=self._owner, files=found.left_out)
        return found


class WorkspaceKeeper:
    """Keeps the folders of this machine that runs got by default.

    Args:
        roots: knows the folders.
        content: the store.
        limits: what is left out.
    """

    def __init__(self, roots: WorkspaceRoots, content: FileStore, limits: KeptLimits | None = None) -> None:
        self._roots = roots
        self._content = content
        self._limits = limits or KeptLimits()

    async def hold(
        self, owner: str, name: str, point: WorkspacePoint, *, changes: bool, seconds: float
    ) -> HeldWorkspace:
        """Restores a folder to a state, unless it has that state or a later one, and holds it during a call.

        Args:
            owner: the run.
            name: of the folder.
            point: the state.
            changes: whether the call may change it.
            seconds: maximum time of a restoration.

        Raises:
            WorkspaceNotReady: it cannot be restored now, or not in time; what was restored stays.
            PayloadUnreadable: something of the state is missing or damaged.
        """
        lock: int | None = None
        records, folder = self._records(name), self._roots.named(name)
        try:
            if changes or point.heads or records.exists or folder.is_dir():
                async with asyncio.timeout(seconds), records.locked():
                    await self._prepare(owner, name, point)
                    lock = records.begin_call() if changes else None
        except TimeoutError:
            raise WorkspaceNotReady(f"it takes more than {seconds:.0f} s, and continues") from None
        except (StoreUnavailable, OSError) as error:
            raise WorkspaceNotReady(str(error)) from None
        return HeldWorkspace(self, owner, name, point, lock)

    async def restore(self, owner: str, name: str, point: WorkspacePoint) -> int:
        """Restores a folder for a run, and returns the number of its files and folders.

        Raises:
            StoreUnavailable: the store is unavailable.
            PayloadUnreadable: something of the state is missing or damaged.
            OSError: the folder cannot be written.
        """
        records = self._records(name)
        async with records.locked():
            await self._prepare(owner, name, point)
        tree = await tree_of(self._content, point.heads)
        return len(tree.nodes)

    async def initial(self, name: str) -> WorkspacePoint | None:
        """Returns the state of a folder before the first call of its run; `None` means that it is not known here."""
        marker = self._records(name).read()
        if marker is None or marker.initial is None:
            return None
        return WorkspacePoint(heads=[WorkspaceSnapshot(tree=marker.initial, base=marker.initial)])

    async def record(self, owner: str, name: str, point: WorkspacePoint, *, changed: bool) -> WorkspaceSnapshot | None:
        """Records a folder, see `HeldWorkspace.record`.

        Raises:
            StoreUnavailable: the store is unavailable.
            OSError: the folder cannot be read, or nothing can be written beside it.
        """
        records, figures = self._records(name), dict[str, object]()
        if not changed and not records.exists:
            return None
        async with records.locked():
            marker = records.read() or Marker.begin(EMPTY, "").model_copy(update={"initial": EMPTY})
            if changed:
                listing = await self._listing(name, records)
                tree, digest = listing.tree, _digest(listing.tree)
                if digest != marker.digest:
                    stored = await self._stored(owner, name, listing)
                    update = {"tree": stored, "digest": _digest(tree), "number": marker.number + 1}
                    marker = marker.model_copy(update=update)
                    records.write(marker)
                figures = _figures(tree)
        return _news(marker, point, figures)

    async def _prepare(self, owner: str, name: str, point: WorkspacePoint) -> None:
        """Restores a folder if it lacks something, or remembers what it has before the first call."""
        records, folder = self._records(name), self._roots.named(name)
        marker, back = records.read(), f"{owner}:{point.restored}"
        if not point.heads:
            if marker is None and folder.is_dir():
                await self._remember_initial(owner, name, records)
            return
        await self._content.claim(owner, [tree for head in point.heads for tree in (head.tree, head.base) if tree])
        went_back = bool(point.restored) and (marker is None or back not in marker.went_back)
        is_known = marker is not None and all(map(marker.has, point.heads))
        if is_known and not went_back and (folder.is_dir() or not (marker and marker.tree)):
            return
        began = time.monotonic()
        wanted = await tree_of(self._content, point.heads)
        first = point.heads[0]
        tree = (first.tree or EMPTY) if len(point.heads) == 1 else await self._content.put_tree(owner, wanted.encode())
        await self._sync(name, records, wanted, marker)
        renewed = Marker.begin(tree, _digest(wanted), after=point)
        seen = [*(marker.went_back if marker else ()), *([back] if point.restored else ())]
        records.write(renewed.model_copy(update={"went_back": list(dict.fromkeys(seen))}))
        seconds = round(time.monotonic() - began, 2)
        log.info("a workspace was restored", run_id=owner, files=len(wanted.nodes), seconds=seconds)

    async def _remember_initial(self, owner: str, name: str, records: FolderRecords) -> None:
        listing = await self._listing(name, records)
        tree = await self._stored(owner, name, listing)
        records.write(Marker.begin(tree, _digest(listing.tree)).model_copy(update={"initial": tree}))

    async def _sync(self, name: str, records: FolderRecords, wanted: Tree, marker: Marker | None) -> None:
        """Makes a folder like a tree; what calls that run have just written, and nobody has recorded, stays."""
        present = (await self._listing(name, records)).tree
        kept: set[str] = set()
        if records.is_in_use:
            before = Tree.decode(await self._content.get_tree(marker.tree)) if marker else Tree()
            kept = set(present.nodes) - set(before.nodes)
        writer = FolderWriter(self._roots.named(name), wanted, present, kept)
        await asyncio.to_thread(writer.clear)
        for some in batches(writer.files, size=BATCH_BYTES, measure=lambda file: file[1].size):
            contents = [(path, await content_of(self._content, node)) for path, node in some]
            await asyncio.to_thread(_write_all, writer, contents)
        await asyncio.to_thread(writer.finish)

    async def _listing(self, name: str, records: FolderRecords) -> Listing:
        """Lists a folder, with the chunks of all files; only those are read that have changed."""
        identity = self._content.identity
        known = await asyncio.to_thread(records.known, identity)
        reader = FolderReader(self._roots.named(name), self._limits)
        listing = await asyncio.to_thread(reader.list, known)
        try:
            for some in batches(listing.unknown, size=BATCH_BYTES, measure=lambda file: file.size):
                await self._read(reader, some, listing)
        finally:
            if listing.known != known:
                await asyncio.to_thread(records.remember, listing.known, identity)
        return listing

    async def _read(self, reader: FolderReader, files: Sequence[FoundFile], listing: Listing) -> dict[str, bytes]:
        found = await asyncio.to_thread(reader.read, files, listing, self._content.split)
        room = HELD_BYTES - sum(map(len, listing.held.values()))
        if sum(map(len, found.values())) <= room:
            listing.held |= found
        return found

    async def _stored(self, owner: str, name: str, listing: Listing) -> str:
        """Stores what the store lacks of a folder, and returns the reference of its tree."""
        held = listing.held
        lacking = set(await self._content.lacking(name for name in listing.tree.chunks if name not in held))
        reader = FolderReader(self._roots.named(name), self._limits)
        left = _with_chunks(listing.tree, lacking)
        for some in batches(left, size=BATCH_BYTES, measure=lambda file: file.size):
            await self._content.keep(await asyncio.to_thread(reader.read, some, listing, self._content.split))
        return await self._content.put_tree(owner, listing.tree.encode(), held)

    def _records(self, name: str) -> FolderRecords:
        return FolderRecords(self._roots.records, name)


def _with_chunks(tree: Tree, names: set[str]) -> list[FoundFile]:
    return [FoundFile(path, node.size, node.mode) for path, node in tree.files if not names.isdisjoint(node.chunks)]


def _write_all(writer: FolderWriter, contents: Sequence[tuple[str, bytes]]) -> None:
    for path, content in contents:
        writer.write(path, content)


def _digest(tree: Tree) -> str:
    data = tree.encode()
    return hashlib.sha256(data).hexdigest() if data else ""


def _figures(tree: Tree) -> dict[str, object]:
    named = [f"{path}: {why}" for path, why in sorted(tree.left_out.items())]
    found: dict[str, object] = {"files": sum(1 for _ in tree.files), "bytes": tree.size}
    if named:
        found["left_out"] = named[:NAMED]
    if len(named) > NAMED or tree.is_partial:
        found["more_left_out"] = max(len(named) - NAMED, 1)
    return found


def _news(marker: Marker, point: WorkspacePoint, figures: dict[str, object]) -> WorkspaceSnapshot | None:
    """Returns the snapshot that a folder is like; `None` if the run knows it."""
    known = [head for head in point.heads if head.line == marker.line and head.number >= marker.number]
    is_begin = marker.number == 0 and [head.ref for head in point.heads] == marker.after and marker.initial is None
    if known or is_begin or (not point.heads and not marker.tree):
        return None
    base = (point.heads[0].tree or EMPTY) if len(point.heads) == 1 else marker.base if point.heads else marker.initial
    facts = {"tree": marker.tree, "base": base or EMPTY, "line": marker.line, "number": marker.number, **figures}
    return WorkspaceSnapshot.model_validate(facts | ({"after": marker.after} if marker.after else {}))


def _fault(reason: str) -> WorkspaceSnapshot:
    return WorkspaceSnapshot(fault=reason)
