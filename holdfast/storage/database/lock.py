"""A lock on the files of an embedded database; the engine itself does not lock them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from holdfast._util.private_files import open_lock_file
from holdfast.errors import StoreLocked, StoreUnavailable


class PathLock:
    """An advisory lock on the file `<path>.lock`; the operating system releases it when its holder dies.

    Args:
        path: the database's folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.realpath(path))  # two spellings of one folder must use the same lock
        self._file = self._path.with_name(f"{self._path.name}.lock")
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Acquires the lock; does nothing if this object already holds it.

        Returns:
            Whether the previous holder ended without a clean release.

        Raises:
            StoreLocked: another holder has it; the message names the file and the process.
            StoreUnavailable: the lock file cannot be created.
        """
        if self._descriptor is not None:
            return False
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            before = _holder(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            os.fsync(descriptor)  # a power failure must count as an unclean end
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise StoreLocked(self._explain(holder)) from None
        except OSError as error:
            os.close(descriptor)
            raise StoreUnavailable(f"cannot lock {self._file}: {error.strerror}") from error
        self._descriptor = descriptor
        return before != ""

    def release(self, *, clean: bool = True) -> None:
        """Releases the lock, if it is held. The file stays: after its removal two processes could hold the lock.

        Args:
            clean: `False` tells the next holder that this one ended after a failure.
        """
        if self._descriptor is None:
            return
        if clean:
            os.ftruncate(self._descriptor, 0)
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # closing is not enough while a starting child process has a copy
        os.close(self._descriptor)
        self._descriptor = None

    def is_held_by(self, pid: int) -> bool:
        """Returns whether the file names this process; only meaningful while the lock is held."""
        try:
            return self._file.read_text() == f"{pid}\n"
        except OSError:
            return False

    def _open(self) -> int:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # rows have conversations
            return open_lock_file(self._file)
        except OSError as error:
            raise StoreUnavailable(f"cannot open {self._file}, the lock of the database: {error.strerror}") from error

    def _explain(self, holder: str) -> str:
        if holder == str(os.getpid()):
            who = "this process itself, through another database object"
        else:
            who = f"process {holder}" if holder else "another process"
        return (
            f"the database {self._path} is in use by {who}, which holds {self._file}. "
            "One process at a time can use an embedded database: stop that one, use another path, "
            "or point SURREALDB_URL to a SurrealDB server (ws:// or wss://)"
        )


def _holder(descriptor: int) -> str:
    """Returns the process id in a lock file; empty after a clean release or before the first use."""
    return os.pread(descriptor, 32, 0).decode(errors="replace").strip()
