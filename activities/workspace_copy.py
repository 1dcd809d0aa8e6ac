"""A copy of a workspace, within limits, that appears at once or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

from holdfast.agents.secret_files import secret_part
from holdfast.errors import UsageError

MAX_BYTES = 1_000_000_000
MAX_FILES = 20_000  # with folders
CHUNK = 1 << 20  # bytes copied between two looks at whether to stop
ADVICE = "name a folder for the fork instead (--workspace DIR)"

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Stopped(Exception):
    """The copy is no longer wanted."""


class WorkspaceCopier:
    """Copies the regular files below a folder; links, devices and files that usually hold secrets are left out.

    The source may change meanwhile: what vanishes is left out, and each file is copied as it is when it is read.

    Args:
        is_stopped: whether to give up.
        max_bytes: of all files.
        max_files: with folders.
    """

    def __init__(
        self, is_stopped: Callable[[], bool], *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES
    ) -> None:
        self._is_stopped = is_stopped
        self._max_bytes, self._max_files = max_bytes, max_files
        self._bytes = self._files = 0
        self._source = Path()

    def copy(self, source: Path, target: Path) -> int:
        """Copies a folder, unless the target exists, and returns the number of files and folders in the copy.

        Raises:
            UsageError: the folder exceeds a limit, or cannot be read.
            Stopped: the copy is no longer wanted; nothing is left of it.
        """
        if target.exists():
            return 0
        self._source = source
        beginning = target.with_name(f".{uuid.uuid4().hex}.copy")
        try:
            beginning.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._copy_folder(source, beginning)
            if not target.exists():  # another attempt was faster
                beginning.rename(target)
        except OSError as error:
            raise UsageError(f"the workspace {str(source)!r} cannot be copied: {error}; {ADVICE}") from error
        finally:
            shutil.rmtree(beginning, ignore_errors=True)
        return self._files

    def _copy_folder(self, source: Path, target: Path) -> None:
        target.mkdir(mode=0o700)
        with os.scandir(source) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            place = Path(entry.path)
            if secret_part(place.relative_to(self._source)) or entry.is_symlink():
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    self._count(0)
                    self._copy_folder(place, target / entry.name)
                elif entry.is_file(follow_symlinks=False):
                    self._count(0)
                    self._copy_file(place, target / entry.name)
            except FileNotFoundError:
                continue

    def _copy_file(self, source: Path, target: Path) -> None:
        with os.fdopen(os.open(source, _READ), "rb") as content:
            status = os.fstat(content.fileno())
            if not stat.S_ISREG(status.st_mode):
                return
            with target.open("xb") as copy:
                while chunk := content.read(CHUNK):
                    self._count(len(chunk), files=0)
                    copy.write(chunk)
        target.chmod(stat.S_IMODE(status.st_mode) & 0o700 | 0o600)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _count(self, size: int, *, files: int = 1) -> None:
        if self._is_stopped():
            raise Stopped
        self._bytes += size
        self._files += files
        if self._bytes > self._max_bytes:
            raise self._excess(f"{self._max_bytes:,} bytes")
        if self._files > self._max_files:
            raise self._excess(f"{self._max_files:,} files and folders")

    def _excess(self, what: str) -> UsageError:
        return UsageError(f"the workspace {str(self._source)!r} has more than {what}, and is not copied: {ADVICE}")
