"""The workspace of a run: a folder that paths cannot leave."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, Self

from holdfast._util import descriptors
from holdfast.agents.secret_files import secret_part
from holdfast.agents.tool import ToolContext, ToolError
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.errors import UsageError
from holdfast.types import clean_text

MAX_NAMES = 20_000  # of a folder that are searched for another Unicode form, which takes some hundredths of a second
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Item(NamedTuple):
    """One directory entry."""

    name: str
    is_folder: bool
    size: int | None
    """Bytes; `None` if it is not a regular file."""


class Workspace:
    """Access to the files below one folder only.

    Links are followed only if they lead to a place below the folder. A path is first resolved and then opened name by
    name without following links, so that replacing a folder with a link meanwhile causes an error instead of an escape.
    Files that usually hold secrets, and the worker's state folder, are left out and refused. Names are found in either
    Unicode form.
    Every method raises ToolError with a reason that the model can act on.
    """

    def __init__(self, root: Path, roots: WorkspaceRoots | None = None) -> None:
        """
        Args:
            root: the folder; it need not exist yet.
            roots: the folders that the worker may use; `None` means any.

        Raises:
            ToolError: the folder is not one of them.
        """
        self._roots = roots
        try:
            self._root = roots.admit(root) if roots else Path(os.path.realpath(root))
        except UsageError as error:
            raise ToolError(str(error)) from None

    @classmethod
    def of(cls, context: ToolContext) -> Self:
        """Returns the workspace of the run that a tool was called in."""
        return cls(context.workspace, context.roots)

    def folder(self) -> Path:
        """Returns the folder with all links resolved, which it creates if it does not exist."""
        with _plain_errors(PurePosixPath(".")):
            self._root.mkdir(parents=True, exist_ok=True)
        return self._root

    def is_protected(self, path: PurePosixPath) -> bool:
        """Whether tools may not use a path, relative to the workspace and without links."""
        return self._protection(path) is not None

    def look_up(self, path: PurePosixPath) -> Item:
        """Returns what a path leads to."""
        with _plain_errors(path):
            status = self._status(path)
            return Item(path.name, stat.S_ISDIR(status.st_mode), _size(status))

    def entries(self, path: PurePosixPath, limit: int) -> list[Item]:
        """Returns at most `limit` entries of a folder, in any order."""
        with _plain_errors(path):
            real = self._real(path)
            with self._folder(real) as folder, os.scandir(folder) as entries:
                return [
                    self._item(path, entry)
                    for entry in islice(entries, limit)
                    if not self._protection(real / entry.name)
                ]

    def open(self, path: PurePosixPath) -> BinaryIO:
        """Opens a file for reading."""
        with _plain_errors(path):
            real = self._real(path)
            with self._folder(real.parent) as folder:
                descriptor = os.open(_name(real), descriptors.READ, dir_fd=folder)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return os.fdopen(descriptor, "rb")
            os.close(descriptor)
        raise ToolError(f"{shown(path)!r} is not a file; list_files shows the existing files")

    def write(self, path: PurePosixPath, data: bytes) -> None:
        """Writes a whole file atomically: after a crash, it has either the old content or the new.

        Missing folders are created, including the workspace itself.
        """
        with _plain_errors(path):
            self._root.mkdir(parents=True, exist_ok=True)
            real = self._real(path)
            with self._folder(real.parent, create=True) as folder:
                mode = _mode_to_keep(path, _name(real), folder)
                with descriptors.replacing(real.name, folder) as temporary:
                    descriptor = os.open(temporary, descriptors.CREATE, 0o666, dir_fd=folder)
                    _write_through(descriptor, data, mode)
                os.fsync(folder)

    def _real(self, path: PurePosixPath) -> PurePosixPath:
        """Returns the resolved path, without links, relative to the workspace."""
        found = Path(os.path.realpath(self._root / self._in_existing_form(path)))
        if not found.is_relative_to(self._root):
            raise ToolError(f"the path {shown(path)!r} is not accepted: it leads outside the workspace")
        real = PurePosixPath(found.relative_to(self._root))
        if reason := self._protection(path) or self._protection(real):
            raise ToolError(f"{shown(path)!r} is protected, as {reason}; work without it")
        return real

    def _protection(self, path: PurePosixPath) -> str | None:
        """Returns why tools may not use a path relative to the workspace; `None` if they may."""
        if secret_part(path):
            return "files of such names usually hold secrets"
        if self._roots and self._roots.is_private(self._root / path, self._root):
            return "it is in the state folder of Holdfast"
        return None

    def _in_existing_form(self, path: PurePosixPath) -> PurePosixPath:
        """Returns a path with the Unicode form in which its names exist; models write composed characters."""
        found = PurePosixPath()
        for name in path.parts:
            if name.isascii() or os.path.lexists(self._root / found / name):
                found /= name
            else:
                found /= _same_name(self._root / found, name)
        return found

    def _folder(self, real: PurePosixPath, *, create: bool = False) -> AbstractContextManager[int]:
        """Opens the folder of a resolved path."""
        try:
            root = os.open(self._root, descriptors.FOLDER)
        except FileNotFoundError:
            raise ToolError("the workspace is empty: its folder does not exist yet") from None
        return descriptors.open_below(root, real, create=create)

    def _status(self, path: PurePosixPath) -> os.stat_result:
        real = self._real(path)
        with self._folder(real.parent) as folder:
            return os.stat(_name(real), dir_fd=folder, follow_symlinks=False)

    def _item(self, folder: PurePosixPath, entry: os.DirEntry[str]) -> Item:
        if entry.is_dir(follow_symlinks=False):
            return Item(entry.name, is_folder=True, size=None)
        if entry.name.startswith(descriptors.TEMPORARY_PREFIX):
            return Item(entry.name, is_folder=False, size=None)
        try:
            status = self._status(folder / entry.name) if entry.is_symlink() else entry.stat(follow_symlinks=False)
        except (OSError, ToolError):  # gone meanwhile, a broken link, or one that leads out
            return Item(entry.name, is_folder=False, size=None)
        return Item(entry.name, is_folder=False, size=_size(status))


def relative_path(text: str) -> PurePosixPath:
    """Parses a path as a model wrote it.

    Raises:
        ToolError: it is empty, is absolute, or contains `..`.
    """
    path = PurePosixPath(clean_text(text))
    if not text or "\0" in text or path.is_absolute() or ".." in path.parts:
        raise ToolError(f"the path {shown(text)!r} is not accepted: use one below the workspace ('.'), without '..'")
    return path


def shown(path: PurePosixPath | str) -> str:
    """Returns a path as one line of valid text, even if its names are not valid text."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(clean_text(str(path))))


@contextmanager
def _plain_errors(path: PurePosixPath) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ToolError(f"there is no {shown(path)!r} in the workspace; list_files shows the existing files") from None
    except OSError as error:
        raise ToolError(f"{shown(path)!r} cannot be used: {error.strerror or error}") from error


def _name(real: PurePosixPath) -> str:
    return real.name or "."


def _same_name(folder: Path, name: str) -> str:
    """Returns the name of an entry that differs only in its Unicode form; the name itself if there is none."""
    wanted = unicodedata.normalize("NFC", name)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in islice(entries, MAX_NAMES):
            if unicodedata.normalize("NFC", entry.name) == wanted:
                return entry.name
    return name


def _size(status: os.stat_result) -> int | None:
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _mode_to_keep(path: PurePosixPath, name: str, folder: int) -> int | None:
    """Returns the permissions of the file that will be replaced; `None` if it does not exist."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise ToolError(f"{shown(path)!r} exists and is not a file; use another path")
    return status.st_mode & 0o777  # without setuid and setgid, which were granted to the old content


def _write_through(descriptor: int, data: bytes, mode: int | None) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
