"""Files that a command writes: completely, or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast._util.terminal import clean
from holdfast.errors import UsageError

STDOUT = Path("-")
SUFFIX = ".part"

Write = Callable[[bytes], object]


@contextmanager
def written(path: Path) -> Iterator[Write]:
    """Yields a function that writes bytes to a file, which gets its name when the block ends without an error.

    A file of that name is replaced. Only its owner may read the new one.

    Args:
        path: of the file; `-` is standard output.

    Raises:
        UsageError: the file cannot be written.
    """
    if path == STDOUT:
        yield _write_to_terminal if sys.stdout.isatty() else sys.stdout.buffer.write
        sys.stdout.flush()
        return
    try:
        handle, temporary = tempfile.mkstemp(SUFFIX, f".{path.name}.", path.parent)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()


def _write_to_terminal(data: bytes) -> None:
    sys.stdout.write(clean(data.decode("utf-8", "replace")))
