"""Memory folders on this machine, mirrored in the store file by file."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

from typing_extensions import override

from holdfast._util.descriptors import TEMPORARY_PREFIX
from holdfast._util.logger import get_logger
from holdfast._util.private_files import write_private
from holdfast.errors import StoreUnavailable, UsageError
from holdfast.ports.memory_files import MAX_FILE_BYTES, MAX_FILES, MemoryFileStore, MemoryFolder, MemoryFolders
from holdfast.trees import FILE, FOLDER, Node
from holdfast.workspaces.folder import Folder
from holdfast.workspaces.records import FolderRecords

log = get_logger(__name__)

T = TypeVar("T")
OWNER = ".agent"  # in each folder: the name of the agent that it belongs to
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
MAX_DEPTH = 20  # folders below one another
ATTEMPTS = 20  # of an edit, while other machines edit the same file

Known = dict[str, list[str | int]]
"""The files as of the last comparison with the store: version, time of change in nanoseconds, and size, by name."""


class KeptMemoryFolders(MemoryFolders):
    """The memory folders below one folder.

    Args:
        root: the folder, AGENT_MEMORY_ROOT.
        records: folder for what is remembered of them.
        store: mirrors the files; `None` means that they stay on this machine.
    """

    def __init__(self, root: Path, records: Path, store: MemoryFileStore | None) -> None:
        self._root = root
        self._records = records
        self._store = store

    @override
    def of(self, agent: str, path: str) -> KeptMemoryFolder:
        return KeptMemoryFolder(self._root / path, self._records, path, agent, self._store)

    def remove(self, path: str) -> None:
        """Deletes the copy of a folder on this machine.

        Raises:
            OSError: something cannot be deleted.
        """
        folder = self._root / path
        for place in sorted(folder.rglob("*"), reverse=True) if folder.is_dir() and not folder.is_symlink() else []:
            place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
        with suppress(FileNotFoundError):
            folder.rmdir()
        _index(self._records, path).unlink(missing_ok=True)


class KeptMemoryFolder(MemoryFolder):
    """One folder. Each call first compares it with the store: what was written elsewhere is fetched, what a person has
    written here is stored. The store decides between two changes of one file.
    """

    def __init__(self, root: Path, records: Path, path: str, agent: str, store: MemoryFileStore | None) -> None:
        self._root = root
        self._path = path
        self._agent = agent
        self._store = store
        self._index = _index(records, path)
        self._records = FolderRecords(records, path)

    @override
    async def list(self) -> list[tuple[str, int]]:
        async with self._opened():
            return sorted((name, size) for name, (_, size) in (await asyncio.to_thread(self._present)).items())

    @override
    async def read(self, name: str) -> bytes:
        async with self._opened():
            return await asyncio.to_thread(self._read, _checked(name))

    @override
    async def write(self, name: str, data: bytes) -> None:
        name = _checked(name)
        if len(data) > MAX_FILE_BYTES:
            raise UsageError(f"{name!r} would have {len(data):,} bytes; the maximum is {MAX_FILE_BYTES:,}: split it")
        async with self._opened() as known:
            present = await asyncio.to_thread(self._present)
            if name not in present and len(present) >= MAX_FILES:
                raise UsageError(f"the memory has {MAX_FILES:,} files, which is the limit: delete or merge some")
            await asyncio.to_thread(self._write, name, data)
            await self._mirror(known, name, data)

    @override
    async def edit(self, name: str, old: str, new: str) -> None:
        name = _checked(name)
        for _ in range(ATTEMPTS):
            async with self._opened() as known:
                text = (await asyncio.to_thread(self._read, name)).decode("utf-8", "replace")
                if not old or (count := text.count(old)) != 1:
                    found = f"{count} times" if old else "as it is empty"
                    raise UsageError(f"{name!r} must have the old text once, but not {found}: pass more of it")
                data = text.replace(old, new).encode()
                if len(data) > MAX_FILE_BYTES:
                    raise UsageError(f"{name!r} would have {len(data):,} bytes; the maximum is {MAX_FILE_BYTES:,}")
                seen = str(known[name][0]) if name in known else None
                if await self._mirror(known, name, data, seen=seen):
                    return
        raise UsageError(f"{name!r} is edited by other runs all the time; read it again, and repeat the edit")

    @override
    async def delete(self, name: str) -> None:
        name = _checked(name)
        async with self._opened() as known:
            await asyncio.to_thread(self._read, name)
            if self._store is not None:
                try:
                    await self._store.delete(self._path, name)
                except StoreUnavailable as error:
                    raise UsageError(f"{name!r} cannot be deleted now: {error}") from None
            await asyncio.to_thread(self._remove, name)
            known.pop(name, None)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Known]:
        """Holds the folder, compares it with the store, and remembers what was found, as the block leaves it."""
        try:
            async with self._records.locked():
                await asyncio.to_thread(self._root.mkdir, mode=0o700, parents=True, exist_ok=True)
                known, is_claimed = await asyncio.to_thread(self._known), False
                if self._store is not None:
                    try:
                        self._check_owner(await self._store.claim(self._path, self._agent))
                        is_claimed = True
                        await self._compare(self._store, known)
                    except StoreUnavailable as error:
                        log.warning(
                            "a memory folder is not compared with the store", folder=self._path, reason=str(error)
                        )
                await asyncio.to_thread(self._claim, is_claimed=is_claimed)
                try:
                    yield known
                finally:
                    await asyncio.to_thread(write_private, self._index, json.dumps(known), durable=False)
        except OSError as error:
            raise UsageError(f"the memory folder cannot be used: {error}") from error

    def _claim(self, *, is_claimed: bool) -> None:
        """Makes the folder on this machine this agent's own, unless it is another one's and the store does not say."""
        with Folder.open(self._root) as folder:
            try:
                owner = folder.read(OWNER, 1_000)[0].decode("utf-8", "replace")
            except FileNotFoundError:
                owner = ""
            if owner and not is_claimed:
                self._check_owner(owner)
            if owner != self._agent:
                folder.make(OWNER, Node(FILE, mode=0o600), self._agent.encode())

    async def _compare(self, store: MemoryFileStore, known: Known) -> None:
        versions, present = await store.versions(self._path), await asyncio.to_thread(self._present)
        wanted = [name for name, version in versions.items() if name not in present or _version(known, name) != version]
        for name, (version, data) in (await store.fetch(self._path, wanted)).items():
            await asyncio.to_thread(self._write, name, data)
            await self._note(known, name, version)
        for name, state in present.items():
            if name in wanted:
                continue
            if name not in versions and name in known:  # deleted elsewhere
                await asyncio.to_thread(self._remove, name)
                known.pop(name)
            elif name not in known or list(state) != known[name][1:]:  # written by a person, or without the store
                data = await asyncio.to_thread(self._read, name)
                if len(data) <= MAX_FILE_BYTES and (stored := await store.put(self._path, name, data)):
                    await self._note(known, name, stored)

    async def _mirror(self, known: Known, name: str, data: bytes, *, seen: str | None = None) -> bool:
        """Writes a file here and in the store; `False` if the store has another version than `seen`."""
        version = ""
        if self._store is not None:
            try:
                stored = await self._store.put(self._path, name, data, seen=seen)
            except StoreUnavailable as error:
                log.warning("a memory file is not in the store yet", folder=self._path, reason=str(error))
                await asyncio.to_thread(self._write, name, data)  # the next comparison stores it
                return True
            if stored is None:
                return False
            version = stored
        await asyncio.to_thread(self._write, name, data)
        await self._note(known, name, version)
        return True

    async def _note(self, known: Known, name: str, version: str) -> None:
        present = await asyncio.to_thread(self._present)
        if name in present:
            known[name] = [version, *present[name]]

    def _check_owner(self, owner: str) -> None:
        if owner != self._agent:
            raise UsageError(
                f"the memory folder {self._path!r} belongs to agent {owner!r}: give agent {self._agent!r} another "
                f"memory_path, or delete the folder with `memory clear {owner}`"
            )

    def _present(self) -> dict[str, tuple[int, int]]:
        """Returns time of change and size of each file."""
        found: dict[str, tuple[int, int]] = {}

        def walk(folder: Folder, path: str, depth: int) -> None:
            below = []
            with folder.list(path) as entries:
                for entry in entries:
                    place = f"{path}/{entry.name}" if path else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        below.append(place)
                    elif entry.is_file(follow_symlinks=False) and not entry.name.startswith((OWNER, TEMPORARY_PREFIX)):
                        status = entry.stat(follow_symlinks=False)
                        found[place] = status.st_mtime_ns, status.st_size
            for place in below if depth < MAX_DEPTH else []:
                walk(folder, place, depth + 1)

        with Folder.open(self._root) as folder:
            walk(folder, "", 0)
        return found

    def _read(self, name: str) -> bytes:
        return self._in_folder(lambda folder: folder.read(name, MAX_FILE_BYTES + 1)[0], name)

    def _write(self, name: str, data: bytes) -> None:
        def write(folder: Folder) -> None:
            for above in reversed(PurePosixPath(name).parents[:-1]):
                folder.make(str(above), Node(FOLDER, mode=0o700))
            folder.make(name, Node(FILE, mode=0o600), data)

        self._in_folder(write, name)

    def _remove(self, name: str) -> None:
        self._in_folder(lambda folder: folder.remove(name, Node(FILE)), name)

    def _in_folder(self, work: Callable[[Folder], T], name: str) -> T:
        try:
            with Folder.open(self._root) as folder:
                return work(folder)
        except FileNotFoundError:
            raise UsageError(f"the memory has no file {name!r}; memory_list shows what there is") from None

    def _known(self) -> Known:
        try:
            known: Known = json.loads(self._index.read_text())
        except (OSError, ValueError):
            return {}
        return known


def _checked(name: str) -> str:
    """Returns the name of a file in one form.

    Raises:
        UsageError: it is not accepted.
    """
    path = PurePosixPath(name)
    parts = path.parts
    if not NAME.fullmatch(name) or path.is_absolute() or ".." in parts or not parts or parts[0].startswith("."):
        raise UsageError(f"{name!r:.80} is not accepted as a name: use one such as 'customers.md' or 'notes/a.md'")
    return os.fsencode(str(path)).decode("utf-8", "replace")


def _version(known: Known, name: str) -> str | None:
    return str(known[name][0]) if name in known else None


def _index(records: Path, path: str) -> Path:
    return records / f"{path}.files"
